//! What is under way in this process, and is gone with it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::exec::ExecId;
use tokio::sync::Notify;

use super::attach::Seats;
use crate::turns::Turns;

/// Programs being begun, and who is attached to which.
#[derive(Debug, Default)]
pub(crate) struct Execs {
    /// One place per program.
    pub(super) seats: Arc<Seats>,
    /// Signals of one are sent one after the other.
    pub(super) signals: Turns<ExecId>,
    beginning: Mutex<Vec<ExecId>>,
    changed: Notify,
}

/// A program is being begun until this is dropped, also when whoever began it has gone away. Then its
/// deadline is to be kept, or it is to be begun by somebody else.
pub(super) struct UnderWay<'a> {
    execs: &'a Execs,
    id: ExecId,
}

impl Execs {
    /// Somebody begins it.
    pub(super) fn begin(&self, id: ExecId) -> UnderWay<'_> {
        self.lock().push(id);
        UnderWay { execs: self, id }
    }

    /// Those that somebody is beginning now.
    pub(super) fn under_way(&self) -> BTreeSet<ExecId> {
        self.lock().iter().copied().collect()
    }

    /// Returns when something is to be looked after, also if that was so since the last time.
    pub(super) async fn wait(&self) {
        self.changed.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<ExecId>> {
        self.beginning
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        let mut beginning = self.execs.lock();
        if let Some(at) = beginning.iter().position(|id| *id == self.id) {
            beginning.swap_remove(at);
        }
        drop(beginning);
        self.execs.changed.notify_one();
    }
}
