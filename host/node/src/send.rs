//! Gives a workload a command on its input, once per key.
//!
//! The command is the backend's to keep once it has answered. The key is the client's and counts for
//! the workload, over all its tries: whoever asks again after a lost answer is told what became of
//! the first time, also when the program has ended since.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fleet_model::driver::Handle;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::quantity::Span;
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_model::{Error, Op, Verb};
use serde::Deserialize;

use crate::context::Context;
use crate::reconcile::restart;
use crate::running::not_running;
use crate::state::{Backoff, Record, Run, Stage};

/// How long a command waits for a workload that is being made, or made again.
const MAKING: Duration = Duration::from_secs(10);

/// The code of a refusal because the program has ended.
const NOT_RUNNING: &str = "not-running";

/// What to do with a command now.
#[derive(Debug, PartialEq)]
enum Verdict<'a> {
    /// There is something to give it to.
    Give(&'a Run),
    /// It is being made, or made again.
    Wait,
    /// It has ended, and is made again when this pause is over.
    Pause(&'a Run, &'a Backoff),
    /// There is nothing to give it to, and there will not be.
    Refuse(Error),
}

/// Sends, waiting a while for a workload that is being made. A pause that lasts longer is said at once.
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
    let bytes = Bytes::from(bytes);
    let mut commits = context.store.changes();
    let deadline = context.clock.sleep(MAKING);
    tokio::pin!(deadline);
    let began_ms = context.clock.boot_ms();
    let mut ended = None;
    loop {
        let snapshot = context.store.snapshot();
        let record = snapshot.state.items.get(&item).map(AsRef::as_ref);
        match judge(record, generation) {
            Verdict::Give(run) => {
                if let Some(handle) = &run.handle {
                    let given = give(context, &item, &call, (run, handle), bytes.clone()).await;
                    match given {
                        // Its end is not recorded yet; what comes of it is decided then.
                        Err(error) if !run.stage.is_over() && error.code == NOT_RUNNING => {
                            ended = Some(error);
                        }
                        given => return given,
                    }
                }
            }
            Verdict::Pause(run, pause) => {
                if let Some(due_ms) = too_long(pause, &context.boot, began_ms) {
                    let left_ms = due_ms.saturating_sub(context.clock.boot_ms());
                    // What it was given before it ended is known to its backend.
                    let known = match &run.handle {
                        Some(handle) => give(context, &item, &call, (run, handle), bytes).await,
                        None => Err(restarting(left_ms)),
                    };
                    return known.map_err(|error| match error.code.as_str() {
                        NOT_RUNNING | "stdin-closed" => restarting(left_ms),
                        _ => error,
                    });
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
                let not_started = || Error::unavailable(
                    "not-started",
                    "it has not been started yet: try again, with the same key",
                );
                return Err(ended.unwrap_or_else(not_started));
            }
        }
    }
}

/// Hands it to the backend.
async fn give(
    context: &Context,
    item: &ItemKey,
    call: &str,
    (run, handle): (&Run, &Handle),
    bytes: Bytes,
) -> Result<(), Error> {
    let op = Op {
        item: item.clone(),
        generation: run.generation,
        attempt: run.attempt,
        verb: Verb::Send,
        call: call.to_owned(),
    };
    let driver = context.drivers.driver(&run.backend)?;
    driver.send(&op, handle, bytes).await
}

/// When a pause is over that outlasts a command which came at `began_ms`; on the boot clock.
fn too_long(pause: &Backoff, boot: &str, began_ms: u64) -> Option<u64> {
    let due_ms = restart::due_ms(pause, boot)?;
    let left_ms = due_ms.saturating_sub(began_ms);
    (u128::from(left_ms) > MAKING.as_millis()).then_some(due_ms)
}

fn restarting(left_ms: u64) -> Error {
    let left = Span::from_ms(left_ms.div_ceil(1_000) * 1_000);
    Error {
        retry_after_ms: Some(u32::try_from(left_ms).unwrap_or(u32::MAX)),
        ..Error::unavailable(
            "restarting",
            format!(
                "it has ended and is started again in {left}: the command was not taken, so send it again then"
            ),
        )
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
    let intent = record.item.intent.as_ref();
    let intent = intent.and_then(|intent| WorkloadIntent::deserialize(intent).ok());
    let wanted = intent
        .as_ref()
        .is_some_and(|intent| intent.desired == Desired::Running);
    if record.item.generation < generation {
        // What the asker knows is on its way here.
        return Verdict::Wait;
    }
    match (&record.run, &record.backoff) {
        // A run of an older intent is on its way out; the command is for the next one.
        (Some(run), _) if wanted && run.generation != record.item.generation => Verdict::Wait,
        // Whether it runs its backend knows best; and of one that has ended, what it was given.
        (Some(run), _) if run.stage == Stage::Started => Verdict::Give(run),
        (Some(run), None) if run.stage.is_over() && run.handle.is_some() => Verdict::Give(run),
        (Some(run), Some(pause)) if wanted && run.stage.is_over() => Verdict::Pause(run, pause),
        _ if wanted => Verdict::Wait,
        _ => Verdict::Refuse(not_running(intent.as_ref())),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::Attempt;
    use fleet_model::driver::{Exit, Handle};
    use fleet_model::item::{Item, Mode, workload_kind};

    use super::*;

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
                execs: Default::default(),
                attributes: Default::default(),
            }),
            backoff: None,
            signals: Vec::new(),
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
            (restarting, 5, "pause"),
            (record(6, Running, None), 5, "controller-behind"),
            (record(6, Stopped, None), 6, "not-running"),
        ] {
            let verdict = match judge(Some(&record), Generation(asked)) {
                Verdict::Give(_) => "give".to_owned(),
                Verdict::Wait => "wait".to_owned(),
                Verdict::Pause(..) => "pause".to_owned(),
                Verdict::Refuse(error) => error.code,
            };
            assert_eq!(verdict, want, "{record:?} {asked}");
        }
        assert_eq!(judge(None, Generation(1)), Verdict::Wait);
    }

    #[test]
    fn only_a_pause_that_outlasts_the_command_is_said_at_once() {
        let pause = Backoff {
            in_a_row: 9,
            boot: "boot".into(),
            from_ms: 1_000,
            delay_ms: 40_000,
        };
        for (boot, began_ms, due_ms) in [
            ("boot", 1_000, Some(41_000)),
            ("boot", 30_999, Some(41_000)),
            ("boot", 31_000, None),
            ("boot", 99_000, None),
            // In another boot of the machine it is over.
            ("another boot", 1_000, None),
        ] {
            assert_eq!(
                too_long(&pause, boot, began_ms),
                due_ms,
                "{boot} {began_ms}"
            );
        }
        let error = restarting(40_000);
        assert_eq!(error.retry_after_ms, Some(40_000));
        assert!(error.message.contains("in 40s") && error.message.contains("not taken"));
    }
}
