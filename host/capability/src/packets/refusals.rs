//! Refused packets, as they are said in the workload's log: soon, and not too often.

/// How long after one line about refused packets the next may follow.
const PAUSE_MS: u64 = 10_000;

/// What is still to be said. Times are milliseconds of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    count: u64,
    last: String,
    not_before_ms: u64,
}

impl Refusals {
    /// One more was refused.
    pub(crate) fn note(&mut self, why: &str) {
        self.count += 1;
        why.clone_into(&mut self.last);
    }

    /// How long until there is something to say.
    pub(crate) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        (self.count > 0).then(|| self.not_before_ms.saturating_sub(now_ms))
    }

    /// What is to be said now.
    pub(crate) fn due(&mut self, now_ms: u64) -> Option<String> {
        if self.wait_ms(now_ms)? > 0 {
            return None;
        }
        self.not_before_ms = now_ms + PAUSE_MS;
        self.rest()
    }

    /// All that has not been said.
    pub(crate) fn rest(&mut self) -> Option<String> {
        let text = match std::mem::take(&mut self.count) {
            0 => return None,
            1 => format!("a packet was refused: {}", self.last),
            count => format!("{count} packets were refused, the last one: {}", self.last),
        };
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_said_at_once_and_those_that_follow_together() {
        let mut refusals = Refusals::default();
        assert_eq!((refusals.wait_ms(5), refusals.due(5)), (None, None));
        refusals.note("a");
        assert_eq!(refusals.wait_ms(5), Some(0));
        assert_eq!(refusals.due(5).as_deref(), Some("a packet was refused: a"));
        refusals.note("b");
        refusals.note("c");
        assert_eq!(refusals.due(5 + PAUSE_MS - 1), None);
        assert_eq!(refusals.wait_ms(5 + PAUSE_MS - 1), Some(1));
        assert_eq!(
            refusals.due(5 + PAUSE_MS).as_deref(),
            Some("2 packets were refused, the last one: c")
        );
        refusals.note("d");
        assert_eq!(refusals.rest().as_deref(), Some("a packet was refused: d"));
        assert_eq!(refusals.rest(), None);
    }
}
