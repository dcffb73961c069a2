//! Decides what a node does next about one workload. Pure: no clock, no store, no backend.

use fleet_model::ErrorKind;
use fleet_model::driver::RunState;
use fleet_model::item::Generation;
use fleet_model::workload::{Desired, WorkloadIntent};

use super::live::{Live, Sent};
use super::restart;
use crate::state::{Record, Run, Stage};

/// How often a call that a backend answered with `internal` is repeated before the run has failed.
const INTERNAL_TRIES: u32 = 3;

/// How long a kill may take before it is sent again, in milliseconds.
const KILL_AGAIN_MS: u64 = 5_000;

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Record a new try at this generation, ports chosen, before anything is made.
    Begin,
    /// Call `create` and record its handle.
    Create,
    /// Call `start` and record that it was answered.
    Start,
    /// Call `inspect` (or take what `recover` said).
    Look,
    /// Open the watch that says when to look again.
    Watch,
    /// Call `stop`; the grace runs from here.
    Stop,
    /// Call `kill`.
    Kill,
    /// Record how the run ended.
    Record(Stage),
    /// Call `destroy` and forget the run.
    Destroy,
    /// Call `destroy` on the run that is over, and record the next try in its place.
    Again,
    /// Remove workspace and logs, and record the tombstone as carried out.
    Remove,
    /// Nothing until a wake, or until this time on the boot clock in milliseconds.
    Wait(Option<u64>),
}

/// Everything a decision is made of.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What is recorded.
    pub record: &'a Record,
    /// The intent, read from the record's item; `None` for a tombstone or one that cannot be read.
    pub intent: Option<&'a WorkloadIntent>,
    /// What is known beyond the record.
    pub live: &'a Live,
    /// The boot clock, in milliseconds.
    pub now_ms: u64,
    /// This boot of the machine.
    pub boot: &'a str,
}

/// What is wanted of the runtime, whatever the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// A run of exactly this generation.
    Run(Generation),
    /// No run; what was made stays.
    Rest,
    /// Nothing left.
    Gone,
}

/// Decides.
#[must_use]
pub fn plan(at: &Situation<'_>) -> Step {
    if at.record.removed {
        return Step::Wait(None);
    }
    if let Some(retry) = &at.live.retry
        && retry.generation == at.record.item.generation
        && at.now_ms < retry.until_ms
    {
        return Step::Wait(Some(retry.until_ms));
    }
    let want = match at.intent {
        None if at.record.item.is_tombstone() => Want::Gone,
        // An intent of a newer version, unreadable here: absence never deletes, so leave all as it is.
        None => return Step::Wait(None),
        Some(intent) if intent.desired == Desired::Stopped => Want::Rest,
        Some(_) => Want::Run(at.record.item.generation),
    };
    match &at.record.run {
        None => match want {
            Want::Run(_) => Step::Begin,
            Want::Rest => Step::Wait(None),
            Want::Gone => Step::Remove,
        },
        Some(run) => with_run(at, run, want),
    }
}

fn with_run(at: &Situation<'_>, run: &Run, want: Want) -> Step {
    let wanted = want == Want::Run(run.generation);
    match &run.stage {
        // A `create` in doubt is repeated even when nobody wants the run any more: its answer is the
        // only way to the handle that `destroy` needs.
        Stage::Creating if !wanted && nothing_made(at) => Step::Record(Stage::Ended { exit: None }),
        Stage::Creating => given_up(at).map_or(Step::Create, Step::Record),
        Stage::Created if wanted && run.boot == at.boot => {
            given_up(at).map_or(Step::Start, Step::Record)
        }
        Stage::Created | Stage::Started => observed(at, run, wanted),
        over => {
            debug_assert!(over.is_over());
            match want {
                Want::Run(generation) if generation == run.generation => again(at),
                Want::Rest => Step::Wait(None),
                Want::Run(_) | Want::Gone => Step::Destroy,
            }
        }
    }
}

