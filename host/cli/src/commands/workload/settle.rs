//! Waiting until a workload runs or has ended, as `run --wait` and `start` do.
//!
//! A start that may yet succeed is tried for ever, so what is in its way is told on stderr, each
//! thing once: a missing key is not waited out in silence. How long to wait is the caller's to say.

use std::time::Duration;

use fleet_client::Client;
use fleet_model::ErrorKind;
use fleet_model::workload::{Workload, WorkloadState};

use super::outcome;
use crate::app::Context;
use crate::failure::{Exit, Failure};
use crate::progress::Progress;

/// The code of a `create` that is on its way: its message is progress, and nothing is wrong.
const ON_ITS_WAY: &str = "not-ready-yet";

/// Waits until this generation runs or has ended, and says so.
pub(super) async fn settled(
    client: &Client,
    workload: &Workload,
    patience: Option<Duration>,
    context: &mut Context,
) -> Result<(), Failure> {
    let progress = Progress::begin(standing(workload));
    let output = &mut context.output;
    let mut last = standing(workload);
    let mut told = None;
    let seen = |now: &Workload| {
        last = standing(now);
        progress.say(last.as_str());
        let is_settled = outcome::is_settled(now);
        let passes = |_: &&str| !is_settled && !is_final(now) && !output.is_json();
        let obstacle = obstacle(now).filter(passes);
        if let Some(obstacle) = obstacle
            && told.as_deref() != Some(obstacle)
        {
            told = Some(obstacle.to_owned());
            let text = format!("{} is {}: {}", now.name, now.state, on_a_line(obstacle));
            // Where stderr is gone, the exit code is all there is.
            let _ = progress.aside(|| output.warning(&text));
        }
        is_settled
    };
    let wait = client.wait_for(workload.id, workload.generation, seen);
    let waited = match patience {
        None => Ok(wait.await),
        Some(patience) => tokio::time::timeout(patience, wait).await,
    };
    drop(progress);
    let Ok(waited) = waited else {
        return Err(late(workload, &last, patience.unwrap_or_default()));
    };
    let workload = waited?;
    context
        .output
        .answer(&workload, || outcome::line(&workload))?;
    outcome::verdict(&workload)
}

/// It as a line: what it is doing, and why it does no more.
pub(super) fn standing(workload: &Workload) -> String {
    let error = workload.error.as_ref().filter(|_| is_caught_up(workload));
    let why = workload
        .message
        .as_deref()
        .or(error.map(|error| error.message.as_str()));
    let why = why.map(|why| format!(": {}", on_a_line(why)));
    let (name, state) = (&workload.name, workload.state);
    format!("{name} is {state}{}", why.unwrap_or_default())
}

/// What keeps it from running, in words that stay the same from try to try; nothing while it merely
/// takes its time.
pub(super) fn obstacle(workload: &Workload) -> Option<&str> {
    let error = workload
        .error
        .as_ref()
        .filter(|error| is_caught_up(workload) && error.code != ON_ITS_WAY)
        .map(|error| error.message.as_str());
    let message = workload.message.as_deref();
    match (error, message) {
        // The message of a retry counts the tries.
        (Some(error), Some(message)) if message.starts_with(first(error)) => Some(error),
        (Some(error), None) => Some(error),
        (Some(_), Some(message)) => Some(message),
        (None, message) => message.filter(|_| {
            matches!(
                workload.state,
                WorkloadState::Pending | WorkloadState::Unknown
            )
        }),
    }
}

/// Whether the end is near: what was refused is not tried again, and is told once it has failed.
fn is_final(workload: &Workload) -> bool {
    let error = workload.error.as_ref().filter(|_| is_caught_up(workload));
    error.is_some_and(|error| !error.kind.is_retryable() && error.kind != ErrorKind::Internal)
}

fn first(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// Whether what is known is about the newest intent: an older one's failure is history.
fn is_caught_up(workload: &Workload) -> bool {
    workload.observed_generation == Some(workload.generation)
}

pub(super) fn on_a_line(text: &str) -> String {
    text.trim_end().replace('\n', "\n  ")
}

fn late(workload: &Workload, last: &str, patience: Duration) -> Failure {
    let patience = humantime::format_duration(patience);
    let name = &workload.name;
    Failure::new(Exit::Unavailable, format!("after {patience} {last}")).help(format!(
        "the host goes on trying: `fleet-host workload show {name}` says how it stands"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::workload;
    use super::*;

    #[test]
    fn an_obstacle_is_the_same_from_try_to_try() {
        let error = |code: &str| json!({"kind": "unavailable", "code": code, "message": "no key"});
        for (fields, want) in [
            (json!({"state": "starting", "message": null}), None),
            (
                json!({"state": "starting", "error": error("no-sealing-key"), "message": "no key (tried 7 times, trying again)"}),
                Some("no key"),
            ),
            (
                json!({"state": "starting", "error": error("no-sealing-key"), "message": null}),
                Some("no key"),
            ),
            // Progress is no obstacle, and neither is what an older intent met.
            (
                json!({"state": "starting", "error": error(ON_ITS_WAY), "message": "no key (tried 7 times, trying again)"}),
                None,
            ),
            (
                json!({"state": "pending", "error": error("no-sealing-key"), "message": null, "observed_generation": 3}),
                None,
            ),
            (
                json!({"state": "pending", "message": "node attic is not connected"}),
                Some("node attic is not connected"),
            ),
            (
                json!({"state": "unknown", "error": error("no-sealing-key"), "message": "node attic is not connected"}),
                Some("node attic is not connected"),
            ),
        ] {
            assert_eq!(obstacle(&workload(fields.clone())), want, "{fields}");
        }
    }

    #[test]
    fn what_is_refused_for_good_is_told_once_and_what_is_tried_again_is_a_warning() {
        for (kind, want) in [
            ("denied", true),
            ("invalid", true),
            ("unavailable", false),
            ("internal", false),
        ] {
            let error = json!({"kind": kind, "code": "c", "message": "no"});
            let refused = workload(json!({"state": "starting", "error": error}));
            assert_eq!(is_final(&refused), want, "{kind}");
        }
        let copied = json!({"kind": "unavailable", "code": "c", "message": "add:\n[a]"});
        let tried = json!({"state": "starting", "error": copied, "message": "add: (tried 2 times, trying again)\n[a]"});
        assert_eq!(obstacle(&workload(tried)), Some("add:\n[a]"));
    }

    #[test]
    fn giving_up_names_the_state_and_the_last_error() {
        let error = json!({"kind": "unavailable", "code": "no-sealing-key", "message": "no key"});
        let stuck = workload(json!({
            "state": "starting", "error": error, "message": "no key (tried 7 times, trying again)",
        }));
        let failure = late(&stuck, &standing(&stuck), Duration::from_secs(90));
        assert_eq!(failure.exit, Exit::Unavailable);
        assert_eq!(
            failure.message,
            "after 1m 30s web is starting: no key (tried 7 times, trying again)"
        );
        assert!(failure.help.unwrap().contains("workload show web"));
    }
}
