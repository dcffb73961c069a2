//! Lines out of a stream of chunks.

use std::collections::VecDeque;

use bytes::Bytes;

/// The longest line this client takes from a server: an event or a part of a log line is far below.
const LONGEST: usize = 16 * 1024 * 1024;

/// A line beyond [`LONGEST`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

/// Collects chunks and gives out whole lines, without their line ends. A last line without an end is
/// not given out: whoever sent it was cut off.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    ready: VecDeque<Vec<u8>>,
    rest: Vec<u8>,
}

impl Lines {
    /// Takes the next chunk.
    pub(crate) fn push(&mut self, chunk: &Bytes) -> Result<(), TooLong> {
        let mut parts = chunk.split(|byte| *byte == b'\n').peekable();
        while let Some(part) = parts.next() {
            if self.rest.len() + part.len() > LONGEST {
                return Err(TooLong);
            }
            self.rest.extend_from_slice(part);
            if parts.peek().is_some() {
                let mut line = std::mem::take(&mut self.rest);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                self.ready.push_back(line);
            }
        }
        Ok(())
    }

    /// The next whole line.
    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.ready.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_lines_wherever_they_are_cut() {
        let text = b"one\r\n\ntwo\nrest";
        for cut in 0..text.len() {
            let mut lines = Lines::default();
            lines.push(&Bytes::copy_from_slice(&text[..cut])).unwrap();
            lines.push(&Bytes::copy_from_slice(&text[cut..])).unwrap();
            let all: Vec<_> = std::iter::from_fn(|| lines.pop()).collect();
            assert_eq!(
                all,
                [b"one".to_vec(), b"".to_vec(), b"two".to_vec()],
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let chunk = Bytes::from(vec![b'x'; LONGEST]);
        let mut lines = Lines::default();
        lines.push(&chunk).unwrap();
        assert_eq!(lines.push(&chunk), Err(TooLong));
    }
}