/// It is over and should run: made again when its pause has passed, if it is to be made again at all.
fn again(at: &Situation<'_>) -> Step {
    match &at.record.backoff {
        None => Step::Wait(None),
        Some(pause) => match restart::due_ms(pause, at.boot) {
            Some(due_ms) if at.now_ms < due_ms => Step::Wait(Some(due_ms)),
            _ => Step::Again,
        },
    }
}

/// A run that may be running: look, then decide on what was seen.
fn observed(at: &Situation<'_>, run: &Run, wanted: bool) -> Step {
    let Some(seen) = &at.live.observed else {
        return Step::Look;
    };
    match &seen.state {
        RunState::Exited { exit } => Step::Record(match &run.evicted {
            Some(error) => Stage::Failed {
                error: error.clone(),
            },
            None => Stage::Ended {
                exit: Some(exit.clone()),
            },
        }),
        RunState::Lost { reason } => Step::Record(Stage::Lost {
            reason: reason.clone(),
        }),
        // Made and never started: in an earlier boot nobody can tell, so it is not run again; when it
        // is not wanted it simply never began.
        RunState::Created if run.stage == Stage::Created => {
            Step::Record(if wanted {
                Stage::Lost { reason: "the machine went down before its start was recorded; it is not started again".into() }
            } else {
                Stage::Ended { exit: None }
            })
        }
        // It runs although no start was recorded: the start happened, so record it.
        RunState::Running if run.stage == Stage::Created => Step::Record(Stage::Started),
        RunState::Created | RunState::Running if !wanted || run.evicted.is_some() => ending(at),
        RunState::Created | RunState::Running | RunState::Unknown { .. } => waiting(at),
    }
}

/// It runs and should: be woken when that changes.
fn waiting(at: &Situation<'_>) -> Step {
    match at.live.look_at_ms {
        Some(look_at_ms) if at.now_ms >= look_at_ms => Step::Look,
        Some(look_at_ms) => Step::Wait(Some(look_at_ms)),
        None if at.live.watched => Step::Wait(None),
        None => Step::Watch,
    }
}

/// It runs and should not: stop, wait for the grace to pass, kill.
fn ending(at: &Situation<'_>) -> Step {
    let generation = at.record.item.generation;
    let grace_ms = at.record.item.grace_ms.unwrap_or(at.record.grace_ms);
    let sent = |sent: Option<Sent>| sent.filter(|sent| sent.generation == generation);
    let look = |deadline_ms: u64| {
        let due = at
            .live
            .look_at_ms
            .map_or(deadline_ms, |look| look.min(deadline_ms));
        if !at.live.watched && at.live.look_at_ms.is_none() {
            Step::Watch
        } else if at.now_ms >= due {
            Step::Look
        } else {
            Step::Wait(Some(due))
        }
    };
    if let Some(kill) = sent(at.live.kill) {
        let again_ms = kill.at_ms.saturating_add(KILL_AGAIN_MS);
        return if at.now_ms >= again_ms {
            Step::Kill
        } else {
            look(again_ms)
        };
    }
    match sent(at.live.stop) {
        None if grace_ms == 0 => Step::Kill,
        None => Step::Stop,
        Some(stop) => {
            let deadline_ms = stop.at_ms.saturating_add(grace_ms);
            if at.now_ms >= deadline_ms {
                Step::Kill
            } else {
                look(deadline_ms)
            }
        }
    }
}

/// Whether `create`, asked for what nobody wants any more, has said that there is no such thing.
fn nothing_made(at: &Situation<'_>) -> bool {
    let retry = at.live.retry.as_ref();
    retry.is_some_and(|retry| {
        retry.generation == at.record.item.generation && retry.error.kind == ErrorKind::NotFound
    })
}

/// Whether a failing `create` or `start` should not be repeated any more.
fn given_up(at: &Situation<'_>) -> Option<Stage> {
    let retry = at.live.retry.as_ref()?;
    let again = retry.error.kind.is_retryable()
        || (retry.error.kind == ErrorKind::Internal && retry.failures < INTERNAL_TRIES);
    (!again).then(|| Stage::Failed {
        error: retry.error.clone(),
    })
}
