//! What is known of the room that a workload's files take. Pure.
//!
//! Uploads under way are promised all they will need, and what they have written since the last look is
//! added to what was seen: so a look is good for many uploads, and two that begin at once do not both
//! get the same room.

/// How long a look is good for, in milliseconds: as long as the limit itself is looked at
/// (`crate::disk`). What the program writes meanwhile is found by the next one.
pub(super) const KEPT_MS: u64 = 5_000;

/// One workload's room.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// What was on the disk, in bytes, and when the look began.
    seen: Option<(u64, u64)>,
    /// Written by uploads since that look began, in bytes.
    written_bytes: u64,
    /// Promised to uploads under way and not written yet, in bytes.
    promised_bytes: u64,
}

/// A look that has begun.
#[derive(Debug)]
pub(super) struct Look {
    at_ms: u64,
    written_bytes: u64,
}

impl Ledger {
    /// What is taken, in bytes, promises included, if that was looked at a short time ago.
    pub(super) fn taken(&self, now_ms: u64) -> Option<u64> {
        let (bytes, at_ms) = self.seen?;
        let is_fresh = now_ms.saturating_sub(at_ms) < KEPT_MS;
        is_fresh.then(|| {
            bytes
                .saturating_add(self.written_bytes)
                .saturating_add(self.promised_bytes)
        })
    }

    /// The same, if the look began after this time.
    pub(super) fn taken_after(&self, then_ms: u64, now_ms: u64) -> Option<u64> {
        let is_later = self.seen.is_some_and(|(_, at_ms)| at_ms > then_ms);
        self.taken(now_ms).filter(|_| is_later)
    }

    /// Begins a look.
    pub(super) fn look(&self, at_ms: u64) -> Look {
        Look {
            at_ms,
            written_bytes: self.written_bytes,
        }
    }

    /// What was seen, and what is taken by that. What was written during the look counts beside what was
    /// seen: it may be in it or not.
    pub(super) fn seen(&mut self, look: &Look, bytes: u64) -> u64 {
        self.seen = Some((bytes, look.at_ms));
        self.written_bytes = self.written_bytes.saturating_sub(look.written_bytes);
        bytes
            .saturating_add(self.written_bytes)
            .saturating_add(self.promised_bytes)
    }

    /// An upload begins that needs so much.
    pub(super) fn promise(&mut self, bytes: u64) {
        self.promised_bytes = self.promised_bytes.saturating_add(bytes);
    }

    /// An upload has written so much of what it was promised.
    pub(super) fn wrote(&mut self, bytes: u64) {
        self.release(bytes);
        self.written_bytes = self.written_bytes.saturating_add(bytes);
    }

    /// An upload does not need so much of what it was promised.
    pub(super) fn release(&mut self, bytes: u64) {
        self.promised_bytes = self.promised_bytes.saturating_sub(bytes);
    }

    /// Whether nothing would be lost with it.
    pub(super) fn is_idle(&self, now_ms: u64) -> bool {
        self.promised_bytes == 0 && self.taken(now_ms).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn promises_count_until_they_are_written_and_then_until_they_are_seen() {
        let mut ledger = Ledger::default();
        assert_eq!(ledger.taken(0), None);
        let look = ledger.look(10);
        assert_eq!(ledger.seen(&look, 100), 100);
        ledger.promise(50);
        assert_eq!(ledger.taken(10), Some(150));
        ledger.wrote(20);
        assert_eq!(ledger.taken(10), Some(150));
        // Of the 20 that a look finds, none counts twice; what comes during the look may.
        let look = ledger.look(20);
        ledger.wrote(10);
        assert_eq!(ledger.seen(&look, 125), 125 + 10 + 20);
        ledger.release(20);
        assert_eq!(ledger.taken(20), Some(135));
        let look = ledger.look(30);
        assert_eq!(ledger.seen(&look, 130), 130);
    }

    #[test]
    fn a_look_is_good_for_a_while_and_a_refusal_needs_one_of_its_own() {
        let mut ledger = Ledger::default();
        let look = ledger.look(10);
        ledger.seen(&look, 7);
        assert_eq!(ledger.taken(10 + KEPT_MS - 1), Some(7));
        assert_eq!(ledger.taken(10 + KEPT_MS), None);
        for (asked_ms, taken) in [(9, Some(7)), (10, None), (11, None)] {
            assert_eq!(ledger.taken_after(asked_ms, 12), taken, "{asked_ms}");
        }
        assert!(!ledger.is_idle(12) && ledger.is_idle(10 + KEPT_MS));
        ledger.promise(1);
        assert!(!ledger.is_idle(10 + KEPT_MS));
    }
}
