//! Input that has come and was not given to the program yet. Pure.

use bytes::{Bytes, BytesMut};
use fleet_model::Error;
use fleet_protocol::exec::{CHUNK_BYTES, INPUT_AHEAD_BYTES};

/// What waits, in one piece whatever the pieces were in which it came.
#[derive(Debug)]
pub(super) struct Waiting {
    bytes: BytesMut,
    /// The place before the first byte that waits.
    from: u64,
    is_ended: bool,
    /// Whether the end was handed out: it is said once.
    is_end_out: bool,
}

impl Waiting {
    /// Nothing waits, and input up to here was taken.
    pub(super) fn new(taken: u64) -> Self {
        Self {
            bytes: BytesMut::new(),
            from: taken,
            is_ended: false,
            is_end_out: false,
        }
    }

    /// The place after the last byte that came.
    fn to(&self) -> u64 {
        self.from.saturating_add(length(&self.bytes))
    }

    /// Takes in bytes and the place before them. What came before is passed over.
    ///
    /// # Errors
    /// `invalid`: `input-gap` where bytes are missing in between, `input-ahead` where more comes than
    /// may, given what was `taken`; `conflict` (`input-ended`).
    pub(super) fn put(&mut self, at: u64, bytes: &Bytes, taken: u64) -> Result<(), Error> {
        let to = self.to();
        let Some(known) = to.checked_sub(at) else {
            return Err(Error::invalid(
                "input-gap",
                format!("input goes on at byte {at}, and the one after {to} is missing"),
            ));
        };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let new = bytes.get(known..).unwrap_or_default();
        if new.is_empty() {
            return Ok(());
        }
        if self.is_ended {
            return Err(Error::conflict(
                "input-ended",
                "input goes on after its end was said",
            ));
        }
        if to.saturating_add(length(new)).saturating_sub(taken) > INPUT_AHEAD_BYTES {
            return Err(Error::invalid(
                "input-ahead",
                format!(
                    "input runs more than {INPUT_AHEAD_BYTES} bytes ahead of what was taken: wait for `taken`"
                ),
            ));
        }
        self.bytes.extend_from_slice(new);
        Ok(())
    }

    /// Nothing more comes.
    pub(super) fn end(&mut self) {
        self.is_ended = true;
    }

    /// The next bytes, and the place before them.
    pub(super) fn next(&mut self) -> Option<Piece> {
        if self.bytes.is_empty() {
            let is_news = self.is_ended && !std::mem::replace(&mut self.is_end_out, self.is_ended);
            return is_news.then_some(Piece::End);
        }
        let at = self.from;
        let bytes = self
            .bytes
            .split_to(self.bytes.len().min(CHUNK_BYTES))
            .freeze();
        self.from = self.from.saturating_add(length(&bytes));
        Some(Piece::Bytes(at, bytes))
    }
}

/// What to give the program next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes, and the place before them.
    Bytes(u64, Bytes),
    /// The end.
    End,
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn what_came_before_is_passed_over_and_nothing_may_be_missing() {
        let mut waiting = Waiting::new(10);
        waiting.put(10, &bytes("abc"), 10).unwrap();
        waiting.put(11, &bytes("bcd"), 10).unwrap();
        waiting.put(5, &bytes("xxxxx"), 10).unwrap();
        assert_eq!(
            waiting.put(15, &bytes("e"), 10).unwrap_err().code,
            "input-gap"
        );
        assert_eq!(waiting.next(), Some(Piece::Bytes(10, bytes("abcd"))));
        assert_eq!(waiting.next(), None);
        waiting.put(14, &bytes("e"), 14).unwrap();
        waiting.end();
        assert_eq!(
            waiting.put(15, &bytes("f"), 14).unwrap_err().code,
            "input-ended"
        );
        waiting.put(14, &bytes("e"), 14).unwrap();
        assert_eq!(waiting.next(), Some(Piece::Bytes(14, bytes("e"))));
        waiting.end();
        assert_eq!(waiting.next(), Some(Piece::End));
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn so_much_may_run_ahead_and_comes_out_in_chunks() {
        let ahead = usize::try_from(INPUT_AHEAD_BYTES).unwrap();
        let much = Bytes::from(vec![7; ahead]);
        let mut waiting = Waiting::new(0);
        waiting.put(0, &much, 0).unwrap();
        let one = bytes("x");
        let at = INPUT_AHEAD_BYTES;
        assert_eq!(waiting.put(at, &one, 0).unwrap_err().code, "input-ahead");
        waiting.put(at, &one, 1).unwrap();
        let mut out = 0;
        while let Some(Piece::Bytes(at, bytes)) = waiting.next() {
            assert_eq!(at, u64::try_from(out).unwrap());
            assert!(bytes.len() <= CHUNK_BYTES);
            out += bytes.len();
        }
        assert_eq!(out, ahead + 1);
    }
}
