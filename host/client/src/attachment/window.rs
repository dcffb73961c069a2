//! Input on its way. Pure.
//!
//! What was not acknowledged is kept, so that it can be sent again on another connection. It is
//! sent from where the program has it: nothing is read twice, and nothing is left out.

use bytes::{Buf, Bytes, BytesMut};
use fleet_model::Error;
use fleet_protocol::exec::{CHUNK_BYTES, INPUT_AHEAD_BYTES, Inward};

/// Input that is not acknowledged.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// The place before the first byte; not known before the first attachment.
    from: Option<u64>,
    bytes: BytesMut,
    /// How many of these were sent on this connection.
    sent: usize,
    is_ended: bool,
    is_end_sent: bool,
}

impl Window {
    /// Whether more may be put in without waiting.
    pub(super) fn has_room(&self) -> bool {
        !self.is_ended && length(&self.bytes) < INPUT_AHEAD_BYTES
    }

    /// More comes.
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// A new connection, on which nothing was sent; the program has input up to here.
    ///
    /// # Errors
    /// `internal` (`input-lost`) where the program has less than was acknowledged.
    pub(super) fn attached(&mut self, taken: u64) -> Result<(), Error> {
        if let Some(from) = self.from.filter(|from| taken < *from) {
            return Err(Error::internal(
                "input-lost",
                format!("the program had input up to byte {from}, and now up to {taken}"),
            ));
        }
        self.from.get_or_insert(taken);
        (self.sent, self.is_end_sent) = (0, false);
        self.taken(taken);
        Ok(())
    }

    /// Input up to here cannot get lost any more.
    pub(super) fn taken(&mut self, offset: u64) {
        let from = *self.from.get_or_insert(offset);
        let known = usize::try_from(offset.saturating_sub(from)).unwrap_or(usize::MAX);
        self.bytes.advance(known.min(self.bytes.len()));
        self.sent = self.sent.saturating_sub(known);
        self.from = Some(from.max(offset));
    }

    /// What to send next.
    pub(super) fn next(&mut self) -> Option<Inward> {
        let from = self.from?;
        let most = usize::try_from(INPUT_AHEAD_BYTES).unwrap_or(usize::MAX);
        let end = self
            .bytes
            .len()
            .min(most)
            .min(self.sent.saturating_add(CHUNK_BYTES));
        if let Some(part) = self
            .bytes
            .get(self.sent..end)
            .filter(|part| !part.is_empty())
        {
            let at = from.saturating_add(u64::try_from(self.sent).unwrap_or(u64::MAX));
            let part = Bytes::copy_from_slice(part);
            self.sent = end;
            return Some(Inward::Input(at, part));
        }
        if self.is_ended && !self.is_end_sent && self.sent == self.bytes.len() {
            self.is_end_sent = true;
            return Some(Inward::InputEnd);
        }
        None
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(at: u64, text: &'static str) -> Option<Inward> {
        Some(Inward::Input(at, Bytes::from_static(text.as_bytes())))
    }

    #[test]
    fn what_was_not_acknowledged_is_sent_again_from_where_the_program_has_it() {
        let mut window = Window::default();
        window.put(b"abc");
        assert_eq!(window.next(), None, "nobody is attached yet");
        window.attached(10).unwrap();
        assert_eq!(window.next(), input(10, "abc"));
        assert_eq!(window.next(), None);
        window.put(b"de");
        window.end();
        assert_eq!(window.next(), input(13, "de"));
        assert_eq!(window.next(), Some(Inward::InputEnd));
        assert_eq!(window.next(), None);
        window.taken(11);
        // Another connection, and the program had more than it could say.
        window.attached(14).unwrap();
        assert_eq!(window.next(), input(14, "e"));
        assert_eq!(window.next(), Some(Inward::InputEnd));
        window.taken(15);
        window.attached(15).unwrap();
        assert_eq!(window.next(), Some(Inward::InputEnd));
        assert_eq!(window.attached(14).unwrap_err().code, "input-lost");
    }

    #[test]
    fn no_more_runs_ahead_than_may() {
        let ahead = usize::try_from(INPUT_AHEAD_BYTES).unwrap();
        let mut window = Window::default();
        window.attached(0).unwrap();
        window.put(&vec![1; ahead - 1]);
        assert!(window.has_room());
        window.put(&[2; 9]);
        assert!(!window.has_room());
        let drain = |window: &mut Window| {
            let mut sent = 0;
            while let Some(Inward::Input(_, bytes)) = window.next() {
                assert!(bytes.len() <= CHUNK_BYTES);
                sent += bytes.len();
            }
            sent
        };
        assert_eq!(drain(&mut window), ahead);
        window.taken(3);
        assert_eq!(drain(&mut window), 3);
        window.taken(u64::try_from(ahead + 8).unwrap());
        assert!(window.has_room());
        window.end();
        assert!(!window.has_room());
    }
}
