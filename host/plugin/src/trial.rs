//! A probation as the calls meet it: what fails is counted, and one failure too many is told.
//!
//! Counted are failures that are the plugin's own: traps, internal errors, broken limits. An item
//! that the code before this one failed as well says nothing about this one.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_model::ItemKey;
use tokio::sync::Notify;

use crate::failure::{Blame, Failure};

/// One generation's probation.
#[derive(Debug)]
pub(crate) struct Trial {
    /// How many failures are borne.
    borne: u32,
    /// The items that failed before it.
    failing: BTreeSet<ItemKey>,
    found: Mutex<Found>,
    too_many: Notify,
    ended: Notify,
}

#[derive(Debug, Default)]
struct Found {
    failures: u32,
    last: String,
    is_over: bool,
}

impl Trial {
    pub(crate) fn new(borne: u32, failing: BTreeSet<ItemKey>) -> Self {
        Self {
            borne,
            failing,
            found: Mutex::default(),
            too_many: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// A call about this item, if about one, has failed.
    pub(crate) fn failed(&self, item: Option<&ItemKey>, failure: &Failure) {
        if failure.blame != Blame::Plugin || item.is_some_and(|item| self.failing.contains(item)) {
            return;
        }
        let mut found = self.found();
        if found.is_over {
            return;
        }
        found.failures = found.failures.saturating_add(1);
        found.last.clone_from(&failure.error.message);
        if found.failures > self.borne {
            found.is_over = true;
            self.too_many.notify_one();
        }
    }

    /// It is over: nothing counts from now on.
    pub(crate) fn end(&self) {
        self.found().is_over = true;
        self.ended.notify_one();
    }

    /// Returns when it is over before its time.
    pub(crate) async fn ended(&self) {
        self.ended.notified().await;
    }

    /// Returns when it has failed too often, and says how often and how the last time.
    pub(crate) async fn too_many(&self) -> (u32, String) {
        self.too_many.notified().await;
        let found = self.found();
        (found.failures, found.last.clone())
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::{Error, WorkloadId};
    use futures::FutureExt;

    use super::*;

    fn item(number: u128) -> ItemKey {
        ItemKey::workload(WorkloadId::new(1, number))
    }

    fn failure(blame: Blame) -> Failure {
        Failure {
            error: Error::internal("trap", "it trapped"),
            blame,
        }
    }

    #[test]
    fn the_plugins_own_failures_count_and_one_too_many_is_told() {
        let trial = Trial::new(2, BTreeSet::from([item(9)]));
        for blame in [Blame::Nobody, Blame::Host, Blame::Moved] {
            for _ in 0..9 {
                trial.failed(Some(&item(1)), &failure(blame));
            }
        }
        for _ in 0..9 {
            trial.failed(Some(&item(9)), &failure(Blame::Plugin));
        }
        trial.failed(Some(&item(1)), &failure(Blame::Plugin));
        trial.failed(None, &failure(Blame::Plugin));
        assert!(trial.too_many().now_or_never().is_none());
        trial.failed(Some(&item(2)), &failure(Blame::Plugin));
        let (failures, last) = trial.too_many().now_or_never().unwrap();
        assert_eq!((failures, last.as_str()), (3, "it trapped"));
    }

    #[test]
    fn after_its_end_nothing_counts() {
        let trial = Trial::new(0, BTreeSet::new());
        trial.end();
        trial.failed(None, &failure(Blame::Plugin));
        assert!(trial.too_many().now_or_never().is_none());
        assert!(trial.ended().now_or_never().is_some());
    }
}
