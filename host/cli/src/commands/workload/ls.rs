//! `workload ls`.

use fleet_client::{Page, WorkloadQuery};
use fleet_model::workload::{Workload, WorkloadState};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::time::{age, until};

/// Lists all of them, whatever the number of pages.
pub(crate) async fn run(context: &mut Context) -> Result<(), Failure> {
    let all = context
        .client()?
        .workloads(&WorkloadQuery::default())
        .await?;
    let page = Page::complete(all);
    context
        .output
        .answer(&page, || people(&page.items, SystemClock.unix_ms()))
}

fn people(workloads: &[Workload], now_ms: u64) -> String {
    let header = [
        "NAME", "ID", "STATE", "EXIT", "BACKEND", "NODE", "PORTS", "AGE", "EXPIRES", "WHY",
    ];
    table(
        header,
        workloads.iter().map(|workload| {
            let ports = workload
                .ports
                .iter()
                .map(|(name, port)| format!("{name}:{port}"));
            let expires = workload.expires_at_ms.map(|at| until(at, now_ms));
            [
                workload.name.to_string(),
                workload.id.to_string(),
                state(workload),
                workload
                    .exit_code
                    .map(|code| code.to_string())
                    .unwrap_or_default(),
                workload.backend.to_string(),
                workload.node.clone(),
                ports.collect::<Vec<_>>().join(","),
                age(workload.created_at_ms, now_ms),
                expires.unwrap_or_default(),
                why(workload),
            ]
        }),
    )
}

fn state(workload: &Workload) -> String {
    match workload.state {
        _ if workload.removing => "removing".to_owned(),
        WorkloadState::Restarting => format!("restarting, attempt {}", workload.attempt.0),
        state => state.to_string(),
    }
}

/// The longest reason in a table, in characters; `workload show` has it whole.
const LONGEST: usize = 72;

fn why(workload: &Workload) -> String {
    let error = workload.error.as_ref().map(|error| &error.message);
    let text = workload.message.as_ref().or(error);
    let line = text
        .and_then(|text| text.lines().next())
        .unwrap_or_default();
    if line.chars().count() <= LONGEST {
        line.to_owned()
    } else {
        line.chars().take(LONGEST - 1).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::fixture::workload;
    use super::*;

    #[test]
    fn the_table_shows_what_one_looks_for() {
        let ended =
            workload(json!({"name": "job", "state": "exited", "exit_code": 3, "ports": {}}));
        let flapping = workload(json!({
            "name": "flap", "state": "restarting", "exit_code": 1, "attempt": 3, "ports": {},
            "message": "it exited with code 1; it is started again after 2s",
            "expires_at_ms": 1_700_003_660_000_u64,
        }));
        let text = people(&[workload(json!({})), ended, flapping], 1_700_000_060_000);
        assert_eq!(
            text,
            "NAME  ID                             STATE                  EXIT  BACKEND  NODE   PORTS       AGE  EXPIRES  WHY\n\
             web   wl_01aryz6s41tsv4rrffq69g5fav  running                -     native   local  http:40123  60s  -        -\n\
             job   wl_01aryz6s41tsv4rrffq69g5fav  exited                 3     native   local  -           60s  -        -\n\
             flap  wl_01aryz6s41tsv4rrffq69g5fav  restarting, attempt 3  1     native   local  -           60s  in 60m   it exited with code 1; it is started again after 2s\n"
        );
    }

    #[test]
    fn a_long_reason_is_cut_and_an_error_is_one() {
        let error = json!({"kind": "denied", "code": "c", "message": "not granted; add:\n[x]"});
        let refused = workload(json!({"state": "failed", "error": error}));
        assert_eq!(why(&refused), "not granted; add:");
        let long = workload(json!({"message": "ä".repeat(100)}));
        assert_eq!(why(&long), format!("{}…", "ä".repeat(71)));
    }
}
