//! Finds runtimes that nobody wants any more and that no run remembers: a `create` whose answer was
//! lost before a crash and whose item is gone since.
//!
//! It touches only what this node's own records name: a runtime of a workload that is removed here,
//! or of a generation that a newer run has replaced. What this node knows nothing of is reported and
//! left alone.

use std::sync::Arc;

use fleet_model::driver::Listed;
use fleet_model::item::{Attempt, Generation, ItemKey, workload_kind};
use fleet_model::{Name, Op, Verb};

use crate::context::Context;
use crate::state::Record;

/// Runtimes per page.
const PAGE: u32 = 100;

/// Pages of one sweep: a backend whose list has no end does not hold up the others.
const MAX_PAGES: usize = 1_000;

/// What to do about one runtime that a backend listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is, or may become, the run of its item.
    Keep,
    /// Nobody can want it: destroy it on behalf of this generation.
    Orphan(Generation),
    /// This node has never heard of it.
    Foreign,
}

/// Judges one runtime by the record of its item.
pub(crate) fn judge(record: Option<&Record>, generation: Generation) -> Verdict {
    let Some(record) = record else {
        return Verdict::Foreign;
    };
    let newest = record.item.generation;
    match &record.run {
        // Its own run, or the try before an unanswered `create`, which the same op finds again.
        Some(run) if generation >= run.generation => Verdict::Keep,
        Some(_) => Verdict::Orphan(newest),
        // A run is begun before anything is made, so without one everything of an older intent is left over.
        None if record.removed || generation < newest => Verdict::Orphan(newest),
        None => Verdict::Keep,
    }
}

/// Sweeps once over one backend.
pub(crate) async fn sweep(context: &Arc<Context>, backend: &Name) {
    let Ok(driver) = context.drivers.driver(backend) else {
        return;
    };
    let mut cursor: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let (entries, next) = match driver.list(cursor.as_deref(), PAGE).await {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(%backend, %error, "cannot list what is there: orphans, if any, stay until the next start");
                return;
            }
        };
        for listed in entries {
            one(context, backend, &listed).await;
        }
        match next {
            Some(next) if Some(&next) != cursor.as_ref() => cursor = Some(next),
            _ => return,
        }
    }
}

async fn one(context: &Arc<Context>, backend: &Name, listed: &Listed) {
    // Another node's on the same machine: none of our business.
    if !listed.node.is_empty() && listed.node != context.node.to_string() {
        return;
    }
    let item = ItemKey {
        kind: workload_kind(),
        key: listed.workload.clone(),
    };
    let snapshot = context.store.snapshot();
    match judge(
        snapshot.state.items.get(&item).map(AsRef::as_ref),
        listed.generation,
    ) {
        Verdict::Keep => {}
        Verdict::Foreign => {
            tracing::warn!(%backend, workload = %listed.workload, "found a runtime that this node has no record of; it is left alone");
        }
        Verdict::Orphan(generation) => {
            let Ok(driver) = context.drivers.driver(backend) else {
                return;
            };
            let op = Op {
                item,
                generation,
                attempt: Attempt(0),
                verb: Verb::Destroy,
                call: String::new(),
            };
            match driver.destroy(&op, &listed.handle).await {
                Ok(()) => {
                    tracing::info!(%backend, workload = %listed.workload, "destroyed an orphan")
                }
                Err(error) => {
                    tracing::warn!(%backend, workload = %listed.workload, %error, "an orphan could not be destroyed")
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::item::{Item, Mode};

    use super::*;
    use crate::state::{Run, Stage};

    fn record(generation: u64, removed: bool, run: Option<u64>) -> Record {
        Record {
            item: Item {
                id: ItemKey {
                    kind: workload_kind(),
                    key: "wl".into(),
                },
                generation: Generation(generation),
                intent: None,
                grace_ms: None,
                mode: Mode::default(),
            },
            grace_ms: 0,
            removed,
            ports: Default::default(),
            run: run.map(|generation| Run {
                generation: Generation(generation),
                attempt: Attempt(1),
                name: "a".parse().unwrap(),
                backend: "mock".parse().unwrap(),
                intent: None,
                boot: String::new(),
                stage: Stage::Created,
                handle: None,
                kill_target: None,
                started_at_ms: None,
                started_boot_ms: None,
                evicted: None,
                execs: Default::default(),
                attributes: Default::default(),
            }),
            backoff: None,
            signals: Vec::new(),
        }
    }

    #[test]
    fn only_what_our_own_records_name_is_an_orphan() {
        let orphan = |generation| Verdict::Orphan(Generation(generation));
        for (known, listed, verdict) in [
            (None, 1, Verdict::Foreign),
            (Some(record(5, false, Some(5))), 5, Verdict::Keep),
            (Some(record(6, false, Some(5))), 5, Verdict::Keep),
            (Some(record(6, false, Some(6))), 5, orphan(6)),
            (Some(record(6, false, None)), 5, orphan(6)),
            (Some(record(6, false, None)), 6, Verdict::Keep),
            (Some(record(7, true, None)), 5, orphan(7)),
            (Some(record(7, true, None)), 7, orphan(7)),
        ] {
            assert_eq!(
                judge(known.as_ref(), Generation(listed)),
                verdict,
                "{known:?} {listed}"
            );
        }
    }
}
