//! From what comes on a connection to lines, none of which is held beyond its limit.

use fleet_model::packet::MAX_PACKET_BYTES;

/// What a connection said.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Said<'a> {
    /// A line, without its line feed.
    Line(&'a [u8]),
    /// A line that is longer than a packet may be; said once, when that is certain.
    TooLarge,
}

/// The beginning of a line whose end has not come.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    held: Vec<u8>,
    /// The line that comes is too large; it is passed over up to its end.
    is_passing: bool,
}

impl Lines {
    /// Takes bytes and gives the lines that end in them.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(Said<'_>)) {
        while let Some(feed) = bytes.iter().position(|byte| *byte == b'\n') {
            let (part, rest) = bytes.split_at(feed);
            bytes = rest.get(1..).unwrap_or_default();
            self.hold(part, &mut emit);
            self.end(&mut emit);
        }
        self.hold(bytes, &mut emit);
    }

    /// Nothing more comes: a line without its line feed is one too.
    pub(crate) fn finish(&mut self, mut emit: impl FnMut(Said<'_>)) {
        if !self.held.is_empty() {
            self.end(&mut emit);
        }
    }

    fn hold(&mut self, part: &[u8], emit: &mut impl FnMut(Said<'_>)) {
        if self.is_passing {
            return;
        }
        if self.held.len() + part.len() > MAX_PACKET_BYTES {
            self.is_passing = true;
            self.held = Vec::new();
            emit(Said::TooLarge);
            return;
        }
        self.held.extend_from_slice(part);
    }

    fn end(&mut self, emit: &mut impl FnMut(Said<'_>)) {
        if !std::mem::take(&mut self.is_passing) {
            emit(Said::Line(&self.held));
        }
        self.held.clear();
        // Most packets are small: what a large one needed is not kept for every connection.
        self.held.shrink_to(1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(chunks: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::default();
        let mut found = Vec::new();
        let mut emit = |said: Said<'_>| {
            found.push(match said {
                Said::Line(line) => Some(line.to_vec()),
                Said::TooLarge => None,
            });
        };
        for chunk in chunks {
            lines.feed(chunk, &mut emit);
        }
        lines.finish(&mut emit);
        found
    }

    #[test]
    fn lines_come_whole_and_the_last_needs_no_end() {
        assert_eq!(
            lines(&[b"a\nb", b"c\n\nd"]),
            [
                Some(b"a".to_vec()),
                Some(b"bc".to_vec()),
                Some(Vec::new()),
                Some(b"d".to_vec())
            ]
        );
        assert_eq!(lines(&[b"a\n", b""]), [Some(b"a".to_vec())]);
    }

    #[test]
    fn a_line_that_is_too_large_is_said_once_and_the_next_is_read() {
        let exact = vec![b'x'; MAX_PACKET_BYTES];
        let over = [exact.as_slice(), b"y"].concat();
        assert_eq!(
            lines(&[&exact, b"\n", &over, &over, b"z\nnext\n", &over]),
            [Some(exact.clone()), None, Some(b"next".to_vec()), None]
        );
        assert_eq!(lines(&[&over, b"\nnext"]), [None, Some(b"next".to_vec())]);
    }
}
