//! What a step leaves in the record, and the event it is told by. Pure.

use std::collections::BTreeMap;

use fleet_model::driver::{Handle, KillTarget, Observation};
use fleet_model::event::Event;
use fleet_model::item::Attempt;
use fleet_model::workload::WorkloadIntent;
use fleet_model::{Name, Op, Verb};

use crate::state::{Record, Run, Stage};

/// The op of a verb on a run. What makes and starts a run belongs to the run's own generation; what
/// ends it belongs to the intent that wants it ended.
pub(super) fn op(record: &Record, run: &Run, verb: Verb) -> Op {
    let generation = match verb {
        Verb::Create | Verb::Start | Verb::Send | Verb::Exec | Verb::Signal => run.generation,
        Verb::Stop | Verb::Kill | Verb::Destroy => record.item.generation,
    };
    Op {
        item: record.item.id.clone(),
        generation,
        attempt: run.attempt,
        verb,
        call: String::new(),
    }
}

/// A first try at the record's generation.
pub(super) fn begin(
    record: &mut Record,
    intent: &WorkloadIntent,
    ports: BTreeMap<Name, u16>,
    boot: &str,
) {
    record.ports = ports;
    record.run = Some(fresh(record, intent, Attempt(1), boot));
}

/// The next try at the same generation, in place of the one that is over: its number is raised and
/// durable before anything of it is made, so that none of its ops was ever done before.
pub(super) fn again(record: &mut Record, intent: &WorkloadIntent, boot: &str) {
    let last = record.run.as_ref().map_or(Attempt(0), |run| run.attempt);
    let next = raised(last);
    record.run = Some(fresh(record, intent, next, boot));
}

#[cfg(not(test))]
fn raised(last: Attempt) -> Attempt {
    Attempt(last.0.saturating_add(1))
}

/// In tests a switch leaves the number as it is, to show that the crash tests find that.
#[cfg(test)]
fn raised(last: Attempt) -> Attempt {
    let raise = !crate::tests::KEEP_ATTEMPT.load(std::sync::atomic::Ordering::Relaxed);
    Attempt(last.0 + u64::from(raise))
}

fn fresh(record: &Record, intent: &WorkloadIntent, attempt: Attempt, boot: &str) -> Run {
    Run {
        generation: record.item.generation,
        attempt,
        name: intent.name.clone(),
        backend: intent.spec.backend.clone(),
        intent: Some(intent.clone()),
        boot: boot.to_owned(),
        stage: Stage::Creating,
        handle: None,
        kill_target: None,
        started_at_ms: None,
        started_boot_ms: None,
        evicted: None,
        execs: BTreeMap::new(),
        attributes: BTreeMap::new(),
    }
}

/// `create` was answered.
pub(super) fn created(run: &mut Run, handle: Handle, kill_target: Option<KillTarget>) {
    run.stage = Stage::Created;
    run.handle = Some(handle);
    run.kill_target = kill_target;
    run.intent = None;
}

/// What was last seen of it: kept with its stage, so that it can be shown when nobody can look any more.
pub(super) fn seen(run: &mut Run, observation: &Observation) {
    run.started_at_ms = observation.started_at_ms.or(run.started_at_ms);
    if !observation.attributes.is_empty() {
        run.attributes.clone_from(&observation.attributes);
    }
}

/// The event that tells of the stage a record's run has come to, where people want to hear of it.
pub(super) fn event(record: &Record) -> Option<Event> {
    let run = record.run.as_ref()?;
    let shown = &run.name;
    let mut details = BTreeMap::from([("attempt".to_owned(), run.attempt.to_string())]);
    let (kind, message) = match &run.stage {
        Stage::Creating | Stage::Created | Stage::Ended { exit: None } => return None,
        Stage::Started => ("workload.started", format!("{shown} started")),
        Stage::Ended { exit: Some(exit) } => {
            details.insert("exit-code".to_owned(), exit.code.to_string());
            let how = match &exit.signal {
                Some(signal) => {
                    details.insert("signal".to_owned(), signal.clone());
                    format!("{shown} was ended by SIG{signal}")
                }
                None => format!("{shown} exited with code {}", exit.code),
            };
            ("workload.exited", how)
        }
        Stage::Failed { error } => {
            details.insert("code".to_owned(), error.code.clone());
            let what = match run.evicted {
                Some(_) => "was ended",
                None => "could not be started",
            };
            ("workload.failed", format!("{shown} {what}: {error}"))
        }
        Stage::Lost { reason } => ("workload.lost", format!("{shown} is lost: {reason}")),
    };
    Some(Event {
        seq: 0,
        at_ms: 0,
        kind: kind.to_owned(),
        subject: record.item.id.key.clone(),
        name: Some(run.name.to_string()),
        generation: Some(run.generation),
        message,
        details,
    })
}
