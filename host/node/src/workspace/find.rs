//! Finds a workload's workspace, waiting a while for one that is being made.

use std::time::Duration;

use fleet_capability::workspace::Tree;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::quantity::Size;
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_model::{Error, WorkloadId};
use serde::Deserialize;

use crate::context::Context;
use crate::state::{Record, Stage};

/// How long a workspace that is being made is waited for.
const MAKING: Duration = Duration::from_secs(10);

/// A workspace, open.
pub(super) struct Found {
    pub(super) tree: Tree,
    pub(super) workload: WorkloadId,
    /// What its workload may have on the disk.
    pub(super) disk: Option<Size>,
}

/// What to do about a record.
#[derive(Debug, PartialEq)]
enum Verdict {
    /// Look into the folder.
    Look {
        /// What the workload may have on the disk.
        disk: Option<Size>,
        /// What it means where there is no folder.
        missing: Missing,
    },
    Wait,
    Refuse(Error),
}

/// What it means where there is no folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// It is being made.
    NotYet,
    /// There will be none.
    Never,
}

/// The workspace of the newest intent, whatever state it is in.
///
/// # Errors
/// `conflict` (`controller-behind`, `being-removed`), `not-found` (`no-workspace`), `unavailable`
/// (`not-started`); where the disk refuses.
pub(super) async fn find(
    context: &Context,
    item: &ItemKey,
    generation: Generation,
) -> Result<Found, Error> {
    let workload = item
        .key
        .parse::<WorkloadId>()
        .map_err(|_| Error::not_found("no-workspace", "only workloads have a workspace"))?;
    let mut commits = context.store.changes();
    let deadline = context.clock.sleep(MAKING);
    tokio::pin!(deadline);
    loop {
        let snapshot = context.store.snapshot();
        let record = snapshot.state.items.get(item).map(AsRef::as_ref);
        match judge(record, generation) {
            Verdict::Look { disk, missing } => match context.files.tree(workload).await {
                Ok(tree) => {
                    return Ok(Found {
                        tree,
                        workload,
                        disk,
                    });
                }
                Err(error) if error.code == "no-workspace" && missing == Missing::NotYet => {}
                Err(error) => return Err(error),
            },
            Verdict::Refuse(error) => return Err(error),
            Verdict::Wait => {}
        }
        drop(snapshot);
        tokio::select! {
            changed = commits.changed() => if changed.is_err() {
                return Err(Error::unavailable("node-stopping", "the node is stopping"));
            },
            () = &mut deadline => return Err(Error::unavailable(
                "not-started",
                "its folder has not been made yet: try again when it has been started",
            )),
        }
    }
}

/// Decides. Pure.
fn judge(record: Option<&Record>, generation: Generation) -> Verdict {
    let Some(record) = record.filter(|record| !record.removed) else {
        // The item itself may be on its way here.
        return Verdict::Wait;
    };
    if record.item.generation > generation {
        return Verdict::Refuse(Error::conflict(
            "controller-behind",
            "this node has seen a newer intent than its controller states",
        ));
    }
    if record.item.generation < generation {
        return Verdict::Wait;
    }
    let intent = record.item.intent.as_ref();
    let Some(intent) = intent.and_then(|intent| WorkloadIntent::deserialize(intent).ok()) else {
        return Verdict::Refuse(Error::conflict(
            "being-removed",
            "it is being removed with its files",
        ));
    };
    let is_making = match &record.run {
        None => true,
        Some(run) => run.stage == Stage::Creating || run.generation != record.item.generation,
    };
    Verdict::Look {
        disk: intent.spec.limits.disk,
        missing: if is_making && intent.desired == Desired::Running {
            Missing::NotYet
        } else {
            Missing::Never
        },
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::Attempt;
    use fleet_model::item::{Item, Mode, workload_kind};

    use super::*;
    use crate::state::Run;

    fn record(generation: u64, desired: Option<Desired>, run: Option<(u64, Stage)>) -> Record {
        let intent = desired.map(|desired| WorkloadIntent {
            name: "web".parse().unwrap(),
            desired,
            grace_ms: 1,
            spec: serde_json::from_str(r#"{"limits": {"disk": "1MiB"}}"#).unwrap(),
        });
        Record {
            item: Item {
                id: ItemKey {
                    kind: workload_kind(),
                    key: "wl".into(),
                },
                generation: Generation(generation),
                intent: intent.map(|intent| serde_json::to_value(intent).unwrap()),
                grace_ms: None,
                mode: Mode::default(),
            },
            grace_ms: 1,
            removed: false,
            ports: Default::default(),
            run: run.map(|(generation, stage)| Run {
                generation: Generation(generation),
                attempt: Attempt(1),
                name: "web".parse().unwrap(),
                backend: "mock".parse().unwrap(),
                intent: None,
                boot: String::new(),
                stage,
                handle: None,
                kill_target: None,
                started_at_ms: None,
                started_boot_ms: None,
                evicted: None,
                attributes: Default::default(),
                execs: Default::default(),
            }),
            backoff: None,
            signals: Default::default(),
        }
    }

    #[test]
    fn a_workspace_is_there_in_any_state_and_only_one_that_is_being_made_is_waited_for() {
        use Desired::{Running, Stopped};
        let ended = || Stage::Ended { exit: None };
        let mut removed = record(5, None, None);
        removed.removed = true;
        for (record, asked, want) in [
            (
                record(5, Some(Running), Some((5, Stage::Started))),
                5,
                "look, never",
            ),
            (
                record(5, Some(Running), Some((5, ended()))),
                5,
                "look, never",
            ),
            (
                record(6, Some(Stopped), Some((5, ended()))),
                6,
                "look, never",
            ),
            (record(6, Some(Stopped), None), 6, "look, never"),
            (record(5, Some(Running), None), 5, "look, not yet"),
            (
                record(5, Some(Running), Some((5, Stage::Creating))),
                5,
                "look, not yet",
            ),
            (
                record(6, Some(Running), Some((5, ended()))),
                6,
                "look, not yet",
            ),
            (
                record(5, Some(Running), Some((5, Stage::Started))),
                6,
                "wait",
            ),
            (removed, 5, "wait"),
            (record(6, Some(Running), None), 5, "controller-behind"),
            (
                record(6, None, Some((5, Stage::Started))),
                6,
                "being-removed",
            ),
        ] {
            let verdict = match judge(Some(&record), Generation(asked)) {
                Verdict::Look { disk, missing } => {
                    assert_eq!(disk, Some(Size::from_bytes(1 << 20)));
                    match missing {
                        Missing::NotYet => "look, not yet".to_owned(),
                        Missing::Never => "look, never".to_owned(),
                    }
                }
                Verdict::Wait => "wait".to_owned(),
                Verdict::Refuse(error) => error.code,
            };
            assert_eq!(verdict, want, "{record:?} {asked}");
        }
        assert_eq!(judge(None, Generation(1)), Verdict::Wait);
    }
}
