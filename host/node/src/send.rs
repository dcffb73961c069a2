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
    match &record.run {
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
