//! `workload run --dry-run`: what would become of it, and why.

use fleet_client::{Client, Reason, Trial};
use fleet_model::workload::WorkloadSpec;

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::{Exit, Failure};

/// Asks, and answers with an exit code too.
pub(crate) async fn run(
    client: &Client,
    spec: &WorkloadSpec,
    context: &mut Context,
) -> Result<(), Failure> {
    let trial = client.try_out(spec).await?;
    context.output.answer(&trial, || people(&trial))?;
    verdict(&trial)
}

fn verdict(trial: &Trial) -> Result<(), Failure> {
    if trial.admitted {
        return Ok(());
    }
    let why = match trial.reasons.len() {
        1 => "for the reason above".to_owned(),
        count => format!("for {count} reasons"),
    };
    Err(Failure::new(
        Exit::Refused,
        format!("it would be refused, {why}"),
    ))
}

/// Every reason, then where it would go and why nowhere else.
fn people(trial: &Trial) -> String {
    let mut text = String::new();
    if trial.admitted {
        let node = trial.node.as_deref().unwrap_or("a node");
        text.push_str(&format!("it would be accepted, and go to {node}\n"));
    }
    text.extend(trial.reasons.iter().map(|reason| told("refused", reason)));
    text.extend(trial.warnings.iter().map(|reason| told("warning", reason)));
    if !trial.placement.is_empty() {
        let rows = trial.placement.iter().map(|place| {
            let verdict = match (place.chosen, trial.admitted) {
                (true, true) => "chosen",
                (true, false) => "if accepted",
                (false, _) => "no",
            };
            let why = place.reason.as_deref().unwrap_or_default();
            // Lines to copy are with the reasons above.
            let why = why.lines().next().unwrap_or_default();
            [place.node.clone(), verdict.to_owned(), why.to_owned()]
        });
        text.push_str(&table(["NODE", "GOES THERE", "WHY NOT"], rows));
    }
    text
}

/// A reason on its line, with the key it is about; lines to copy stand below.
fn told(what: &str, reason: &Reason) -> String {
    let place = match reason.details.get("pointer").map(String::as_str) {
        None | Some("") => String::new(),
        Some(pointer) => format!("{pointer}: "),
    };
    let detail = reason.detail.trim_end().replace('\n', "\n  ");
    format!("{what}  {place}{detail} ({})\n", reason.code)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_admitted_one_says_where_it_would_go() {
        let trial: Trial = serde_json::from_value(json!({
            "admitted": true, "reasons": [], "node": "local", "spec": {"command": ["true"]},
            "placement": [
                {"node": "edge", "chosen": false, "reason": "has the backends docker"},
                {"node": "local", "chosen": true, "reason": null},
            ],
            "warnings": [{"code": "limits-unknown", "detail": "it may not hold", "details": {"pointer": "/limits"}}],
        }))
        .unwrap();
        assert_eq!(
            people(&trial),
            "it would be accepted, and go to local\n\
             warning  /limits: it may not hold (limits-unknown)\n\
             NODE   GOES THERE  WHY NOT\n\
             edge   no          has the backends docker\n\
             local  chosen      -\n"
        );
        verdict(&trial).unwrap();
    }

    #[test]
    fn a_refused_one_gives_every_reason() {
        let trial: Trial = serde_json::from_value(json!({
            "admitted": false, "node": "local", "spec": {"command": ["true"]}, "warnings": [],
            "placement": [
                {"node": "edge", "chosen": false, "reason": "has the backends docker"},
                {"node": "local", "chosen": true, "reason": null},
            ],
            "reasons": [
                {"code": "name-taken", "detail": "a workload named web exists", "details": {"pointer": "/name"}},
                {"code": "no-node", "detail": "no node has joined; add:\n[x]\n"},
            ],
        }))
        .unwrap();
        assert_eq!(
            people(&trial),
            "refused  /name: a workload named web exists (name-taken)\n\
             refused  no node has joined; add:\n  [x] (no-node)\n\
             NODE   GOES THERE   WHY NOT\n\
             edge   no           has the backends docker\n\
             local  if accepted  -\n"
        );
        let failure = verdict(&trial).unwrap_err();
        assert_eq!(
            (failure.exit as u8, failure.message.as_str()),
            (4, "it would be refused, for 2 reasons")
        );
    }
}
