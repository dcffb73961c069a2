//! Grants: what the operator lets each plugin do, and the ceiling the node's owner sets.
//!
//! `grants.toml` has one table per plugin name. An unpinned grant holds for later versions of the
//! plugin too; a `digest` holds it to one component.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fleet_capability::Launcher;
use fleet_capability::endpoint::Address;
use fleet_model::{Error, Name};
use serde::Deserialize;

use crate::digest::Digest;
use crate::document;
use crate::names::Names;

/// All grants of a host.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub struct Grants {
    plugins: BTreeMap<Name, Grant>,
}

/// What one plugin may do.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Grant {
    /// Lines in its log.
    pub log: bool,
    /// Its settings.
    pub config: bool,
    /// The time.
    pub clock: bool,
    /// Programs.
    pub process: ProcessGrant,
    /// HTTP services, by the name the plugin uses.
    pub endpoint: BTreeMap<Name, EndpointGrant>,
    /// The secrets that the host puts into what it makes.
    pub secrets: Names,
    /// The only component this grant is for.
    pub digest: Option<Digest>,
}

/// Through which launchers a plugin may run programs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessGrant {
    /// The launchers, by name.
    pub launchers: BTreeMap<Name, Launcher>,
}

/// Where an endpoint is and what may be asked of it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointGrant {
    /// `unix:///run/x.sock` or `http://127.0.0.1:2375`.
    pub address: String,
    /// The policy file; a relative path begins in the folder of the plugins.
    pub policy: PathBuf,
    /// The only policy this grant is for.
    pub policy_digest: Option<Digest>,
}

/// What no grant on this node can exceed. What it does not mention it does not limit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Ceiling {
    /// `false` forbids `log`.
    pub log: Option<bool>,
    /// `false` forbids `config`.
    pub config: Option<bool>,
    /// `false` forbids `clock`.
    pub clock: Option<bool>,
    /// What may be granted of `process`.
    pub process: Option<ProcessCeiling>,
    /// The only endpoints that may be granted.
    pub endpoints: Option<Names>,
    /// The only secrets that may be granted.
    pub secrets: Option<Names>,
}

/// The ceiling of `process`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProcessCeiling {
    /// The only launchers that may be granted.
    pub launchers: BTreeSet<Name>,
}

impl Grants {
    /// Reads grants; `file` is their place for error messages.
    ///
    /// # Errors
    /// `invalid` (`bad-grants`) with the file, the line and what was expected.
    pub fn parse(file: &str, text: &str) -> Result<Self, Error> {
        let bad = |message: String| Error::invalid("bad-grants", message);
        let grants: Self = document::parse(file, text).map_err(bad)?;
        for (plugin, grant) in &grants.plugins {
            for (name, launcher) in &grant.process.launchers {
                let place = format!("{file}: [{plugin}.process.launchers.{name}]");
                launcher
                    .validate()
                    .map_err(|error| bad(format!("{place}: {error}")))?;
            }
            for (name, endpoint) in &grant.endpoint {
                let place = format!("{file}: [{plugin}.endpoint.{name}]");
                endpoint
                    .address
                    .parse::<Address>()
                    .map_err(|error| bad(format!("{place}: {error}")))?;
            }
        }
        Ok(grants)
    }

    /// Reads a grants file.
    ///
    /// # Errors
    /// `invalid` (`bad-grants`) when it cannot be read or is not right.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Error::invalid(
                "bad-grants",
                format!("cannot read the grants file {}: {error}", path.display()),
            )
        })?;
        Self::parse(&path.display().to_string(), &text)
    }

    /// What this plugin is granted, if anything.
    #[must_use]
    pub fn of(&self, plugin: &Name) -> Option<&Grant> {
        self.plugins.get(plugin)
    }

    /// The grants in force, one part per plugin: `native: log, clock, config, launcher dev (any program)`.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        self.plugins
            .iter()
            .map(|(name, grant)| format!("{name}: {}", grant.summary()))
            .collect()
    }
}

impl Grant {
    fn summary(&self) -> String {
        let plain = [
            ("log", self.log),
            ("clock", self.clock),
            ("config", self.config),
        ];
        let mut parts: Vec<String> = plain
            .into_iter()
            .filter(|(_, granted)| *granted)
            .map(|(name, _)| name.to_owned())
            .collect();
        parts.extend(
            self.process
                .launchers
                .iter()
                .map(|(name, launcher)| format!("launcher {name} ({})", describe(launcher))),
        );
        parts.extend(
            self.endpoint
                .iter()
                .map(|(name, endpoint)| format!("endpoint {name} ({})", endpoint.describe())),
        );
        if self.secrets.has_any() {
            parts.push("all secrets".to_owned());
        } else {
            parts.extend(self.secrets.named().map(|name| format!("secret {name}")));
        }
        if parts.is_empty() {
            "nothing".to_owned()
        } else {
            parts.join(", ")
        }
    }
}

impl EndpointGrant {
    /// In a few words.
    pub(crate) fn describe(&self) -> String {
        format!("{}, {}", self.address, self.policy.display())
    }
}

/// A launcher in a few words.
pub(crate) fn describe(launcher: &Launcher) -> String {
    match &launcher.executable {
        _ if launcher.any => "any program".to_owned(),
        Some(path) => path.display().to_string(),
        None => "no program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_name_their_line_and_what_was_expected() {
        for (text, want) in [
            (
                "[native]\nlogs = true",
                "g.toml:2: unknown field `logs`, expected one of `log`",
            ),
            ("[native]\nlog = \"yes\"", "g.toml:2: "),
            ("[Native]\nlog = true", "`Native` is not a name"),
            ("[native]\ndigest = \"abc\"", "64 hexadecimal digits"),
            ("[native]\nsecrets = \"*\"", "g.toml:2: "),
            (
                "[docker.endpoint.docker]\naddress = \"tcp://1.2.3.4:5\"\npolicy = \"p\"",
                "[docker.endpoint.docker]: `tcp://1.2.3.4:5` is no address",
            ),
            (
                "[docker.endpoint.docker]\naddress = \"http://1.2.3.4:5\"\npolicy = \"p\"",
                "not on this machine's loopback",
            ),
            (
                "[docker.endpoint.docker]\naddress = \"unix:///a\"",
                "missing field `policy`",
            ),
            (
                "[native.process.launchers.dev]\nanny = true",
                "unknown field `anny`",
            ),
            (
                "[native.process.launchers.dev]\n",
                "[native.process.launchers.dev]: set `executable`",
            ),
        ] {
            let error = Grants::parse("g.toml", text).unwrap_err();
            assert_eq!(error.code, "bad-grants");
            assert!(error.message.contains(want), "{error}");
        }
    }

    #[test]
    fn the_summary_says_who_may_do_what() {
        let grants = Grants::parse(
            "g.toml",
            "[a]\nlog = true\nsecrets = [\"*\"]\n[a.process.launchers.dev]\nany = true\n[b]\n[c]\nsecrets = [\"x\"]\n[c.endpoint.e]\naddress = \"unix:///e.sock\"\npolicy = \"e.toml\"",
        )
        .unwrap();
        assert_eq!(
            grants.summary(),
            [
                "a: log, launcher dev (any program), all secrets",
                "b: nothing",
                "c: endpoint e (unix:///e.sock, e.toml), secret x"
            ]
        );
    }
}
