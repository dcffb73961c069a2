//! The swap, through the host's API.

use std::path::Path;

use fleet_author::Built;
use fleet_client::{Client, ClientError, NewVersion, SwapWish};
use fleet_model::plugin::Plugin;

use super::told::{Missing, Served, lacking};
use crate::commands::plugin::waiting::verdict;
use crate::failure::{Exit, Failure};

/// Why a swap was not begun, as far as something can be said of it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NotBegun {
    /// What was built serves already.
    Same,
    /// The host has no plugin of that name.
    Absent,
    /// It has one that does not serve.
    Idle,
}

impl NotBegun {
    /// By the code of the API's problem: `plugin-not-found` is the controller's, `no-plugin` a node's.
    fn of(code: &str) -> Option<Self> {
        match code {
            "already-active" => Some(Self::Same),
            "plugin-not-found" => Some(Self::Absent),
            "no-plugin" => Some(Self::Idle),
            _ => None,
        }
    }
}

/// Puts what was built in the place of what serves.
pub(super) async fn swap(client: &Client, built: &Built) -> Result<Served, Failure> {
    let version = NewVersion {
        component: read(&built.component)?.into(),
        manifest: Some(String::from_utf8_lossy(&read(&built.manifest)?).into_owned()),
    };
    let swap = client.swap(&built.name, version, &SwapWish::default());
    let was = match swap.report().await {
        Ok(report) => {
            verdict(&report)?;
            Some(report.from.map(|side| side.digest).unwrap_or_default())
        }
        Err(error) => match not_begun(&error) {
            Some(NotBegun::Same) => None,
            Some(NotBegun::Absent) => return Err(not_there(built)),
            Some(NotBegun::Idle) => {
                let shown = client.plugin(&built.name, None).await?;
                return Err(not_serving(built, &shown.plugin));
            }
            None => return Err(error.into()),
        },
    };
    let shown = client.plugin(&built.name, None).await?;
    Ok(Served {
        name: built.name.clone(),
        version: built.version.clone(),
        digest: shown.plugin.digest.clone().unwrap_or_default(),
        was,
        missing: missing(&shown.plugin),
    })
}

fn not_begun(error: &ClientError) -> Option<NotBegun> {
    match error {
        ClientError::Api { error, .. } => NotBegun::of(&error.code),
        _ => None,
    }
}

/// A plugin that was never there is installed through the host's folder.
fn not_there(built: &Built) -> Failure {
    Failure::new(
        Exit::NotFound,
        format!("the host has no plugin `{}` yet", built.name),
    )
    .help(format!(
        "put it into the host's plugin folder, once; from then on saving a file swaps it:\n{}",
        copy(built)
    ))
}

/// What does not serve has nothing to swap: what keeps it out is to be mended first.
fn not_serving(built: &Built, plugin: &Plugin) -> Failure {
    let reason = plugin.reason.as_deref().unwrap_or("no reason given");
    // The first line says what is wrong; what follows are lines to copy.
    let (first, rest) = reason.split_once('\n').unwrap_or((reason, ""));
    let mut help = String::new();
    if !rest.trim().is_empty() {
        help.push_str(&format!("{}\n\n", rest.trim_end()));
    }
    help.push_str(&lacking(&missing(plugin)));
    help.push_str(&format!(
        "put what was built in its place, if that mends it:\n{}",
        copy(built)
    ));
    Failure::new(
        Exit::Refused,
        format!(
            "the host has `{}` and does not use it ({}): {}",
            built.name,
            plugin.state,
            first.trim_end()
        ),
    )
    .help(help)
}

fn copy(built: &Built) -> String {
    let folder = built.component.parent().unwrap_or(Path::new("dist"));
    format!("cp {}/{}.* PLUGINS/", folder.display(), built.name)
}

/// What it asks for and is not granted.
fn missing(plugin: &Plugin) -> Vec<Missing> {
    let refused = plugin
        .capabilities
        .iter()
        .filter(|one| one.requested && !one.effective);
    refused
        .map(|one| Missing {
            capability: one.name.clone(),
            remedy: one.remedy.clone(),
        })
        .collect()
}

pub(super) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(file)
        .map_err(|error| Failure::io(format!("cannot read {}", file.display()), &error))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn built() -> Built {
        Built {
            name: "harbour".into(),
            version: "0.1.0".into(),
            component: "/p/dist/harbour.wasm".into(),
            bytes: 1,
            manifest: "/p/dist/harbour.toml".into(),
            policy: None,
        }
    }

    #[test]
    fn what_the_host_answers_decides_what_is_told() {
        for (code, want) in [
            ("already-active", Some(NotBegun::Same)),
            ("plugin-not-found", Some(NotBegun::Absent)),
            ("no-plugin", Some(NotBegun::Idle)),
            ("several-nodes", None),
            ("not-found", None),
        ] {
            let error = fleet_model::Error::not_found(code, "x");
            let error = ClientError::Api { status: 404, error };
            assert_eq!(not_begun(&error), want, "{code}");
        }
        let failure = not_there(&built());
        assert_eq!(failure.exit, Exit::NotFound);
        let help = failure.help.unwrap();
        assert!(help.ends_with("\ncp /p/dist/harbour.* PLUGINS/"), "{help}");
    }

    #[test]
    fn a_plugin_that_does_not_serve_is_told_with_its_state_its_reason_and_the_lines_it_lacks() {
        let plugin = |reason: &str, capabilities: serde_json::Value| -> Plugin {
            serde_json::from_value(json!({
                "name": "harbour", "kind": "backend", "version": "0.1.0", "digest": "0123", "state": "rejected",
                "reason": reason, "usable": false, "file": "harbour.wasm", "capabilities": capabilities,
            }))
            .unwrap()
        };
        let lacks = json!([
            {"name": "log", "requested": true, "granted": null, "effective": false, "remedy": "[harbour]\nlog = true"},
            {"name": "clock", "requested": true, "granted": null, "effective": false, "remedy": "[harbour]\nclock = true"},
            {"name": "config", "requested": false, "granted": null, "effective": false, "remedy": "[harbour]\nconfig = true"},
        ]);
        let failure = not_serving(&built(), &plugin("`describe` failed: denied", lacks));
        assert_eq!(failure.exit, Exit::Refused);
        assert_eq!(
            failure.message,
            "the host has `harbour` and does not use it (rejected): `describe` failed: denied"
        );
        assert_eq!(
            failure.help.unwrap(),
            "it asks for `log`, `clock` and is not granted them: add to the grants file and start the host again\n\n\
             [harbour]\nlog = true\nclock = true\n\n\
             put what was built in its place, if that mends it:\ncp /p/dist/harbour.* PLUGINS/"
        );
        let failure = not_serving(
            &built(),
            &plugin("write harbour.toml\nname = 1\n", json!([])),
        );
        assert!(failure.message.ends_with("(rejected): write harbour.toml"));
        let help = failure.help.unwrap();
        assert!(help.starts_with("name = 1\n\nput what"), "{help}");
    }
}
