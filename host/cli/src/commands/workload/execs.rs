//! `workload execs`.

use clap::{Args, Subcommand};
use fleet_model::exec::{Exec, ExecId, ExecState};
use fleet_seam::{Clock as _, SystemClock};
use serde::Serialize;

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::quote;
use crate::time::age;

/// Its arguments.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct ExecsArgs {
    /// The workload's name or id
    #[arg(value_name = "ID", required = true)]
    name: Option<String>,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What is done with one of them.
#[derive(Debug, Subcommand)]
enum Command {
    /// End one, if it runs, and forget it with what it printed
    Rm(RmArgs),
}

/// Which one.
#[derive(Debug, Args)]
struct RmArgs {
    /// Its id, as `workload execs ID` prints it
    #[arg(value_name = "EXEC")]
    exec: ExecId,
}

/// Which one is gone.
#[derive(Debug, Serialize)]
struct Removed {
    id: ExecId,
}

/// Lists them, or removes one.
pub(crate) async fn run(args: &ExecsArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    if let Some(Command::Rm(RmArgs { exec })) = args.command {
        client.exec_remove(exec).await?;
        let removed = Removed { id: exec };
        return context
            .output
            .answer(&removed, || format!("removed {exec}\n"));
    }
    let page = client
        .execs(args.name.as_deref().unwrap_or_default())
        .await?;
    context
        .output
        .answer(&page, || people(&page.items, SystemClock.unix_ms()))
}

fn people(execs: &[Exec], now_ms: u64) -> String {
    let rows = execs.iter().map(|exec| {
        [
            exec.id.to_string(),
            state(&exec.state),
            age(exec.started_at_ms, now_ms),
            quote::line(&exec.command),
        ]
    });
    table(["EXEC", "STATE", "AGE", "COMMAND"], rows)
}

fn state(state: &ExecState) -> String {
    match state {
        ExecState::Running => "running".to_owned(),
        ExecState::Exited { timed_out, .. } if *timed_out => "timed out".to_owned(),
        ExecState::Exited { exit, .. } => match &exit.signal {
            Some(signal) => format!("exited {} ({signal})", exit.code),
            None => format!("exited {}", exit.code),
        },
        ExecState::Lost { reason } => format!("lost: {reason}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_program_is_a_line() {
        let exec = |state: serde_json::Value| {
            let mut exec = json!({
                "id": "ex_01aryz6s41tsv4rrffq69g5fav_00000000000000ab", "command": ["sh", "-c", "a b"],
                "terminal": false, "started_at_ms": 1_000,
            });
            exec.as_object_mut()
                .unwrap()
                .extend(state.as_object().unwrap().clone());
            serde_json::from_value(exec).unwrap()
        };
        let text = people(
            &[
                exec(json!({"state": "running"})),
                exec(json!({"state": "exited", "code": 137, "signal": "KILL"})),
                exec(json!({"state": "exited", "code": 143, "timed_out": true})),
            ],
            61_000,
        );
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(
            lines[1],
            "ex_01aryz6s41tsv4rrffq69g5fav_00000000000000ab  running            60s  sh -c 'a b'"
        );
        assert!(lines[2].contains("exited 137 (KILL)"), "{text}");
        assert!(lines[3].contains("timed out"), "{text}");
    }
}
