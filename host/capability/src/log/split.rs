//! From the bytes of a stream to lines and parts of lines.

use super::limits::LINE_BYTES;

/// Holds the beginning of a line until its end, or enough of it, has come.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    held: Vec<u8>,
}

impl Splitter {
    /// Takes bytes and gives each line, or part of one that grew too long, with whether it is
    /// complete.
    pub(crate) fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(&[u8], bool)) {
        while !bytes.is_empty() {
            let room = LINE_BYTES.saturating_sub(self.held.len());
            let (near, _) = bytes.split_at_checked(room).unwrap_or((bytes, &[]));
            // A line feed right behind a full part ends the line with that part.
            let end = near
                .iter()
                .position(|byte| *byte == b'\n')
                .or((bytes.get(room) == Some(&b'\n')).then_some(room));
            let (part, complete) = match end {
                Some(end) => (bytes.get(..end).unwrap_or_default(), true),
                None => (near, false),
            };
            if complete || self.held.len() + part.len() >= LINE_BYTES {
                if self.held.is_empty() {
                    emit(part, complete);
                } else {
                    self.held.extend_from_slice(part);
                    emit(&self.held, complete);
                    self.held.clear();
                }
            } else {
                self.held.extend_from_slice(part);
            }
            bytes = bytes
                .get(part.len() + usize::from(complete)..)
                .unwrap_or_default();
        }
    }

    /// Gives what is held, for a reader who should not wait for the rest of the line.
    pub(crate) fn take(&mut self) -> Option<Vec<u8>> {
        (!self.held.is_empty()).then(|| std::mem::take(&mut self.held))
    }

    pub(crate) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(chunks: &[&[u8]]) -> Vec<(Vec<u8>, bool)> {
        let mut splitter = Splitter::default();
        let mut found = Vec::new();
        for chunk in chunks {
            splitter.feed(chunk, |part, complete| {
                found.push((part.to_vec(), complete))
            });
        }
        found.extend(splitter.take().map(|part| (part, false)));
        found
    }

    #[test]
    fn lines_come_whole_and_long_ones_in_parts() {
        assert_eq!(
            split(&[b"a\nb", b"c\n\nd"]),
            [
                (b"a".to_vec(), true),
                (b"bc".to_vec(), true),
                (Vec::new(), true),
                (b"d".to_vec(), false)
            ]
        );
        let exact = vec![b'x'; LINE_BYTES];
        assert_eq!(
            split(&[&exact, b"\n"]),
            [(exact.clone(), false), (Vec::new(), true)]
        );
        let with_end = [exact.as_slice(), b"\n"].concat();
        assert_eq!(split(&[&with_end]), [(exact, true)]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_added(chunks in prop::collection::vec(prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..40_000), 0..6)) {
            let views: Vec<&[u8]> = chunks.iter().map(Vec::as_slice).collect();
            let mut joined = Vec::new();
            for (part, complete) in split(&views) {
                prop_assert!(part.len() <= LINE_BYTES);
                joined.extend_from_slice(&part);
                if complete {
                    joined.push(b'\n');
                }
            }
            prop_assert_eq!(joined, chunks.concat());
        }
    }
}
