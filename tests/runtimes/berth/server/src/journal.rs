//! What a program has written, and how it goes out.
//!
//! The framing is this runtime's own. Each piece, either way, is preceded by six bytes:
//!
//! ```text
//! byte 0     0x0A from stdout, 0x0B from stderr, 0x0C to stdin
//! byte 1     a mark, always 0xB7; to stdin nothing, 0
//! byte 2..6  how long the piece is, these six bytes included, the lowest byte first
//! ```
//!
//! An empty piece to stdin is its end.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::{BufMut as _, Bytes, BytesMut};
use fleet_seam::{Clock as _, SystemClock};
use jiff::Timestamp;
use tokio::sync::watch;

const MARK: u8 = 0xB7;

/// How many bytes stand before each piece.
pub(crate) const HEADER: usize = 6;

/// What a piece to stdin begins with.
const IN: u8 = 0x0C;

/// Which end of the program wrote it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Out,
    Err,
}

impl Side {
    fn byte(self) -> u8 {
        match self {
            Self::Out => 0x0A,
            Self::Err => 0x0B,
        }
    }
}

/// One piece with its six bytes.
pub(crate) fn frame(side: Side, bytes: &[u8]) -> Bytes {
    let length = HEADER + bytes.len();
    let mut frame = BytesMut::with_capacity(length);
    frame.put_u8(side.byte());
    frame.put_u8(MARK);
    frame.put_u32_le(u32::try_from(length).unwrap_or(u32::MAX));
    frame.put_slice(bytes);
    frame.freeze()
}

/// How many bytes follow these six of a piece to stdin; `None` when they are something else.
pub(crate) fn length(header: [u8; HEADER]) -> Option<usize> {
    let [IN, 0, a, b, c, d] = header else {
        return None;
    };
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
    length.checked_sub(HEADER)
}

/// One line, without its line feed.
#[derive(Debug, Clone)]
struct Line {
    at: Timestamp,
    side: Side,
    bytes: Vec<u8>,
}

/// All lines of a program.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: Mutex<Vec<Line>>,
    changed: watch::Sender<Progress>,
}

/// How far it has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    lines: usize,
    closed: bool,
}

impl Journal {
    /// Enters a line.
    pub(crate) fn enter(&self, side: Side, bytes: Vec<u8>) {
        let at = i64::try_from(SystemClock.unix_ms()).unwrap_or(i64::MAX);
        let at = Timestamp::from_millisecond(at).unwrap_or(Timestamp::MAX);
        let mut lines = self.lines();
        lines.push(Line { at, side, bytes });
        let entered = lines.len();
        drop(lines);
        self.changed
            .send_modify(|progress| progress.lines = entered);
    }

    /// No line follows.
    pub(crate) fn close(&self) {
        self.changed.send_modify(|progress| progress.closed = true);
    }

    /// Where to begin for the last `count` lines.
    pub(crate) fn before_last(&self, count: usize) -> usize {
        self.lines().len().saturating_sub(count)
    }

    /// The lines from this one on, each as `TIME LINE` in a frame; nothing where there is none yet.
    pub(crate) fn from(&self, first: usize, since: Option<Timestamp>) -> (usize, Bytes) {
        let lines = self.lines();
        let mut framed = BytesMut::new();
        for line in lines.iter().skip(first) {
            if since.is_some_and(|since| line.at < since) {
                continue;
            }
            let mut text = format!("{:.6} ", line.at).into_bytes();
            text.extend_from_slice(&line.bytes);
            text.push(b'\n');
            framed.extend_from_slice(&frame(line.side, &text));
        }
        (lines.len(), framed.freeze())
    }

    /// Waits until there is more than so many lines. `false` when no more will come.
    pub(crate) async fn more_than(&self, lines: usize) -> bool {
        let mut changed = self.changed.subscribe();
        let ready = changed.wait_for(|progress| progress.closed || progress.lines > lines);
        ready.await.is_ok_and(|progress| progress.lines > lines)
    }

    fn lines(&self) -> MutexGuard<'_, Vec<Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_has_its_side_a_mark_and_its_length() {
        assert_eq!(
            &frame(Side::Err, b"ab")[..],
            [0x0B, 0xB7, 8, 0, 0, 0, b'a', b'b']
        );
        assert_eq!(&frame(Side::Out, b"")[..], [0x0A, 0xB7, 6, 0, 0, 0]);
    }

    #[test]
    fn a_piece_to_stdin_says_how_long_it_is() {
        assert_eq!(length([0x0C, 0, 8, 1, 0, 0]), Some(258));
        assert_eq!(length([0x0C, 0, 6, 0, 0, 0]), Some(0));
        for strange in [
            [0x0A, 0, 8, 0, 0, 0],
            [0x0C, 0xB7, 8, 0, 0, 0],
            [0x0C, 0, 5, 0, 0, 0],
        ] {
            assert_eq!(length(strange), None);
        }
    }
}
