//! One task per item: plan, execute, publish, sleep until something changes.

use std::sync::Arc;
use std::time::Duration;

use fleet_capability::source::{Frame, Source};
use fleet_model::Error;
use fleet_model::driver::Observation;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::WorkloadIntent;
use futures::StreamExt;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::execute::{Executor, Halted};
use super::live::Live;
use super::plan::{Situation, Step, plan};
use super::status;
use crate::context::Context;
use crate::state::Record;

/// Keeps one item as its intent says, until `stop` or until the item is removed.
pub(crate) async fn supervise(
    context: Arc<Context>,
    key: ItemKey,
    recovered: Option<Observation>,
    changed: Arc<Notify>,
    stop: CancellationToken,
) -> Ended {
    let live = Live {
        observed: recovered,
        ..Live::default()
    };
    let mut executor = Executor {
        context,
        key,
        live,
        watch: None,
        seen_by: None,
    };
    if executor.live.observed.is_some() {
        executor.recovered();
    }
    // A call that is cut off here is repeated with the same op by the next start.
    tokio::select! {
        () = stop.cancelled() => Ended::Stopped,
        ended = drive(&mut executor, &changed) => ended,
    }
}

/// Why a supervisor ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nothing is left to do, for ever.
    Removed,
    /// The node stops, or its store has failed.
    Stopped,
}

async fn drive(executor: &mut Executor, changed: &Notify) -> Ended {
    let context = executor.context.clone();
    let mut plugins = context.drivers.changes();
    let mut intent = Intent::default();
    loop {
        let snapshot = context.store.snapshot();
        let Some(record) = snapshot.state.items.get(&executor.key).cloned() else {
            return Ended::Removed;
        };
        let intent = intent.of(&record);
        if let Some(report) = status::report(&record, intent, &executor.live) {
            context.board.post(report);
        }
        if record.removed {
            return Ended::Removed;
        }
        let step = plan(&Situation {
            record: &record,
            intent,
            live: &executor.live,
            now_ms: context.clock.boot_ms(),
            boot: &context.boot,
        });
        tracing::trace!(item = %executor.key, ?step, "step");
        let Step::Wait(until_ms) = step else {
            match executor.execute(step, &record, intent).await {
                Ok(()) => continue,
                Err(Halted) => return Ended::Stopped,
            }
        };
        tokio::select! {
            () = changed.notified() => {}
            frame = next(&mut executor.watch) => executor.woken(frame.is_none()),
            () = sleep_until(&context, until_ms) => {}
            Ok(()) = plugins.changed() => executor.plugins_changed(&record),
        }
    }
}

/// The parsed intent of the generation it was parsed for.
#[derive(Default)]
struct Intent(Option<(Generation, Option<WorkloadIntent>)>);

impl Intent {
    fn of(&mut self, record: &Record) -> Option<&WorkloadIntent> {
        let generation = record.item.generation;
        if self
            .0
            .as_ref()
            .is_none_or(|(parsed, _)| *parsed != generation)
        {
            let intent = record.item.intent.as_ref().and_then(|intent| {
                // Checked when it was accepted; what does not parse here was written by a newer version.
                serde_json::from_value(intent.clone()).inspect_err(|error| tracing::error!(item = %record.item.id, %error, "unreadable intent")).ok()
            });
            self.0 = Some((generation, intent));
        }
        self.0.as_ref().and_then(|(_, intent)| intent.as_ref())
    }
}

/// The next frame of an open watch; never, where there is none.
async fn next(watch: &mut Option<Source>) -> Option<Result<Frame, Error>> {
    match watch {
        Some(source) => source.output.next().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(context: &Context, until_ms: Option<u64>) {
    match until_ms {
        Some(until_ms) => {
            let left = until_ms.saturating_sub(context.clock.boot_ms());
            context.clock.sleep(Duration::from_millis(left)).await;
        }
        None => std::future::pending().await,
    }
}
