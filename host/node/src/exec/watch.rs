//! Looks after programs without being asked: ends those whose time is over, begins those that a crash
//! left half begun.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::driver::Exit;
use fleet_model::exec::{ExecId, ExecState};
use fleet_protocol::exec::key;
use futures::StreamExt;

use super::beside::{At, Beside};
use super::look::look;
use super::overdue::{Done, Step, step};
use super::{remove, start};
use crate::context::Context;

/// Backends asked at once.
const ABREAST: usize = 8;

/// How long after a failure something is tried again, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Which program of which run.
type Which = (At, u64);

/// Looks after them for ever. May be dropped at any time.
pub(crate) async fn watch(context: &Arc<Context>) {
    let mut done = BTreeMap::<Which, Done>::new();
    loop {
        let (due, next_ms) = survey(context, &mut done);
        let acted = !due.is_empty();
        let outcomes: Vec<_> = futures::stream::iter(due)
            .map(async |(which, beside, step)| (which, act(&beside, step).await))
            .buffer_unordered(ABREAST)
            .collect()
            .await;
        for (which, outcome) in outcomes {
            let entry = done.entry(which).or_default();
            match outcome {
                Ok(Acted::Asked) => entry.term = true,
                Ok(Acted::Killed) => entry.kill = true,
                // Written down or, where that failed, to be found again.
                Ok(Acted::Settled) => entry.not_before_ms = later(context),
                Err(error) => {
                    tracing::debug!(%error, "a program beside a workload cannot be looked after yet");
                    entry.not_before_ms = later(context);
                }
            }
        }
        if acted {
            continue;
        }
        tokio::select! {
            () = context.execs.wait() => {}
            () = until(context, next_ms) => {}
        }
    }
}

fn later(context: &Context) -> u64 {
    context.clock.boot_ms().saturating_add(AGAIN_MS)
}

async fn until(context: &Context, at_ms: Option<u64>) {
    match at_ms {
        Some(at_ms) => {
            let left = at_ms.saturating_sub(context.clock.boot_ms());
            context.clock.sleep(Duration::from_millis(left)).await;
        }
        None => std::future::pending().await,
    }
}

/// What is due, and when to look again. What is no more is forgotten.
fn survey(
    context: &Arc<Context>,
    done: &mut BTreeMap<Which, Done>,
) -> (Vec<(Which, Beside, Step)>, Option<u64>) {
    let (now_ms, under_way) = (context.clock.boot_ms(), context.execs.under_way());
    let snapshot = context.store.snapshot();
    let (mut due, mut next_ms, mut kept) = (Vec::new(), None::<u64>, BTreeMap::new());
    for record in snapshot.state.items.values() {
        let Some(run) = record.run.as_ref().filter(|run| !run.execs.is_empty()) else {
            continue;
        };
        let (item, Ok(workload)) = (&record.item.id, record.item.id.key.parse()) else {
            continue;
        };
        for exec in run.execs.values() {
            let which = (At::of(item, run), key(&exec.call));
            let id = ExecId {
                workload,
                key: which.1,
            };
            let so_far = done.get(&which).copied().unwrap_or_default();
            let mut at = match step(exec, so_far, &context.boot, now_ms) {
                Step::Nothing => continue,
                Step::Wait(at_ms) => Some(at_ms),
                // Whoever begins it says when it is done.
                Step::Begin if under_way.contains(&id) => None,
                step => match Beside::of(context, item, run, id, exec.clone()) {
                    Ok(beside) => {
                        due.push((which.clone(), beside, step));
                        None
                    }
                    // Its backend is away.
                    Err(_) => Some(later(context)),
                },
            };
            next_ms = match (next_ms, at.take()) {
                (Some(next), Some(at)) => Some(next.min(at)),
                (next, at) => next.or(at),
            };
            kept.insert(which, so_far);
        }
    }
    *done = kept;
    (due, next_ms)
}

/// What was done.
enum Acted {
    /// It was asked to end.
    Asked,
    /// It was killed.
    Killed,
    /// Nothing is left to be done.
    Settled,
}

/// Takes a step.
async fn act(beside: &Beside, step: Step) -> Result<Acted, Error> {
    if step == Step::Begin {
        // A run that is over begins nothing more.
        match beside.is_run_over {
            true => drop(look(beside).await?),
            false => drop(start::begin(beside).await?),
        }
        return Ok(Acted::Settled);
    }
    // It may have ended by itself.
    if look(beside).await?.is_over() {
        return Ok(Acted::Settled);
    }
    match step {
        Step::Expire => {
            let now_ms = beside.context.clock.boot_ms();
            let written = beside.change(move |exec| {
                exec.overdue_ms.get_or_insert(now_ms);
            });
            written.await?;
            tracing::info!(exec = %beside.id, "the time of a program beside a workload is over");
            signal(beside, "TERM").await?;
            Ok(Acted::Asked)
        }
        Step::Term => {
            signal(beside, "TERM").await?;
            Ok(Acted::Asked)
        }
        Step::Kill => {
            signal(beside, "KILL").await?;
            Ok(Acted::Killed)
        }
        Step::Remove => {
            remove::at_backend(beside).await?;
            let exit = Exit {
                code: 137,
                signal: Some("KILL".to_owned()),
                at_ms: Some(beside.context.clock.unix_ms()),
            };
            let killed = ExecState::Exited {
                exit,
                timed_out: true,
            };
            beside.settle(killed).await;
            Ok(Acted::Settled)
        }
        Step::Nothing | Step::Wait(_) | Step::Begin => Ok(Acted::Settled),
    }
}

/// One op per program and signal, whatever is repeated.
async fn signal(beside: &Beside, signal: &'static str) -> Result<(), Error> {
    let call = format!("time:{:016x}:{signal}", beside.id.key);
    match remove::send(beside, &call, signal).await {
        Err(error) if error.code != remove::OVER => Err(error),
        _ => Ok(()),
    }
}
