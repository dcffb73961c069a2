//! `plugin show`.

use clap::Args;
use fleet_client::{Newcomer, ShownPlugin};
use fleet_model::plugin::{Capability, Plugin};
use fleet_plugin::merged;
use fleet_seam::{Clock as _, SystemClock};

use super::ls::{probation, short, swapping};
use crate::app::Context;
use crate::commands::table::{pairs, table};
use crate::failure::Failure;

/// Its arguments.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Its name
    name: String,
    /// What it asks for, what is granted, what results, and the lines to add
    #[arg(long)]
    effective: bool,
    /// On which node, where several have it
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
}

/// Shows it.
pub(crate) async fn run(args: &ShowArgs, context: &mut Context) -> Result<(), Failure> {
    let client = context.client()?;
    let shown = client.plugin(&args.name, args.node.as_deref()).await?;
    context.output.answer(&shown, || {
        if args.effective {
            effective(&shown.plugin)
        } else {
            people(&shown, SystemClock.unix_ms())
        }
    })
}

/// All that is known but its capabilities in detail.
fn people(shown: &ShownPlugin, now_ms: u64) -> String {
    let ShownPlugin { plugin, newcomers } = shown;
    let row = |key: &str, value: String| (key.to_owned(), value);
    let mut rows = vec![
        row("name", plugin.name.clone()),
        row(
            "kind",
            plugin.kind.map(|kind| kind.to_string()).unwrap_or_default(),
        ),
        row("version", plugin.version.clone().unwrap_or_default()),
        row("state", plugin.state.to_string()),
        row("why", plugin.reason.clone().unwrap_or_default()),
        row(
            "usable",
            if plugin.usable { "yes" } else { "no" }.to_owned(),
        ),
        row("file", plugin.file.clone()),
        row("digest", plugin.digest.clone().unwrap_or_default()),
        row("node", plugin.node.clone()),
    ];
    rows.extend(
        plugin
            .attributes
            .iter()
            .map(|(name, value)| row(name, value.clone())),
    );
    let refused = plugin
        .capabilities
        .iter()
        .filter(|capability| capability.requested && !capability.effective);
    rows.push(row(
        "refused",
        refused
            .map(|capability| capability.name.clone())
            .collect::<Vec<_>>()
            .join(", "),
    ));
    let lines = |lines: Vec<String>| lines.join("\n");
    rows.extend([
        row("swap", swapping(plugin).unwrap_or_default()),
        row("probation", probation(plugin, now_ms).unwrap_or_default()),
        row("remarks", lines(plugin.remarks.clone())),
        row("newcomers", lines(newcomers.iter().map(newcomer).collect())),
    ]);
    pairs(rows)
}

/// What is refused, and why.
fn newcomer(newcomer: &Newcomer) -> String {
    let digest = newcomer
        .digest
        .as_deref()
        .map_or_else(|| "not read".to_owned(), short);
    let version = newcomer.version.as_deref().unwrap_or("no version");
    let reason = newcomer.reason.as_deref().unwrap_or("no reason given");
    let Newcomer { file, state, .. } = newcomer;
    format!("{version} {digest} ({file}) {state}: {reason}")
}

/// Request, grant and result of each capability.
pub(super) fn effective(plugin: &Plugin) -> String {
    let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
    let granted = |capability: &Capability| match (&capability.granted, capability.above_ceiling) {
        (Some(grant), true) => format!("{grant} (above the ceiling)"),
        (Some(grant), false) => grant.clone(),
        (None, _) => "no".to_owned(),
    };
    let mut text = table(
        ["CAPABILITY", "REQUESTED", "GRANTED", "EFFECTIVE"],
        plugin.capabilities.iter().map(|capability| {
            [
                capability.name.clone(),
                yes(capability.requested),
                granted(capability),
                yes(capability.effective),
            ]
        }),
    );
    let remedies = plugin.capabilities.iter();
    let lines = merged(remedies.filter_map(|one| one.remedy.as_deref()));
    if !lines.is_empty() {
        text.push_str(
            "\nTo grant what is refused, add to the grants file and start the host again:\n\n",
        );
        text.extend(lines.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("  {line}\n"),
        }));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plugin() -> ShownPlugin {
        serde_json::from_value(json!({
            "name": "native", "kind": "backend", "version": "0.1.0", "digest": "0123", "state": "active",
            "reason": null, "usable": true, "file": "native.wasm", "node": "local",
            "attributes": {"isolation": "process groups"},
            "capabilities": [
                {"name": "log", "requested": true, "granted": "yes", "effective": true},
                {"name": "clock", "requested": true, "granted": "yes", "above_ceiling": true, "effective": false},
                {"name": "process.launcher dev", "requested": true, "granted": null, "effective": false,
                 "remedy": "[native.process.launchers.dev]\nany = true"},
                {"name": "config", "requested": true, "granted": null, "effective": false, "remedy": "[native]\nconfig = true"},
                {"name": "secret a", "requested": true, "granted": null, "effective": false, "remedy": "[native]\nsecrets = [\"a\"]"},
            ],
        }))
        .unwrap()
    }

    #[test]
    fn what_results_is_shown_with_the_lines_to_add() {
        assert_eq!(
            effective(&plugin().plugin),
            "CAPABILITY            REQUESTED  GRANTED                  EFFECTIVE\n\
             log                   yes        yes                      yes\n\
             clock                 yes        yes (above the ceiling)  no\n\
             process.launcher dev  yes        no                       no\n\
             config                yes        no                       no\n\
             secret a              yes        no                       no\n\
             \n\
             To grant what is refused, add to the grants file and start the host again:\n\
             \n\
             \x20 [native.process.launchers.dev]\n\
             \x20 any = true\n\
             \n\
             \x20 [native]\n\
             \x20 config = true\n\
             \x20 secrets = [\"a\"]\n"
        );
    }

    #[test]
    fn the_plugins_own_facts_are_shown() {
        let text = people(&plugin(), 0);
        assert!(text.contains("isolation: process groups\n"), "{text}");
        assert!(
            text.contains("refused:   clock, process.launcher dev, config, secret a\n"),
            "{text}"
        );
        assert!(!text.contains("newcomers"), "{text}");
    }

    #[test]
    fn what_is_refused_and_what_is_to_come_is_shown_with_its_reason() {
        let mut shown = plugin();
        let more: ShownPlugin = serde_json::from_value(json!({
            "name": "native", "kind": null, "version": null, "digest": null, "state": "active", "reason": null,
            "usable": true, "file": "", "probation_until_ms": 61_000,
            "newcomers": [
                {"file": "native.wasm", "digest": "0123456789abcdef", "version": "0.3.0", "state": "quarantined", "reason": "failed 4 times"},
                {"file": "native.wasm", "digest": null, "version": null, "state": "rejected", "reason": "not a component"},
            ],
        }))
        .unwrap();
        shown.newcomers = more.newcomers;
        shown.plugin.probation_until_ms = more.plugin.probation_until_ms;
        let text = people(&shown, 31_000);
        for want in [
            "probation: on probation, proven in 30s\n",
            "newcomers: 0.3.0 0123456789ab (native.wasm) quarantined: failed 4 times\n",
            "           no version not read (native.wasm) rejected: not a component\n",
        ] {
            assert!(text.contains(want), "{want}: {text}");
        }
    }
}
