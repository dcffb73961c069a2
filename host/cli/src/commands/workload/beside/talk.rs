//! Between this process's standard streams and a program: nothing here waits for anything else.

use std::time::Duration;

use bytes::Bytes;
use fleet_client::{Attachment, ClientError, ExecStream, Happening};
use fleet_model::exec::ExecState;
use tokio::sync::mpsc;

use super::keys::Keys;
use super::printer::{Piece, Printed, Printer, printer};
use super::screen::{self, Raw};
use super::signals::{Ears, Heard};
use super::typist;
use crate::failure::Failure;

/// How long what was printed may take to be written when it is left.
const LEAVING: Duration = Duration::from_secs(1);

/// The exit code where the terminal went away: as a shell has it for one ended by SIGHUP.
const HANGUP: u8 = 129;

/// What is passed on of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Passed {
    /// Every key, as it is typed, and the terminal's size.
    Keys,
    /// Standard input to its end, and signals.
    Input,
    /// Signals.
    Signals,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The program did.
    Program(ExecState),
    /// It was left, and goes on: the place after the last byte seen, and this command's exit code.
    Left(u64, u8),
}

/// Talks until the program has ended or is left.
pub(super) async fn talk(mut attachment: Attachment, passed: Passed) -> Result<Ended, Failure> {
    let mut ears = Ears::open()?;
    let raw = match passed {
        Passed::Keys => Some(Raw::enter()?),
        Passed::Input | Passed::Signals => None,
    };
    if raw.is_some() {
        attachment.resize(screen::size());
    }
    let mut talk = Talk {
        input: match passed {
            Passed::Keys | Passed::Input => Some(typist::input()?),
            Passed::Signals => None,
        },
        passed,
        keys: Keys::default(),
        printer: printer()?,
        waiting: None,
        seen: attachment.after(),
    };
    let mut ended = talk.drive(&mut attachment, &mut ears).await;
    // What was printed is out before anything else is said.
    let Printer {
        pieces,
        mut printed,
    } = talk.printer;
    drop(pieces);
    let has_ended = matches!(ended, Ok(Ended::Program(_)));
    let rest = async {
        while let Some(Printed::Upto(to)) = printed.recv().await {
            attachment.seen(to);
            if let Ok(Ended::Left(after, _)) = &mut ended {
                *after = to;
            }
        }
    };
    match has_ended {
        true => rest.await,
        // Whoever leaves does not wait for a slow reader.
        false => drop(tokio::time::timeout(LEAVING, rest).await),
    }
    drop(raw);
    attachment.close().await;
    ended
}

struct Talk {
    passed: Passed,
    input: Option<mpsc::Receiver<Vec<u8>>>,
    keys: Keys,
    printer: Printer,
    /// Output that the printer had no room for.
    waiting: Option<Piece>,
    /// The place after the last byte written.
    seen: u64,
}

impl Talk {
    async fn drive(
        &mut self,
        attachment: &mut Attachment,
        ears: &mut Ears,
    ) -> Result<Ended, Failure> {
        loop {
            let is_open = self.waiting.is_none();
            let wants_input = attachment.wants_input();
            tokio::select! {
                happening = hear(attachment, is_open) => match happening? {
                    Some(Happening::Output { stream, to, bytes }) => {
                        self.waiting = Some(Piece { stream, to: Some(to), bytes });
                    }
                    Some(Happening::Gap { from, to }) => self.waiting = Some(self.missing(from, to)),
                    // Whether there is any is asked at each turn.
                    Some(Happening::Room) => {}
                    Some(Happening::Ended(state)) => return Ok(Ended::Program(state)),
                    // It says that it has ended before it says nothing more.
                    None => return Err(Failure::failed("the program's end was not told")),
                },
                room = self.printer.pieces.clone().reserve_owned(), if !is_open => {
                    if let (Ok(room), Some(piece)) = (room, self.waiting.take()) {
                        drop(room.send(piece));
                    }
                }
                Some(printed) = self.printer.printed.recv() => match printed {
                    Printed::Upto(to) => {
                        self.seen = to;
                        attachment.seen(to);
                    }
                    // As the program's own pipe would have it.
                    Printed::Closed => attachment.signal("PIPE"),
                    // Nobody looks at it any more.
                    Printed::Failed(_) if self.passed == Passed::Keys => return Ok(self.left(HANGUP)),
                    Printed::Failed(error) => return Err(Failure::io("cannot write the output", &error)),
                },
                typed = next(&mut self.input), if wants_input => match typed {
                    Some(typed) => if let Some(left) = self.typed(attachment, &typed) {
                        return Ok(left);
                    },
                    // A terminal has no end but that it is gone, which its program need not notice.
                    None if self.passed == Passed::Keys => return Ok(self.left(HANGUP)),
                    None => {
                        self.input = None;
                        attachment.end_input();
                    }
                },
                heard = ears.next() => match (heard, self.passed) {
                    (Heard::Resized, Passed::Keys) => attachment.resize(screen::size()),
                    (Heard::Resized, _) => {}
                    // Keys make the program's signals; these are for this process.
                    (Heard::Signal(_, number), Passed::Keys) => return Ok(self.left(128 + number)),
                    (Heard::Signal(name, _), _) => attachment.signal(name),
                    (Heard::Enough, _) => return Ok(self.left(130)),
                },
            }
        }
    }

    fn typed(&mut self, attachment: &mut Attachment, typed: &[u8]) -> Option<Ended> {
        if self.passed != Passed::Keys {
            attachment.input(typed);
            return None;
        }
        let typed = self.keys.typed(typed);
        attachment.input(&typed.bytes);
        typed.leaves.then(|| self.left(0))
    }

    fn left(&self, code: u8) -> Ended {
        Ended::Left(self.seen, code)
    }

    fn missing(&self, from: u64, to: u64) -> Piece {
        // A terminal in raw mode is told where a line begins.
        let end = match self.passed {
            Passed::Keys => "\r\n",
            Passed::Input | Passed::Signals => "\n",
        };
        let bytes = to.saturating_sub(from);
        let words = format!(
            "fleet-host: {bytes} bytes of output are missing here: they were read before, or more was printed than is kept while nobody read it{end}"
        );
        Piece {
            stream: ExecStream::Stderr,
            to: Some(to),
            bytes: Bytes::from(words),
        }
    }
}

/// What happens next, where there is room for it. What is typed and the signals go out in any case.
async fn hear(
    attachment: &mut Attachment,
    has_room: bool,
) -> Result<Option<Happening>, ClientError> {
    if has_room {
        attachment.next().await
    } else {
        match attachment.speak().await {}
    }
}

/// The next piece of input; never, where there is none.
async fn next(input: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match input {
        Some(input) => input.recv().await,
        None => std::future::pending().await,
    }
}
