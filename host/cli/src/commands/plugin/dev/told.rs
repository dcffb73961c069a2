//! What is said of a round: a line per step for people, an object per step for programs.

use std::path::Path;

use fleet_author::Built;
use fleet_conformance::{Outcome, Report};
use fleet_plugin::merged;
use serde::Serialize;
use serde_json::json;

use crate::app::Context;
use crate::commands::plugin::build;
use crate::commands::plugin::ls::short;
use crate::commands::plugin::test::view::in_full;
use crate::failure::{Exit, Failure};

/// What serves after a round.
#[derive(Debug, Serialize)]
pub(super) struct Served {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) digest: String,
    /// The digest of what served before; absent where it is the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) was: Option<String>,
    /// What it asks for and does not get.
    pub(super) missing: Vec<Missing>,
}

/// A grant that is not there.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Missing {
    pub(super) capability: String,
    /// The lines to add; absent where the node's ceiling is in the way.
    pub(super) remedy: Option<String>,
}

/// It was built.
pub(super) fn built(context: &mut Context, built: &Built, dir: &Path) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.json_line(&json!({ "built": built }));
    }
    let line = build::people(built, dir);
    context.output.text(&format!("built   {line}"))
}

/// It was held to the kit.
pub(super) fn tested(context: &mut Context, report: &Report) -> Result<(), Failure> {
    if context.output.is_json() {
        let Report {
            passed,
            failed,
            skipped,
            ..
        } = report;
        context.output.json_line(
            &json!({ "tested": { "passed": passed, "failed": failed, "skipped": skipped } }),
        )?;
    } else {
        context.output.text(&tested_text(report))?;
    }
    if report.failed == 0 {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Failed,
        format!(
            "{} of {} cases failed: what served before goes on serving",
            report.failed,
            report.cases.len()
        ),
    ))
}

fn tested_text(report: &Report) -> String {
    let mut text = format!(
        "tested  {} passed, {} failed, {} skipped\n",
        report.passed, report.failed, report.skipped
    );
    for case in &report.cases {
        if let Outcome::Failed(failure) = &case.outcome {
            text.push_str(&in_full(case, failure));
        }
    }
    text
}

/// Its policy stays here.
pub(super) fn policy(context: &mut Context, policy: &Path) -> Result<(), Failure> {
    if context.output.is_json() {
        return context
            .output
            .json_line(&json!({ "policy_not_sent": policy }));
    }
    context.output.text(&policy_text(policy))
}

fn policy_text(policy: &Path) -> String {
    format!(
        "policy  it is not sent with a swap: put it beside the plugins, where it is read when the plugin is loaded \
         next, at a swap or a start\n\n        cp {} PLUGINS/\n\n",
        policy.display()
    )
}

/// It serves.
pub(super) fn served(context: &mut Context, served: &Served) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.json_line(&json!({ "active": served }));
    }
    context.output.text(&served_text(served))
}

fn served_text(served: &Served) -> String {
    let Served {
        name,
        version,
        digest,
        ..
    } = served;
    let before = match served.was.as_deref() {
        None => "as before".to_owned(),
        Some(was) => format!("was {}", short(was)),
    };
    let mut text = format!("active  {name} {version}  ({}; {before})\n", short(digest));
    text.extend(lacking(&served.missing).lines().map(|line| match line {
        "" => "\n".to_owned(),
        line => format!("        {line}\n"),
    }));
    text
}

/// What it asks for in vain, with the lines to add, each once.
pub(super) fn lacking(missing: &[Missing]) -> String {
    let mut text = String::new();
    let grantable: Vec<String> = missing
        .iter()
        .filter(|one| one.remedy.is_some())
        .map(|one| format!("`{}`", one.capability))
        .collect();
    if !grantable.is_empty() {
        let them = if grantable.len() == 1 { "it" } else { "them" };
        let lines = merged(missing.iter().filter_map(|one| one.remedy.as_deref()));
        text.push_str(&format!(
            "it asks for {} and is not granted {them}: add to the grants file and start the host again\n\n{}\n\n",
            grantable.join(", "),
            lines.trim_end()
        ));
    }
    for Missing { capability, .. } in missing.iter().filter(|one| one.remedy.is_none()) {
        text.push_str(&format!(
            "it asks for `{capability}`, which the [ceiling] of the node does not allow\n"
        ));
    }
    text
}

/// It waits.
pub(super) fn watching(context: &mut Context, dir: &Path) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.json_line(&json!({ "watching": dir }));
    }
    let dir = dir.display();
    context.output.text(&format!(
        "waiting for a file in {dir} to be saved; Ctrl-C ends this\n"
    ))
}

/// Something was saved.
pub(super) fn saved(context: &mut Context, file: &Path) -> Result<(), Failure> {
    if context.output.is_json() {
        return context.output.json_line(&json!({ "saved": file }));
    }
    context
        .output
        .text(&format!("\nsaved   {}\n", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serves_is_told_with_the_lines_it_lacks() {
        let mut served = Served {
            name: "harbour".into(),
            version: "0.1.0".into(),
            digest: "0123456789abcdef".into(),
            was: Some("fedcba9876543210".into()),
            missing: Vec::new(),
        };
        assert_eq!(
            served_text(&served),
            "active  harbour 0.1.0  (0123456789ab; was fedcba987654)\n"
        );
        served.was = None;
        let lacks = |capability: &str, remedy: &str| Missing {
            capability: capability.into(),
            remedy: Some(remedy.into()),
        };
        served.missing = vec![
            lacks("log", "[harbour]\nlog = true\n"),
            lacks("clock", "[harbour]\nclock = true"),
        ];
        assert_eq!(
            served_text(&served),
            "active  harbour 0.1.0  (0123456789ab; as before)\n        \
             it asks for `log`, `clock` and is not granted them: add to the grants file and start the host again\n\n        \
             [harbour]\n        log = true\n        clock = true\n\n"
        );
        served.missing = vec![
            Missing {
                capability: "process.launcher harbour".into(),
                remedy: Some("[harbour.process.launchers.harbour]\nany = true\n".into()),
            },
            Missing {
                capability: "clock".into(),
                remedy: None,
            },
        ];
        assert_eq!(
            served_text(&served),
            "active  harbour 0.1.0  (0123456789ab; as before)\n        \
             it asks for `process.launcher harbour` and is not granted it: add to the grants file and start the \
             host again\n\n        \
             [harbour.process.launchers.harbour]\n        any = true\n\n        \
             it asks for `clock`, which the [ceiling] of the node does not allow\n"
        );
    }

    #[test]
    fn a_policy_is_told_with_where_it_goes() {
        let text = policy_text(Path::new("/p/dist/harbour.policy.toml"));
        assert!(text.contains("not sent"), "{text}");
        assert!(
            text.contains("\n        cp /p/dist/harbour.policy.toml PLUGINS/\n"),
            "{text}"
        );
    }
}
