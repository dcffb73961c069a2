//! Owns the supervisors: one task per item that is not removed.

use std::collections::{BTreeMap, HashMap};
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleet_model::driver::Observation;
use fleet_model::item::ItemKey;
use futures::FutureExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::context::Context;
use crate::reconcile::supervise::{Ended, supervise};

/// How long after a panic a supervisor starts again.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// Starts supervisors and wakes them.
pub(crate) struct Hub {
    context: Arc<Context>,
    stop: CancellationToken,
    tasks: TaskTracker,
    wakes: Mutex<HashMap<ItemKey, Arc<Notify>>>,
}

impl Hub {
    pub(crate) fn new(context: Arc<Context>, stop: CancellationToken) -> Self {
        Self {
            context,
            stop,
            tasks: TaskTracker::new(),
            wakes: Mutex::new(HashMap::new()),
        }
    }

    /// Starts a supervisor for every item that is recorded and not removed.
    pub(crate) fn resume(self: &Arc<Self>, mut recovered: BTreeMap<ItemKey, Observation>) {
        let snapshot = self.context.store.snapshot();
        for record in snapshot
            .state
            .items
            .values()
            .filter(|record| !record.removed)
        {
            let seen = recovered.remove(&record.item.id);
            self.start(&record.item.id, seen);
        }
    }

    /// An item's record has changed.
    pub(crate) fn wake(self: &Arc<Self>, key: &ItemKey) {
        self.start(key, None);
    }

    /// Waits until all supervisors have ended, which they do when the hub is stopped.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn start(self: &Arc<Self>, key: &ItemKey, recovered: Option<Observation>) {
        let mut wakes = self.lock();
        if let Some(wake) = wakes.get(key) {
            wake.notify_one();
            return;
        }
        let wake = Arc::new(Notify::new());
        wakes.insert(key.clone(), wake.clone());
        drop(wakes);
        let (hub, key) = (self.clone(), key.clone());
        self.tasks.spawn(async move {
            let supervised = supervise(
                hub.context.clone(),
                key.clone(),
                recovered,
                wake,
                hub.stop.clone(),
            );
            match AssertUnwindSafe(supervised).catch_unwind().await {
                Ok(Ended::Removed) => hub.removed(&key),
                Ok(Ended::Stopped) => {}
                Err(_) => {
                    tracing::error!(item = %key, "a supervisor panicked, which is a bug; it starts again");
                    hub.context.clock.sleep(AFTER_PANIC).await;
                    hub.removed(&key);
                }
            }
        });
    }

    /// An item's supervisor is ending, because the item is removed or by a bug. A newer intent may have been recorded in
    /// this moment: whoever recorded it wakes either the old supervisor's entry, which is looked
    /// after here, or makes a new one.
    fn removed(self: &Arc<Self>, key: &ItemKey) {
        self.lock().remove(key);
        if self.is_there(key) {
            self.wake(key);
        }
    }

    fn is_there(&self, key: &ItemKey) -> bool {
        self.context
            .store
            .snapshot()
            .state
            .items
            .get(key)
            .is_some_and(|record| !record.removed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ItemKey, Arc<Notify>>> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
