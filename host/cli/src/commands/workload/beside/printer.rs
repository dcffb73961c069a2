//! Writes a program's output on a thread of its own: whoever reads slowly holds back the program, and
//! not what is typed or the signals.
//!
//! These are the program's bytes, not this command's words: they go out untouched, past
//! [`crate::output`].

use std::io::{self, Write};

use bytes::Bytes;
use fleet_client::ExecStream;
use tokio::sync::mpsc;

use crate::failure::Failure;

/// Pieces that may wait to be written.
const WAITING: usize = 4;

/// A piece of output.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) stream: ExecStream,
    /// The place after it in all the program printed; absent for words of this command.
    pub(super) to: Option<u64>,
    pub(super) bytes: Bytes,
}

/// What became of a piece.
#[derive(Debug)]
pub(super) enum Printed {
    /// It was written.
    Upto(u64),
    /// Nobody reads stdout any more.
    Closed,
    /// It cannot be written.
    Failed(io::Error),
}

/// Both ends of the thread. It ends when the first is dropped, having written all it was given.
pub(super) struct Printer {
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) printed: mpsc::UnboundedReceiver<Printed>,
}

/// Starts it.
pub(super) fn printer() -> Result<Printer, Failure> {
    let (pieces, take) = mpsc::channel(WAITING);
    let (tell, printed) = mpsc::unbounded_channel();
    std::thread::Builder::new()
        .name("output".to_owned())
        .spawn(move || print(take, &tell, &mut io::stdout(), &mut io::stderr()))
        .map_err(|error| Failure::io("cannot write the output", &error))?;
    Ok(Printer { pieces, printed })
}

fn print(
    mut pieces: mpsc::Receiver<Piece>,
    tell: &mpsc::UnboundedSender<Printed>,
    out: &mut impl Write,
    err: &mut impl Write,
) {
    let mut is_closed = false;
    while let Some(Piece { stream, to, bytes }) = pieces.blocking_recv() {
        let written = match stream {
            ExecStream::Stdout if is_closed => Ok(()),
            ExecStream::Stdout => out.write_all(&bytes).and_then(|()| out.flush()),
            // Complaints that nobody reads are no reason to stop.
            ExecStream::Stderr => {
                let _ = err.write_all(&bytes).and_then(|()| err.flush());
                Ok(())
            }
        };
        let told = match written {
            Ok(()) => to.map(Printed::Upto),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                is_closed = true;
                Some(Printed::Closed)
            }
            Err(error) => Some(Printed::Failed(error)),
        };
        if let Some(told) = told
            && tell.send(told).is_err()
        {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Breaks after so many bytes.
    struct Pipe(usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            match self.0.checked_sub(bytes.len()) {
                Some(left) => self.0 = left,
                None => return Err(io::ErrorKind::BrokenPipe.into()),
            }
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_stdout_is_told_once_and_what_follows_counts_as_read() {
        let (give, take) = mpsc::channel(9);
        let (tell, mut told) = mpsc::unbounded_channel();
        let piece = |stream, to, text: &'static str| Piece {
            stream,
            to,
            bytes: Bytes::from_static(text.as_bytes()),
        };
        for piece in [
            piece(ExecStream::Stdout, Some(2), "ab"),
            piece(ExecStream::Stdout, Some(4), "cd"),
            piece(ExecStream::Stderr, Some(5), "e"),
            piece(ExecStream::Stderr, None, "a word"),
            piece(ExecStream::Stdout, Some(6), "f"),
        ] {
            give.try_send(piece).unwrap();
        }
        drop(give);
        let mut err = Vec::new();
        print(take, &tell, &mut Pipe(2), &mut err);
        drop(tell);
        assert_eq!(err, b"ea word");
        let mut all = Vec::new();
        while let Ok(one) = told.try_recv() {
            all.push(match one {
                Printed::Upto(to) => to,
                Printed::Closed => 0,
                Printed::Failed(error) => panic!("{error}"),
            });
        }
        assert_eq!(all, [2, 0, 5, 6]);
    }
}
