//! `plugin ls`.

use fleet_model::plugin::{Plugin, PluginState};

use crate::app::Context;
use crate::commands::table::table;
use crate::failure::Failure;

/// Lists them.
pub(crate) async fn run(context: &mut Context) -> Result<(), Failure> {
    let page = context.client()?.plugins().await?;
    context.output.answer(&page, || people(&page.items))
}

/// The table of plugins.
pub(super) fn people(plugins: &[Plugin]) -> String {
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
                reason(plugin),
            ]
        }),
    )
}

/// Why it is not in use, or cannot be used here.
fn reason(plugin: &Plugin) -> String {
    let reason = plugin.reason.as_deref().unwrap_or_default();
    // `plugin show` has the lines below it.
    let reason = reason.lines().next().unwrap_or_default().to_owned();
    if plugin.state == PluginState::Active && !plugin.usable {
        format!("not usable: {reason}")
    } else {
        reason
    }
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
        ]))
        .unwrap();
        assert_eq!(
            people(&plugins),
            "NAME    KIND     VERSION  STATE     DIGEST        REASON\n\
             native  backend  0.1.0    active    0123456789ab  -\n\
             docker  backend  0.1.0    active    fedcba987654  not usable: no engine\n\
             junk    -        -        rejected  -             not a component\n"
        );
    }
}
