//! Which backends are left alone for a while, because they hang. Pure.

use std::collections::BTreeMap;

use fleet_model::Name;

use super::ledger::AT_ONCE;
use super::track::SLOW_MS;

/// How the backends answer. One of whose workloads a single one hangs answers about the others: it
/// hangs itself when it did not answer so often in a row as it may be asked at once.
#[derive(Debug, Default)]
pub(super) struct Patience(BTreeMap<Name, Standing>);

#[derive(Debug, Default)]
struct Standing {
    /// Looks in a row that were given up.
    slow: usize,
    /// Not asked before this time on the boot clock, in milliseconds.
    until_ms: u64,
}

impl Patience {
    /// It said something.
    pub(super) fn answered(&mut self, backend: &Name) {
        self.0.remove(backend);
    }

    /// It did not answer in time.
    pub(super) fn slow(&mut self, backend: &Name, now_ms: u64) {
        let standing = self.0.entry(backend.clone()).or_default();
        standing.slow += 1;
        if standing.slow >= AT_ONCE {
            standing.slow = 0;
            standing.until_ms = now_ms.saturating_add(SLOW_MS);
        }
    }

    /// Whether it is left alone.
    pub(super) fn is_lost(&self, backend: &Name, now_ms: u64) -> bool {
        self.0
            .get(backend)
            .is_some_and(|standing| now_ms < standing.until_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_hangs_when_it_does_not_answer_at_all_and_is_left_alone_for_a_minute() {
        let (a, b): (Name, Name) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut patience = Patience::default();
        for _ in 1..AT_ONCE {
            patience.slow(&a, 1_000);
        }
        assert!(!patience.is_lost(&a, 1_000));
        patience.answered(&a);
        for _ in 1..AT_ONCE {
            patience.slow(&a, 2_000);
        }
        assert!(!patience.is_lost(&a, 2_000));
        patience.slow(&a, 2_000);
        assert!(patience.is_lost(&a, 2_000) && patience.is_lost(&a, 61_999));
        assert!(!patience.is_lost(&b, 2_000));
        assert!(!patience.is_lost(&a, 62_000));
        // It is asked again, and hangs no longer than before.
        patience.slow(&a, 62_000);
        assert!(!patience.is_lost(&a, 62_000));
        patience.answered(&a);
        assert!(!patience.is_lost(&a, 3_000));
    }
}
