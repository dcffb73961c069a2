//! The grants a first start writes, for plugins that were shipped with the host.
//!
//! Only for a process on loopback, and visibly: the file is there to be read and changed. A plugin
//! that was not shipped gets nothing until somebody writes a line.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use fleet_model::{Error, Name};
use toml::Value;

use crate::folder::scan;
use crate::manifest::Manifest;

/// The manifests in a plugin folder that can be read.
///
/// # Errors
/// `invalid` (`no-plugin-folder`) when there is no such folder.
pub fn manifests(folder: &Path) -> Result<Vec<Manifest>, Error> {
    Ok(scan(folder)?
        .into_iter()
        .filter_map(|candidate| Some(candidate.manifest.ok()?.manifest))
        .collect())
}

/// Where an endpoint of this name usually is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// The name plugins ask for.
    pub endpoint: Name,
    /// As a grant has it: `unix:///...` or `http://127.0.0.1:...`.
    pub address: String,
}

/// The text of a `grants.toml` that grants each of the `shipped` plugins what its manifest asks. Of
/// endpoints it gets those that are usual, under the policy `PLUGIN.policy.toml` beside the plugin.
#[must_use]
pub fn default_grants(manifests: &[Manifest], shipped: &[Name], usual: &[Usual]) -> String {
    let mut text = String::from(HEAD);
    // Two files of one name are both rejected; the name is granted once all the same.
    let mut granted = BTreeSet::new();
    for manifest in manifests
        .iter()
        .filter(|manifest| shipped.contains(&manifest.name) && granted.insert(&manifest.name))
    {
        let Manifest { name, requests, .. } = manifest;
        let _ = writeln!(text, "\n[{name}]");
        for (capability, asked) in [
            ("log", requests.log),
            ("clock", requests.clock),
            ("config", requests.config),
        ] {
            if asked {
                let _ = writeln!(text, "{capability} = true");
            }
        }
        if !requests.secrets.is_empty() {
            let _ = writeln!(text, "{SECRETS}\nsecrets = {}", requests.secrets);
        }
        for launcher in requests.process.launchers.named() {
            let _ = write!(
                text,
                "\n{LAUNCHER}\n[{name}.process.launchers.{launcher}]\nany = true\n"
            );
        }
        for endpoint in requests.endpoints.named() {
            let Some(found) = usual.iter().find(|usual| usual.endpoint == *endpoint) else {
                continue;
            };
            let address = Value::from(found.address.as_str());
            let _ = write!(
                text,
                "\n{ENDPOINT}\n[{name}.endpoint.{endpoint}]\naddress = {address}\npolicy = \"{name}.policy.toml\"\n"
            );
        }
    }
    text
}

const HEAD: &str = "\
# What each plugin may do on this machine.
#
# fleet-host wrote this file because there was none. It is yours now: it is never changed again.
# A plugin gets what its own manifest asks for and this file grants; one that has no table here
# gets nothing. `fleet-host plugin show NAME --effective` shows what results.
#
# `digest = \"sha256:...\"` in a plugin's table holds the grant to that one component.
";

const SECRETS: &str = "\
# Secrets that its workloads may be given; `[\"db-password\"]` for some instead of all.";

const LAUNCHER: &str = "\
# Programs. `any = true`: every program that you can run, as you. To allow one program instead:
#   executable = \"/usr/bin/python3\"";

const ENDPOINT: &str = "\
# An HTTP service. What may be asked of it is written in the policy file, which lies beside the plugin.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grants::Grants;

    fn manifest(name: &str, capabilities: &str) -> Manifest {
        let text = format!(
            "name = \"{name}\"\nkind = \"backend\"\nversion = \"1\"\n[capabilities]\n{capabilities}"
        );
        Manifest::parse("m.toml", &text).unwrap()
    }

    #[test]
    fn shipped_plugins_get_what_they_ask_and_others_nothing() {
        let native = "log = true\nclock = true\nconfig = true\nsecrets = [\"*\"]\nprocess = { launchers = [\"dev\"] }";
        let manifests = [
            manifest("native", native),
            manifest("mock", "log = true"),
            manifest("stranger", "log = true"),
        ];
        let shipped = ["native", "mock", "docker"].map(|name| name.parse().unwrap());
        let text = default_grants(&manifests, &shipped, &[]);
        let grants = Grants::parse("grants.toml", &text).unwrap();
        assert_eq!(
            grants.summary(),
            [
                "mock: log",
                "native: log, clock, config, launcher dev (any program), all secrets"
            ]
        );
        assert!(text.starts_with("# What each plugin may do"));
    }

    #[test]
    fn an_endpoint_is_granted_where_it_usually_is_and_no_other() {
        let manifests = [manifest("docker", "endpoints = [\"docker\", \"other\"]")];
        let usual = Usual {
            endpoint: "docker".parse().unwrap(),
            address: "unix:///var/run/docker.sock".to_owned(),
        };
        let shipped = ["docker".parse().unwrap()];
        let text = default_grants(&manifests, &shipped, std::slice::from_ref(&usual));
        Grants::parse("grants.toml", &text).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let endpoints = &table["docker"]["endpoint"];
        assert_eq!(
            endpoints["docker"]["address"].as_str(),
            Some(usual.address.as_str())
        );
        assert_eq!(
            endpoints["docker"]["policy"].as_str(),
            Some("docker.policy.toml")
        );
        assert!(endpoints.get("other").is_none());
        let nothing = default_grants(&manifests, &shipped, &[]);
        assert!(!nothing.contains("endpoint"));
    }
}
