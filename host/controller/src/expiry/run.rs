//! Waits until something is due, and removes it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::{Error, WorkloadId};
use fleet_store::Tx;
use tokio::sync::watch;

use super::Moment;
use super::plan::{Plan, plan};
use crate::controller::Inner;
use crate::journal::{Journal, about_workload};
use crate::refusal::write_failed;
use crate::state::{ControllerState, WorkloadRow};
use crate::workload::{Found, tombstone};

/// Removed in one transaction, at most: others want to write, too.
const BATCH: usize = 256;
/// A pause after a write that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Removes what is due, for as long as it is polled. Asleep while nothing has an end.
pub(crate) async fn run(inner: &Arc<Inner>) -> Infallible {
    let mut changes = inner.store.changes();
    loop {
        // Seen before looked: a commit after this line wakes the wait below.
        changes.borrow_and_update();
        let snapshot = inner.store.snapshot();
        let Plan { mut due, again_ms } = plan(snapshot.state.workloads.values(), &inner.moment());
        let revision = snapshot.revision;
        drop(snapshot);
        if due.is_empty() {
            wait(inner, &mut changes, revision, again_ms).await;
            continue;
        }
        due.truncate(BATCH);
        if let Err(error) = expire(inner, due).await {
            tracing::warn!(%error, "workloads whose time is over could not be removed; this is tried again");
            inner.clock.sleep(RETRY).await;
        }
    }
}

/// Returns when it is time to look again, or when there may be a new end: every transaction that sets
/// one raises the revision. One that puts an end off does not, and is seen when the old end comes.
async fn wait(
    inner: &Inner,
    changes: &mut watch::Receiver<u64>,
    looked: u64,
    again_ms: Option<u64>,
) {
    let time = async {
        match again_ms {
            Some(ms) => inner.clock.sleep(Duration::from_millis(ms)).await,
            None => std::future::pending().await,
        }
    };
    let change = async {
        while changes.changed().await.is_ok() {
            if inner.store.snapshot().revision != looked {
                return;
            }
        }
        // The store is closed: there is nothing to be done any more.
        std::future::pending().await
    };
    tokio::select! {
        () = time => {}
        () = change => {}
    }
}

/// Removes those of these that are due.
///
/// # Errors
/// What the writer says.
pub(super) async fn expire(inner: &Inner, due: Vec<WorkloadId>) -> Result<(), Error> {
    let (journal, now) = (inner.journal(), inner.moment());
    let written = inner.store.write(move |tx| {
        due.iter().for_each(|id| one(tx, journal, &now, id));
        Ok(())
    });
    written.await.map_err(write_failed)
}

/// Removes one, if its end has not been put off and nobody else has removed it meanwhile.
fn one(tx: &mut Tx<'_, ControllerState>, journal: Journal, now: &Moment, id: &WorkloadId) {
    let is_due = |at: &Arc<WorkloadRow>| {
        let expiry = at.expires.as_ref();
        expiry.is_some_and(|expiry| expiry.left_ms(now) == 0)
    };
    let Some(at) = tx.get::<WorkloadRow>(id).filter(is_due) else {
        return;
    };
    match Found::at(tx.state(), &at) {
        Ok(found) => {
            let generation = tombstone(tx, journal, &found, None);
            let event = about_workload("workload.expired", &at, generation, "its time is over");
            journal.record(tx, event);
        }
        Err(error) => {
            tracing::error!(%error, "a workload whose time is over cannot be removed");
            tx.put(WorkloadRow {
                expires: None,
                ..WorkloadRow::clone(&at)
            });
        }
    }
}
