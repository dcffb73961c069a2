//! The failure budget of one plugin, as its calls meet it: asked before a call waits for a place,
//! taken when it has one, settled when it ends, also when its caller goes away.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::{Error, ErrorKind, ItemKey, Name};
use fleet_seam::Clock;

use crate::budget::{Begun, Budget, Outcome, Refusal};
use crate::convert::text;
use crate::failure::{Blame, Failure};

/// How much of the last failure a refusal repeats, in bytes.
const MAX_LAST: usize = 1_024;

/// How much is borne of one plugin.
pub(crate) struct Patience {
    plugin: Name,
    clock: Arc<dyn Clock>,
    budget: Mutex<Budget>,
}

/// One call about one item. Dropped without an end, nothing is known of it.
pub(crate) struct Attempt<'a> {
    patience: &'a Patience,
    item: &'a ItemKey,
    begun: Begun,
    outcome: Outcome,
}

impl Patience {
    pub(crate) fn new(plugin: Name, clock: Arc<dyn Clock>) -> Self {
        Self {
            plugin,
            clock,
            budget: Mutex::default(),
        }
    }

    /// Whether a call about this item is worth waiting for.
    ///
    /// # Errors
    /// `exhausted` (`failure-budget`), naming the last failure.
    pub(crate) fn check(&self, item: &ItemKey) -> Result<(), Error> {
        let now_ms = self.clock.boot_ms();
        let checked = self.lock().check(item, now_ms);
        checked.map_err(|refusal| self.refused(item, refusal))
    }

    /// Begins a call about this item.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub(crate) fn begin<'a>(&'a self, item: &'a ItemKey) -> Result<Attempt<'a>, Error> {
        let now_ms = self.clock.boot_ms();
        let begun = self.lock().begin(item, now_ms);
        Ok(Attempt {
            patience: self,
            item,
            begun: begun.map_err(|refusal| self.refused(item, refusal))?,
            outcome: Outcome::Nothing,
        })
    }

    /// The items that the plugin has failed since its last answer for them.
    pub(crate) fn failing(&self) -> BTreeSet<ItemKey> {
        self.lock().failing()
    }

    /// Other code has taken the plugin's place: what failed before says nothing any more.
    pub(crate) fn forget(&self) {
        *self.lock() = Budget::default();
    }

    fn refused(&self, item: &ItemKey, refusal: Refusal) -> Error {
        let Refusal {
            failures,
            last,
            retry_after_ms,
        } = refusal;
        let plugin = &self.plugin;
        let message = format!(
            "`{plugin}` failed {failures} times in a row for {item} and is left alone with it; it is asked again in \
             {retry_after_ms} ms. The last time: {last}"
        );
        let mut error = Error::new(ErrorKind::Exhausted, "failure-budget", message)
            .with("plugin", plugin)
            .with("item", item)
            .with("last", last);
        error.retry_after_ms = Some(u32::try_from(retry_after_ms).unwrap_or(u32::MAX));
        error
    }

    fn lock(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Attempt<'_> {
    /// What became of it.
    pub(crate) fn ended<T>(mut self, result: &Result<T, Failure>) {
        self.outcome = match result {
            Ok(_) => Outcome::Answered,
            Err(Failure { error, blame }) => match blame {
                Blame::Plugin => Outcome::Failed(text(error.message.clone(), MAX_LAST)),
                Blame::Nobody => Outcome::Answered,
                Blame::Host | Blame::Moved => Outcome::Nothing,
            },
        };
    }
}

impl Drop for Attempt<'_> {
    fn drop(&mut self) {
        let now_ms = self.patience.clock.boot_ms();
        let outcome = std::mem::replace(&mut self.outcome, Outcome::Nothing);
        self.patience
            .lock()
            .end(self.item, self.begun, outcome, now_ms);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleet_model::WorkloadId;
    use fleet_seam::SimClock;

    use super::*;

    fn failed(blame: Blame) -> Result<(), Failure> {
        Err(Failure {
            error: Error::internal("trap", "it trapped"),
            blame,
        })
    }

    #[test]
    fn a_refusal_names_the_last_failure_and_the_rest_of_the_pause() {
        let clock = Arc::new(SimClock::new(0));
        let patience = Patience::new("mock".parse().unwrap(), clock.clone());
        let item = ItemKey::workload(WorkloadId::new(1, 1));
        for _ in 0..crate::budget::IN_A_ROW {
            // What is not the plugin's fault does not count.
            patience.begin(&item).unwrap().ended(&failed(Blame::Host));
            patience.begin(&item).unwrap().ended(&failed(Blame::Plugin));
        }
        clock.advance(Duration::from_millis(1_000));
        let error = patience.check(&item).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str(), error.retry_after_ms),
            (ErrorKind::Exhausted, "failure-budget", Some(4_000))
        );
        for part in [
            "`mock`",
            "5 times",
            &item.to_string(),
            "4000 ms",
            "it trapped",
        ] {
            assert!(error.message.contains(part), "{error}");
        }
        assert_eq!(patience.begin(&item).err(), Some(error));
        clock.advance(Duration::from_millis(4_000));
        let trial = patience.begin(&item).unwrap();
        assert!(patience.begin(&item).is_err());
        // Its caller goes away.
        drop(trial);
        patience.begin(&item).unwrap().ended(&failed(Blame::Nobody));
        patience.check(&item).unwrap();
    }

    #[test]
    fn other_code_begins_with_a_clean_slate() {
        let patience = Patience::new("mock".parse().unwrap(), Arc::new(SimClock::new(0)));
        let item = ItemKey::workload(WorkloadId::new(1, 1));
        for _ in 0..crate::budget::IN_A_ROW {
            patience.begin(&item).unwrap().ended(&failed(Blame::Plugin));
        }
        assert!(patience.check(&item).is_err());
        assert_eq!(patience.failing(), BTreeSet::from([item.clone()]));
        // What the old code began may end later.
        let other = ItemKey::workload(WorkloadId::new(1, 2));
        let late = patience.begin(&other).unwrap();
        patience.forget();
        late.ended(&failed(Blame::Moved));
        patience.check(&item).unwrap();
        assert_eq!(patience.failing(), BTreeSet::new());
    }
}
