//! `plugin ls`.

use fleet_model::plugin::{Plugin, PluginState};
use fleet_seam::{Clock as _, SystemClock};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;
use crate::time::until;

/// Lists them.
pub(crate) async fn run(context: &mut Context) -> Result<(), Failure> {
    let page = context.client()?.plugins().await?;
    context
        .output
        .answer(&page, || people(&page.items, SystemClock.unix_ms()))
}

/// The table of plugins.
pub(super) fn people(plugins: &[Plugin], now_ms: u64) -> String {
    let header = ["NAME", "KIND", "VERSION", "STATE", "DIGEST", "REASON"];
    table(
        header,
        plugins.iter().map(|plugin| {
            let digest = plugin.digest.as_deref().map(short).unwrap_or_default();
            [
                plugin.name.clone(),
                plugin.kind.map(|kind| kind.to_string()).unwrap_or_default(),
                plugin.version.clone().unwrap_or_default(),
                plugin.state.to_string(),
                digest,
                remarks(plugin, now_ms).join("; "),
            ]
        }),
    )
}

/// Why it is not in use, or cannot be used here; and what else is worth knowing of one that is.
fn remarks(plugin: &Plugin, now_ms: u64) -> Vec<String> {
    let reason = plugin.reason.as_deref().unwrap_or_default();
    // `plugin show` has the lines below it.
    let reason = reason.lines().next().unwrap_or_default().to_owned();
    let is_unusable = plugin.state == PluginState::Active && !plugin.usable;
    let mut all = vec![if is_unusable {
        format!("not usable: {reason}")
    } else {
        reason
    }];
    all.extend(swapping(plugin));
    all.extend(probation(plugin, now_ms));
    all.extend(plugin.remarks.iter().cloned());
    all.retain(|remark| !remark.is_empty());
    all
}

/// What is about to take its place.
pub(super) fn swapping(plugin: &Plugin) -> Option<String> {
    let newcomer = plugin.swapping.as_ref()?;
    let version = newcomer.version.as_deref().unwrap_or("a new version");
    Some(format!("{version} is on its way: {}", newcomer.state))
}

/// How long it has to prove itself.
pub(super) fn probation(plugin: &Plugin, now_ms: u64) -> Option<String> {
    let until_ms = plugin.probation_until_ms?;
    Some(format!("on probation, proven {}", until(until_ms, now_ms)))
}

/// Enough of a digest to tell two apart.
pub(super) fn short(digest: &str) -> String {
    digest
        .trim_start_matches("sha256:")
        .chars()
        .take(12)
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_file_has_a_row_and_a_reason_where_it_needs_one() {
        let plugins: Vec<Plugin> = serde_json::from_value(json!([
            {"name": "native", "kind": "backend", "version": "0.1.0", "digest": "0123456789abcdef", "state": "active",
             "reason": null, "usable": true, "file": "native.wasm"},
            {"name": "docker", "kind": "backend", "version": "0.1.0", "digest": "sha256:fedcba9876543210",
             "state": "active", "reason": "no engine\nlook there", "usable": false, "file": "docker.wasm"},
            {"name": "junk", "kind": null, "version": null, "digest": null, "state": "rejected",
             "reason": "not a component", "usable": false, "file": "junk.wasm"},
            {"name": "mock", "kind": "backend", "version": "0.2.0", "digest": "aa", "state": "active", "reason": null,
             "usable": true, "file": "mock.wasm", "probation_until_ms": 50_000, "remarks": ["its file is gone"],
             "swapping": {"version": "0.3.0", "state": "compiled"}},
            {"name": "mock", "kind": "backend", "version": "0.3.0", "digest": "bb", "state": "quarantined",
             "reason": "failed 4 times", "usable": false, "file": "mock.wasm"},
        ]))
        .unwrap();
        assert_eq!(
            people(&plugins, 10_000),
            "NAME    KIND     VERSION  STATE        DIGEST        REASON\n\
             native  backend  0.1.0    active       0123456789ab  -\n\
             docker  backend  0.1.0    active       fedcba987654  not usable: no engine\n\
             junk    -        -        rejected     -             not a component\n\
             mock    backend  0.2.0    active       aa            0.3.0 is on its way: compiled; on probation, proven in 40s; its file is gone\n\
             mock    backend  0.3.0    quarantined  bb            failed 4 times\n"
        );
    }
}
