//! The list of plugins comes by another way than a report: whoever asks for it right after a swap is to see
//! what the report has told.

use std::time::Duration;

use fleet_model::NodeId;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::swap::{SwapReport, SwapVerdict};

use super::super::Api;

/// How long the list is waited for. What is slower than that is shown when it comes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Waits until the list says it.
pub(super) async fn heard(api: &Api, node: NodeId, report: &SwapReport) {
    let told = |plugins: &[Plugin]| shows(plugins, report);
    until(api, node, told).await;
}

/// Waits until the list shows no component of this digest in quarantine.
pub(super) async fn allowed(api: &Api, node: NodeId, digest: &str) {
    let is_kept_out = |plugin: &Plugin| {
        plugin.state == PluginState::Quarantined && plugin.digest.as_deref() == Some(digest)
    };
    until(api, node, |plugins| !plugins.iter().any(is_kept_out)).await;
}

async fn until(api: &Api, node: NodeId, told: impl Fn(&[Plugin]) -> bool) {
    let waiting = async {
        let mut commits = api.inner.store.changes();
        loop {
            commits.borrow_and_update();
            let is_told = {
                let snapshot = api.inner.store.snapshot();
                let row = snapshot.state.nodes.get(&node);
                row.is_none_or(|row| told(&row.plugins))
            };
            if is_told || commits.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = waiting => {}
        () = api.inner.clock.sleep(PATIENCE) => {}
    }
}

/// Whether a list says what a report says. Pure.
fn shows(plugins: &[Plugin], report: &SwapReport) -> bool {
    let Some(to) = &report.to else {
        return true;
    };
    let state = match report.verdict {
        SwapVerdict::Active => PluginState::Active,
        SwapVerdict::Rejected => PluginState::Rejected,
        SwapVerdict::DryRun => return true,
    };
    plugins.iter().any(|plugin| {
        plugin.name == report.plugin
            && plugin.state == state
            && plugin.digest.as_deref() == Some(to.digest.as_str())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_says_it_when_the_digest_stands_where_the_verdict_puts_it() {
        let row = |name: &str, digest: &str, state| Plugin {
            digest: Some(digest.to_owned()),
            state,
            ..Plugin::found(name, "f.wasm", "")
        };
        let report = |verdict: &str, to: Option<&str>| -> SwapReport {
            let to = to.map(|digest| json!({"digest": digest, "manifest": "", "version": "2"}));
            serde_json::from_value(json!({
                "id": 1, "plugin": "mock", "kind": "swap", "cause": "upload", "at_ms": 1, "took_ms": 2, "stages": [],
                "handles": {"looked_at": 0, "adopted": 0, "failed": 0}, "calls": {"drained": 0, "reissued": 0},
                "verdict": verdict, "to": to,
            }))
            .unwrap()
        };
        use PluginState::{Active, Rejected};
        let list = [row("mock", "aa", Active), row("mock", "bb", Rejected)];
        for (verdict, to, told) in [
            ("active", Some("aa"), true),
            ("active", Some("bb"), false),
            ("rejected", Some("bb"), true),
            ("rejected", Some("aa"), false),
            ("rejected", None, true),
            ("dry-run", Some("cc"), true),
        ] {
            assert_eq!(shows(&list, &report(verdict, to)), told, "{verdict} {to:?}");
        }
        let other = [row("other", "aa", Active)];
        assert!(!shows(&other, &report("active", Some("aa"))));
    }
}
