//! The run that somebody wants to do something with now: an exec, a signal.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::driver::Handle;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_plugin::Driver;
use serde::Deserialize;

use crate::context::Context;
use crate::state::{Record, Run, Stage};

/// How long a workload that is being made is waited for.
const MAKING: Duration = Duration::from_secs(10);

/// A run that has been started, and who looks after it.
pub(crate) struct Running {
    /// The run.
    pub(crate) run: Run,
    /// Its backend.
    pub(crate) driver: Arc<dyn Driver>,
    /// How the backend finds it.
    pub(crate) handle: Handle,
}

/// What to do about a record.
#[derive(Debug, PartialEq)]
enum Verdict<'a> {
    Ready(&'a Run, &'a Handle),
    Wait,
    Refuse(Error),
}

/// The run of the newest intent, waiting a while for one that is being made.
///
/// # Errors
/// `conflict` (`not-running`, `controller-behind`), `unavailable` (`not-started`).
pub(crate) async fn running(
    context: &Context,
    item: &ItemKey,
    generation: Generation,
) -> Result<Running, Error> {
    let mut commits = context.store.changes();
    let deadline = context.clock.sleep(MAKING);
    tokio::pin!(deadline);
    loop {
        let snapshot = context.store.snapshot();
        match judge(
            snapshot.state.items.get(item).map(AsRef::as_ref),
            generation,
        ) {
            Verdict::Ready(run, handle) => {
                return Ok(Running {
                    driver: context.drivers.driver(&run.backend)?,
                    handle: handle.clone(),
                    run: run.clone(),
                });
            }
            Verdict::Refuse(error) => return Err(error),
            Verdict::Wait => {}
        }
        drop(snapshot);
        tokio::select! {
            changed = commits.changed() => if changed.is_err() {
                return Err(Error::unavailable("node-stopping", "the node is stopping"));
            },
            () = &mut deadline => return Err(not_started()),
        }
    }
}

fn not_started() -> Error {
    Error::unavailable(
        "not-started",
        "it has not been started yet, or waits before it is started again: try again",
    )
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
    match &record.run {
        _ if record.item.generation < generation => Verdict::Wait,
        Some(Run {
            handle: Some(handle),
            stage: Stage::Started,
            ..
        }) if wanted => match &record.run {
            Some(run) if run.generation == record.item.generation => Verdict::Ready(run, handle),
            _ => Verdict::Wait,
        },
        Some(run)
            if wanted
                && run.stage.is_over()
                && record.backoff.is_none()
                && run.generation == record.item.generation =>
        {
            Verdict::Refuse(not_running(intent.as_ref()))
        }
        _ if wanted => Verdict::Wait,
        _ => Verdict::Refuse(not_running(intent.as_ref())),
    }
}

/// Why nothing can be done with a program that is not there, and how it comes back.
pub(crate) fn not_running(intent: Option<&WorkloadIntent>) -> Error {
    let name = intent.map_or("NAME", |intent| intent.name.as_str());
    Error::conflict(
        "not-running",
        format!("it is not running: start it with `fleet-host workload start {name}`"),
    )
}
