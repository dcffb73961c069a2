//! The newest report of every item, and which of them the controller has not been told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_model::item::{ItemKey, ItemStatus, Phase};
use tokio::sync::Notify;

/// Level-triggered: a report replaces the one before it, told or not. Memory is bounded by the
/// number of items that are not removed.
#[derive(Debug, Default)]
pub(crate) struct Board {
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    newest: BTreeMap<ItemKey, ItemStatus>,
    untold: BTreeSet<ItemKey>,
}

impl Board {
    /// Posts a report, if it says something new.
    pub(crate) fn post(&self, status: ItemStatus) {
        let mut inner = self.lock();
        if inner.newest.get(&status.id) == Some(&status) {
            return;
        }
        inner.untold.insert(status.id.clone());
        inner.newest.insert(status.id.clone(), status);
        drop(inner);
        self.changed.notify_one();
    }

    /// A new session has been told nothing.
    pub(crate) fn tell_all_again(&self) {
        let mut inner = self.lock();
        inner.untold = inner.newest.keys().cloned().collect();
        drop(inner);
        self.changed.notify_one();
    }

    /// Waits for untold reports and takes up to `limit` of them. Cancel-safe: taking is the last thing it does.
    pub(crate) async fn take(&self, limit: usize) -> Vec<ItemStatus> {
        loop {
            let changed = self.changed.notified();
            let taken = self.take_now(limit);
            if !taken.is_empty() {
                return taken;
            }
            changed.await;
        }
    }

    fn take_now(&self, limit: usize) -> Vec<ItemStatus> {
        let mut inner = self.lock();
        let keys: Vec<_> = inner.untold.iter().take(limit).cloned().collect();
        keys.iter()
            .filter_map(|key| {
                inner.untold.remove(key);
                match inner.newest.get(key) {
                    // The last word on an item. If it is lost, the controller states the tombstone
                    // again and is answered again.
                    Some(last) if last.phase == Phase::Removed => inner.newest.remove(key),
                    status => status.cloned(),
                }
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
