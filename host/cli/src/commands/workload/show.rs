//! `workload show`.

use clap::Args;
use fleet_model::spec::{FileContent, Restart};
use fleet_model::workload::{Desired, Workload, WorkloadSpec};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::pairs;
use crate::failure::Failure;
use crate::quote;
use crate::time::{age, stamp, until};

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
    let spec = &workload.spec;
    rows.extend([
        row("restart", restart(spec.restart)),
        row("limits", limits(spec)),
        row("secrets", list(secrets(spec))),
        row("files", list(spec.files.keys().cloned().collect())),
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
        row("expires", expiry(workload.expires_at_ms, now_ms)),
        row(
            "generation",
            format!("{}{attempt}{behind}", workload.generation),
        ),
    ]);
    pairs(rows)
}

/// When it will be removed; empty where it has no ttl.
pub(super) fn expiry(at_ms: Option<u64>, now_ms: u64) -> String {
    at_ms
        .map(|at| format!("{} ({})", stamp(at), until(at, now_ms)))
        .unwrap_or_default()
}

fn restart(policy: Restart) -> String {
    match policy {
        Restart::Never => String::new(),
        policy => policy.as_str().to_owned(),
    }
}

fn limits(spec: &WorkloadSpec) -> String {
    let limits = &spec.limits;
    [
        limits.cpu.map(|cpu| format!("cpu {cpu}")),
        limits.memory.map(|size| format!("memory {size}")),
        limits.processes.map(|count| format!("processes {count}")),
        limits.disk.map(|size| format!("disk {size}")),
        limits.log.map(|size| format!("log {size}")),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>()
    .join(", ")
}

/// Each secret by its name, with where it goes.
fn secrets(spec: &WorkloadSpec) -> Vec<String> {
    let env = spec.env.iter().filter_map(|(variable, value)| {
        let name = value.secret()?;
        Some(format!("{name} as {variable}"))
    });
    let files = spec
        .files
        .iter()
        .filter_map(|(path, file)| match &file.content {
            FileContent::Secret(name) => Some(format!("{name} in {path}")),
            FileContent::Text(_) | FileContent::Base64(_) => None,
        });
    env.chain(files).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::workload;
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
    fn what_was_asked_for_is_shown_and_secrets_by_name_only() {
        let spec = json!({
            "command": ["true"], "restart": "on-failure", "ttl": "1h",
            "limits": {"cpu": 0.5, "memory": "64MiB", "processes": 9, "disk": "1GiB", "log": "8MiB"},
            "env": {"PUBLIC": "1", "TOKEN": {"secret": "api-token"}},
            "files": {"a": "text", "conf/key": {"secret": "tls-key"}},
        });
        let text = people(
            &workload(json!({
                "spec": spec, "state": "restarting", "attempt": 3, "exit_code": 1,
                "message": "it exited with code 1; it is started again after 2s",
                "expires_at_ms": 1_700_003_661_000_u64,
            })),
            1_700_000_061_000,
        );
        for line in [
            "state:      restarting\n",
            "why:        it exited with code 1; it is started again after 2s\n",
            "exit code:  1\n",
            "restart:    on-failure\n",
            "limits:     cpu 0.5, memory 64MiB, processes 9, disk 1GiB, log 8MiB\n",
            "secrets:    api-token as TOKEN, tls-key in conf/key\n",
            "files:      a, conf/key\n",
            "expires:    2023-11-14T23:14:21Z (in 60m)\n",
            "generation: 4, attempt 3\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
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
