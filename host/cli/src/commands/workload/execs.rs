//! `workload execs`.

use clap::Args;
use fleet_model::exec::{Exec, ExecState};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::quote;
use crate::time::age;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct ExecsArgs {
    /// The workload's name or id
    #[arg(value_name = "ID")]
    name: String,
}

/// Lists them.
pub(crate) async fn run(args: &ExecsArgs, context: &mut Context) -> Result<(), Failure> {
    let page = context.client()?.execs(&args.name).await?;
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
