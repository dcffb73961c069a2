//! What a node reports of a workload. Pure.

use fleet_model::driver::RunState;
use fleet_model::item::{Attempt, ItemStatus, Phase};
use fleet_model::quantity::Span;
use fleet_model::workload::{Desired, WorkloadIntent, WorkloadState, WorkloadStatus};

use super::live::Live;
use crate::state::{Backoff, Record, Run, Stage};

/// The report, or `None` while there is nothing to say that has been seen: after a restart the
/// last report stands until the backend was asked.
#[must_use]
pub fn report(record: &Record, intent: Option<&WorkloadIntent>, live: &Live) -> Option<ItemStatus> {
    if record.removed {
        return Some(ItemStatus {
            id: record.item.id.clone(),
            generation: record.item.generation,
            phase: Phase::Removed,
            detail: serde_json::Value::Null,
            error: None,
        });
    }
    let run = record.run.as_ref();
    let wanted = intent.is_some_and(|intent| intent.desired == Desired::Running);
    let state = match run {
        None if wanted => WorkloadState::Starting,
        None => WorkloadState::Exited,
        Some(run) if wanted && run.generation == record.item.generation => {
            current(record, run, live)?
        }
        Some(run) => outgoing(run, wanted),
    };
    let exit = match run.map(|run| &run.stage) {
        Some(Stage::Ended { exit }) => exit.clone(),
        _ => None,
    };
    let error = match run.map(|run| &run.stage) {
        Some(Stage::Failed { error }) => Some(error.clone()),
        _ => live.retry.as_ref().map(|retry| retry.error.clone()),
    };
    let settled = match state {
        WorkloadState::Running => wanted,
        WorkloadState::Exited | WorkloadState::Failed | WorkloadState::Lost => intent.is_some(),
        _ => false,
    };
    let seen = live.observed.as_ref().filter(|_| run.is_some());
    let mut attributes = seen
        .map(|seen| &seen.attributes)
        .filter(|attributes| !attributes.is_empty())
        .or(run.map(|run| &run.attributes))
        .cloned()
        .unwrap_or_default();
    if let Some(signal) = exit.as_ref().and_then(|exit| exit.signal.clone()) {
        attributes.insert("signal".to_owned(), signal);
    }
    let status = WorkloadStatus {
        state,
        attempt: run.map_or(Attempt(0), |run| run.attempt),
        exit,
        ports: record.ports.clone(),
        attributes,
        message: message(record, state, live),
        started_at_ms: seen
            .and_then(|seen| seen.started_at_ms)
            .or(run.and_then(|run| run.started_at_ms)),
    };
    Some(ItemStatus {
        id: record.item.id.clone(),
        generation: record.item.generation,
        phase: if settled {
            Phase::Settled
        } else {
            Phase::Progressing
        },
        detail: serde_json::to_value(status).unwrap_or_default(),
        error,
    })
}

/// The run that should be.
fn current(record: &Record, run: &Run, live: &Live) -> Option<WorkloadState> {
    Some(match &run.stage {
        over if over.is_over() && record.backoff.is_some() => WorkloadState::Restarting,
        Stage::Creating | Stage::Created => WorkloadState::Starting,
        Stage::Started => match (live.observed.as_ref().map(|seen| &seen.state), &live.retry) {
            (Some(RunState::Created), _) => WorkloadState::Starting,
            (Some(RunState::Unknown { .. }), _) | (None, Some(_)) => WorkloadState::Unknown,
            (Some(_), _) => WorkloadState::Running,
            (None, None) => return None,
        },
        Stage::Ended { .. } => WorkloadState::Exited,
        Stage::Failed { .. } => WorkloadState::Failed,
        Stage::Lost { .. } => WorkloadState::Lost,
    })
}

/// The same text for as long as the pause lasts.
fn restarting(run: &Run, pause: &Backoff) -> String {
    let how = match &run.stage {
        Stage::Ended { exit: Some(exit) } => match &exit.signal {
            Some(signal) => format!("it was ended by SIG{signal}"),
            None => format!("it exited with code {}", exit.code),
        },
        Stage::Failed { error } => error.message.clone(),
        Stage::Lost { reason } => reason.clone(),
        _ => "it is over".to_owned(),
    };
    let delay = Span::from_ms(pause.delay_ms / 100 * 100);
    format!("{how}; it is started again after {delay}")
}

/// A run that should not be, or not any more.
fn outgoing(run: &Run, replaced: bool) -> WorkloadState {
    match &run.stage {
        Stage::Creating | Stage::Created | Stage::Started => WorkloadState::Stopping,
        _ if replaced => WorkloadState::Starting,
        Stage::Ended { .. } => WorkloadState::Exited,
        Stage::Failed { .. } => WorkloadState::Failed,
        Stage::Lost { .. } => WorkloadState::Lost,
    }
}

/// What keeps being tried, and how often it was. Lines to copy stay below that.
fn tried(message: &str, failures: u32) -> String {
    let (first, lines) = message.split_once('\n').unwrap_or((message, ""));
    let gap = if lines.is_empty() { "" } else { "\n" };
    format!("{first} (tried {failures} times, trying again){gap}{lines}")
}

fn message(record: &Record, state: WorkloadState, live: &Live) -> Option<String> {
    let run = record.run.as_ref();
    if let (WorkloadState::Restarting, Some(run), Some(pause)) = (state, run, &record.backoff) {
        return Some(restarting(run, pause));
    }
    match (
        run.map(|run| &run.stage),
        live.observed.as_ref().map(|seen| &seen.state),
    ) {
        (Some(Stage::Lost { reason }), _) => Some(reason.clone()),
        (Some(Stage::Failed { error }), _) => Some(error.message.clone()),
        (Some(Stage::Ended { exit: None }), _) => Some("stopped before it started".to_owned()),
        (Some(Stage::Started), Some(RunState::Unknown { reason })) => Some(reason.clone()),
        _ => live
            .retry
            .as_ref()
            .map(|retry| tried(&retry.error.message, retry.failures))
            .or_else(|| {
                live.progress
                    .clone()
                    .filter(|_| state == WorkloadState::Starting)
            }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_often_something_was_tried_stands_behind_its_first_line() {
        assert_eq!(tried("no key", 2), "no key (tried 2 times, trying again)");
        assert_eq!(
            tried("add to g.toml\n[a]\nlog = true", 7),
            "add to g.toml (tried 7 times, trying again)\n[a]\nlog = true"
        );
    }
}
