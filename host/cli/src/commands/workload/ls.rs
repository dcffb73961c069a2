//! `workload ls`.

use fleet_client::{Page, WorkloadQuery};
use fleet_model::workload::Workload;
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::time::age;

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
        "NAME", "ID", "STATE", "EXIT", "BACKEND", "NODE", "PORTS", "AGE",
    ];
    table(
        header,
        workloads.iter().map(|workload| {
            let ports = workload
                .ports
                .iter()
                .map(|(name, port)| format!("{name}:{port}"));
            let state = if workload.removing {
                "removing".to_owned()
            } else {
                workload.state.to_string()
            };
            [
                workload.name.to_string(),
                workload.id.to_string(),
                state,
                workload
                    .exit_code
                    .map(|code| code.to_string())
                    .unwrap_or_default(),
                workload.backend.to_string(),
                workload.node.clone(),
                ports.collect::<Vec<_>>().join(","),
                age(workload.created_at_ms, now_ms),
            ]
        }),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::sample::workload;
    use super::*;

    #[test]
    fn the_table_shows_what_one_looks_for() {
        let ended =
            workload(json!({"name": "job", "state": "exited", "exit_code": 3, "ports": {}}));
        let text = people(&[workload(json!({})), ended], 1_700_000_060_000);
        assert_eq!(
            text,
            "NAME  ID                             STATE    EXIT  BACKEND  NODE   PORTS       AGE\n\
             web   wl_01aryz6s41tsv4rrffq69g5fav  running  -     native   local  http:40123  60s\n\
             job   wl_01aryz6s41tsv4rrffq69g5fav  exited   3     native   local  -           60s\n"
        );
    }
}
