//! Looks after programs without being asked: ends those whose time is over, begins those that a crash
//! left half begun.
//!
//! One step is under way for a program at a time, and so many for a backend. A backend that does not
//! answer holds up its own programs and no others.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fleet_model::driver::Exit;
use fleet_model::exec::{ExecId, ExecState};
use fleet_model::{Error, Name};
use fleet_protocol::exec::key;
use tokio::task::{Id, JoinSet};

use super::beside::{At, Beside};
use super::look::look;
use super::overdue::{Done, Step, step};
use super::{remove, start};
use crate::abreast::Abreast;
use crate::context::Context;

/// Steps under way at once for one backend.
const ABREAST: usize = 8;

/// How long after a failure something is tried again, in milliseconds.
const AGAIN_MS: u64 = 1_000;

/// Which program of which run.
type Which = (At, u64);

/// Looks after them for ever. May be dropped at any time.
pub(crate) async fn watch(context: &Arc<Context>) {
    let places = Arc::new(Abreast::new(ABREAST));
    let mut done = BTreeMap::<Which, Done>::new();
    let (mut steps, mut busy) = (JoinSet::new(), BTreeMap::<Id, Which>::new());
    loop {
        let (due, next_ms) = survey(context, &mut done, &busy.values().collect());
        for Due {
            which,
            backend,
            beside,
            step,
        } in due
        {
            let places = places.clone();
            let task = steps.spawn(async move {
                let _place = places.place(&backend).await;
                act(&beside, step).await
            });
            busy.insert(task.id(), which);
        }
        tokio::select! {
            Some(ended) = steps.join_next_with_id() => {
                let (task, outcome) = match ended {
                    Ok((task, outcome)) => (task, outcome),
                    Err(error) => (error.id(), Err(Error::internal("exec-step", error.to_string()))),
                };
                if let Some(which) = busy.remove(&task) {
                    note(done.entry(which).or_default(), outcome, later(context));
                }
            }
            () = context.execs.wait() => {}
            () = until(context, next_ms) => {}
        }
    }
}

/// Notes what came of a step.
fn note(done: &mut Done, outcome: Result<Acted, Error>, later_ms: u64) {
    match outcome {
        Ok(Acted::Asked) => done.term = true,
        Ok(Acted::Killed) => done.kill = true,
        // Written down or, where that failed, to be found again.
        Ok(Acted::Settled) => done.not_before_ms = later_ms,
        Err(error) => {
            tracing::debug!(%error, "a program beside a workload cannot be looked after yet");
            done.not_before_ms = later_ms;
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

/// A step to be taken.
struct Due {
    which: Which,
    backend: Name,
    beside: Beside,
    step: Step,
}

/// What is due, and when to look again. Those that are busy are left out: the end of their step is the
/// time to look again. What is no more is forgotten.
fn survey(
    context: &Arc<Context>,
    done: &mut BTreeMap<Which, Done>,
    busy: &BTreeSet<&Which>,
) -> (Vec<Due>, Option<u64>) {
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
                _ if busy.contains(&&which) => None,
                Step::Wait(at_ms) => Some(at_ms),
                // Whoever begins it says when it is done.
                Step::Begin if under_way.contains(&id) => None,
                step => match Beside::of(context, item, run, id, exec.clone()) {
                    Ok(beside) => {
                        due.push(Due {
                            which: which.clone(),
                            backend: run.backend.clone(),
                            beside,
                            step,
                        });
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
            false => drop(start::begin(beside, start::Try::Again).await?),
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
