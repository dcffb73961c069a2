//! Gives a workload a command on its input, once per key.
//!
//! The command is the backend's to keep once it has answered. The key is the client's and counts for
//! the workload, over all its tries: whoever asks again after a lost answer is told what became of
//! the first time, also when the program has ended since.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_model::{Error, Op, Verb};
use serde::Deserialize;

use crate::context::Context;
use crate::state::{Record, Run, Stage};

/// How long a command waits for a workload that is being made.
const MAKING: Duration = Duration::from_secs(10);

/// What to do with a command now.
#[derive(Debug, PartialEq)]
enum Verdict<'a> {
    /// There is something to give it to.
    Give(&'a Run),
    /// It is being made, or made again.
    Wait,
    /// There is nothing to give it to, and there will not be.
    Refuse(Error),
}

/// Sends, waiting a while for a workload that is being made.
pub(crate) async fn send(
    context: &Context,
    item: ItemKey,
    generation: Generation,
    call: String,
    base64: &str,
) -> Result<(), Error> {
    let bytes = STANDARD
        .decode(base64)
        .map_err(|_| Error::internal("bad-command", "the command came damaged"))?;
    let bytes = bytes::Bytes::from(bytes);
    let mut commits = context.store.changes();
    let deadline = context.clock.sleep(MAKING);
    tokio::pin!(deadline);
    loop {
        let snapshot = context.store.snapshot();
        let record = snapshot.state.items.get(&item).map(AsRef::as_ref);
        match judge(record, generation) {
            Verdict::Give(run) => {
                if let Some(handle) = &run.handle {
                    let op = Op {
                        item: item.clone(),
                        generation: run.generation,
                        attempt: run.attempt,
                        verb: Verb::Send,
                        call: call.clone(),
                    };
                    let driver = context.drivers.driver(&run.backend)?;
                    return driver.send(&op, handle, bytes).await;
                }
            }
            Verdict::Wait => {}
            Verdict::Refuse(error) => return Err(error),
        }
        drop(snapshot);
        tokio::select! {
            changed = commits.changed() => if changed.is_err() {
                return Err(Error::unavailable("node-stopping", "the node is stopping"));
            },
            () = &mut deadline => {
                return Err(Error::unavailable(
                    "not-started",
                    "it has not been started yet: try again, with the same key",
                ));
            }
        }
    }
}

/// Decides. Pure.
fn judge(record: Option<&Record>, generation: Generation) -> Verdict<'_> {
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
    let wanted = record
        .item
        .intent
        .as_ref()
        .and_then(|intent| WorkloadIntent::deserialize(intent).ok())
        .is_some_and(|intent| intent.desired == Desired::Running);
    if record.item.generation < generation {
        // What the asker knows is on its way here.
        return Verdict::Wait;
    }
    match &record.run {
        // A run of an older intent is on its way out; the command is for the next one.
        Some(run) if wanted && run.generation != record.item.generation => Verdict::Wait,
        // Whether it runs its backend knows best; and of one that has ended, what it was given.
        Some(run) if run.stage == Stage::Started => Verdict::Give(run),
        Some(run) if run.stage.is_over() && record.backoff.is_none() && run.handle.is_some() => {
            Verdict::Give(run)
        }
        Some(_) | None if wanted => Verdict::Wait,
        Some(_) | None => Verdict::Refuse(Error::conflict(
            "not-running",
            "it is not running: start it with `fleet-host workload start`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::Attempt;
    use fleet_model::driver::{Exit, Handle};
    use fleet_model::item::{Item, Mode, workload_kind};

    use super::*;
    use crate::state::Backoff;

    fn record(generation: u64, desired: Desired, run: Option<(u64, Stage)>) -> Record {
        let intent = WorkloadIntent {
            name: "web".parse().unwrap(),
            desired,
            grace_ms: 1,
            spec: serde_json::from_str("{}").unwrap(),
        };
        Record {
            item: Item {
                id: ItemKey {
                    kind: workload_kind(),
                    key: "wl".into(),
                },
                generation: Generation(generation),
                intent: Some(serde_json::to_value(intent).unwrap()),
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
                handle: Some(Handle {
                    schema: 1,
                    opaque: vec![],
                }),
                kill_target: None,
                started_at_ms: None,
                started_boot_ms: None,
                evicted: None,
                attributes: Default::default(),
            }),
            backoff: None,
        }
    }

    #[test]
    fn a_command_is_for_the_run_of_the_newest_intent() {
        use Desired::{Running, Stopped};
        let ended = || Stage::Ended {
            exit: Some(Exit::default()),
        };
        let mut restarting = record(5, Running, Some((5, ended())));
        restarting.backoff = Some(Backoff {
            in_a_row: 1,
            boot: String::new(),
            from_ms: 0,
            delay_ms: 1,
        });
        for (record, asked, want) in [
            (record(5, Running, Some((5, Stage::Started))), 5, "give"),
            // What was given to one that has ended is known to its backend.
            (record(5, Running, Some((5, ended()))), 5, "give"),
            (record(6, Stopped, Some((5, ended()))), 6, "give"),
            // The old run must not get what is meant for the next.
            (record(6, Running, Some((5, Stage::Started))), 6, "wait"),
            (record(6, Running, Some((5, ended()))), 6, "wait"),
            (record(5, Running, Some((5, Stage::Started))), 6, "wait"),
            (record(5, Running, Some((5, Stage::Created))), 5, "wait"),
            (record(5, Running, None), 5, "wait"),
            (restarting, 5, "wait"),
            (record(6, Running, None), 5, "controller-behind"),
            (record(6, Stopped, None), 6, "not-running"),
        ] {
            let verdict = match judge(Some(&record), Generation(asked)) {
                Verdict::Give(_) => "give".to_owned(),
                Verdict::Wait => "wait".to_owned(),
                Verdict::Refuse(error) => error.code,
            };
            assert_eq!(verdict, want, "{record:?} {asked}");
        }
        assert_eq!(judge(None, Generation(1)), Verdict::Wait);
    }
}
