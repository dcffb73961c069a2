//! Ends workloads whose workspace takes more disk than they may.
//!
//! A file system has no limit per folder that works everywhere, so the node measures now and then.
//! Between two looks a program can take more: the limit protects the neighbours, not the last byte.
//! A folder that is closed to the host could hold anything, so it counts as too much.

use std::sync::Arc;
use std::time::Duration;

use fleet_capability::workspace::Usage;
use fleet_model::item::ItemKey;
use fleet_model::quantity::Size;
use fleet_model::workload::WorkloadIntent;
use fleet_model::{Attempt, Error, ErrorKind, Generation, WorkloadId};
use serde::Deserialize;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::hub::Hub;
use crate::reconcile::restart::DISK_LIMIT;
use crate::state::{NodeState, Record, Stage};

/// About how long between two looks.
const PAUSE: Duration = Duration::from_secs(5);

/// A run that may be too large.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Limited {
    key: ItemKey,
    workload: WorkloadId,
    generation: Generation,
    attempt: Attempt,
    most: Size,
}

/// Looks now and then, until `stop`.
pub(crate) async fn watch(context: &Arc<Context>, hub: &Arc<Hub>, stop: &CancellationToken) {
    loop {
        tokio::select! {
            () = context.clock.sleep(context.entropy.jitter(PAUSE)) => {}
            () = stop.cancelled() => return,
        }
        for limited in limited(&context.store.snapshot().state) {
            tokio::select! {
                () = look(context, hub, limited) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// The runs that have a limit. Pure.
fn limited(state: &NodeState) -> Vec<Limited> {
    let one = |record: &Record| {
        let run = record.run.as_ref()?;
        if run.stage != Stage::Started
            || run.generation != record.item.generation
            || run.evicted.is_some()
        {
            return None;
        }
        let intent = WorkloadIntent::deserialize(record.item.intent.as_ref()?).ok()?;
        Some(Limited {
            key: record.item.id.clone(),
            workload: record.item.id.key.parse().ok()?,
            generation: run.generation,
            attempt: run.attempt,
            most: intent.spec.limits.disk?,
        })
    };
    state
        .items
        .values()
        .filter_map(|record| one(record))
        .collect()
}

async fn look(context: &Arc<Context>, hub: &Arc<Hub>, limited: Limited) {
    let usage = match context.files.usage(limited.workload).await {
        Ok(usage) => usage,
        Err(error) => {
            tracing::debug!(item = %limited.key, %error, "the workspace cannot be measured");
            return;
        }
    };
    let Some(why) = too_large(usage, limited.most) else {
        return;
    };
    let key = limited.key.clone();
    let written = context
        .store
        .write(move |tx| -> Result<(), std::convert::Infallible> {
            if let Some(record) = tx.get::<Record>(&limited.key) {
                let mut record = Record::clone(&record);
                if let Some(run) = record.run.as_mut().filter(|run| {
                    (run.generation, run.attempt) == (limited.generation, limited.attempt)
                }) {
                    run.evicted.get_or_insert(why);
                    tx.put(record);
                }
            }
            Ok(())
        });
    match written.await {
        Ok(()) => hub.wake(&key),
        // A full disk: looked at again.
        Err(error) => {
            tracing::warn!(item = %key, error = &error as &dyn std::error::Error, "a workspace is too large and that cannot be written down yet")
        }
    }
}

/// Why a workload may not go on. Pure.
fn too_large(usage: Usage, most: Size) -> Option<Error> {
    let used = Size::from_bytes(usage.limited_bytes());
    let message = if used > most {
        format!(
            "its workspace took {} MiB and its limit is {most}: look at what fills it, or raise `disk` in its [limits]",
            used.as_bytes().div_ceil(1 << 20)
        )
    } else if usage.closed > 0 {
        format!(
            "folders of its workspace are closed to the host ({}), so that its limit of {most} cannot be held: let \
             the program leave them open to the host's user, or take `disk` out of its [limits]",
            usage.closed
        )
    } else {
        return None;
    };
    Some(Error::new(ErrorKind::Exhausted, DISK_LIMIT, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_too_much_or_hides_what_it_takes_may_not_go_on() {
        for (workspace_bytes, unseen, closed, why) in [
            (1 << 20, 0, 0, None),
            // What moves while it is counted is not hidden.
            (1 << 20, 9, 0, None),
            (
                (1 << 20) + 1,
                0,
                0,
                Some("took 2 MiB and its limit is 1MiB"),
            ),
            (0, 2, 2, Some("closed to the host (2)")),
        ] {
            let usage = Usage {
                workspace_bytes,
                unseen,
                closed,
                ..Usage::default()
            };
            let error = too_large(usage, Size::from_bytes(1 << 20));
            assert_eq!(error.is_some(), why.is_some(), "{usage:?}");
            if let (Some(error), Some(why)) = (error, why) {
                assert_eq!(error.code, DISK_LIMIT);
                assert!(error.message.contains(why), "{error}");
            }
        }
    }
}
