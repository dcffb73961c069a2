//! `workload show`.

use clap::Args;
use fleet_model::workload::{Desired, Workload};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::pairs;
use crate::failure::Failure;
use crate::quote;
use crate::time::{age, stamp};

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its name or id
    #[arg(value_name = "ID")]
    name: String,
}

/// Shows it.
pub(crate) async fn run(args: &ShowArgs, context: &mut Context) -> Result<(), Failure> {
    let workload = context.client()?.workload(&args.name).await?;
    context
        .output
        .answer(&workload, || people(&workload, SystemClock.unix_ms()))
}

fn people(workload: &Workload, now_ms: u64) -> String {
    let when = |at: Option<u64>| {
        at.map(|at| format!("{} ({} ago)", stamp(at), age(at, now_ms)))
            .unwrap_or_default()
    };
    let list = |items: Vec<String>| items.join(", ");
    let state = match (workload.removing, workload.desired) {
        (true, _) => format!("{}, being removed", workload.state),
        (false, Desired::Running) => workload.state.to_string(),
        (false, Desired::Stopped) => format!("{}, and should not run", workload.state),
    };
    let behind = match workload.observed_generation {
        Some(observed) if observed == workload.generation => String::new(),
        Some(observed) => format!(", its node is at {observed}"),
        None => ", its node has not reported yet".to_owned(),
    };
    let attempt = if workload.attempt.0 > 1 {
        format!(", attempt {}", workload.attempt.0)
    } else {
        String::new()
    };
    let error = workload
        .error
        .as_ref()
        .map(|error| format!("{} ({})", error.message.trim_end(), error.code));
    let row = |key: &str, value: String| (key.to_owned(), value);
    let mut rows = vec![
        row("id", workload.id.to_string()),
        row("name", workload.name.to_string()),
        row("state", state),
        row("why", workload.message.clone().unwrap_or_default()),
        row("error", error.unwrap_or_default()),
        row(
            "exit code",
            workload
                .exit_code
                .map(|code| code.to_string())
                .unwrap_or_default(),
        ),
        row("backend", workload.backend.to_string()),
        row("node", workload.node.clone()),
        row("command", quote::line(&workload.spec.command)),
        row(
            "ports",
            list(
                workload
                    .ports
                    .iter()
                    .map(|(name, port)| format!("{name} 127.0.0.1:{port}"))
                    .collect(),
            ),
        ),
    ];
    rows.extend(
        workload
            .attributes
            .iter()
            .map(|(name, value)| row(name, value.clone())),
    );
    rows.extend([
        row(
            "labels",
            list(
                workload
                    .labels
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect(),
            ),
        ),
        row("created", when(Some(workload.created_at_ms))),
        row("started", when(workload.started_at_ms)),
        row("finished", when(workload.finished_at_ms)),
        row(
            "generation",
            format!("{}{attempt}{behind}", workload.generation),
        ),
    ]);
    pairs(rows)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample::workload;
    use super::*;

    #[test]
    fn a_running_one_shows_pid_and_ports() {
        assert_eq!(
            people(&workload(json!({})), 1_700_000_061_000),
            "id:         wl_01aryz6s41tsv4rrffq69g5fav\n\
             name:       web\n\
             state:      running\n\
             backend:    native\n\
             node:       local\n\
             command:    python3 -m http.server '$(PORT_HTTP)'\n\
             ports:      http 127.0.0.1:40123\n\
             pid:        4711\n\
             labels:     app=web\n\
             created:    2023-11-14T22:13:20Z (61s ago)\n\
             started:    2023-11-14T22:13:21Z (60s ago)\n\
             generation: 4\n"
        );
    }

    #[test]
    fn a_failed_one_shows_why() {
        let error = json!({"kind": "not-found", "code": "no-program", "message": "there is no program `x`"});
        let failed = json!({"state": "failed", "message": "gave up", "error": error, "observed_generation": 3});
        let text = people(&workload(failed), 0);
        assert!(text.contains("why:        gave up\n"), "{text}");
        assert!(
            text.contains("error:      there is no program `x` (no-program)\n"),
            "{text}"
        );
        assert!(text.contains("generation: 4, its node is at 3\n"), "{text}");
    }
}
