//! Plugins as the API shows them: what was found, what became of it and why.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Where a plugin file is on its way into use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PluginState {
    /// Seen in the folder.
    Discovered,
    /// Its bytes and manifest are sound.
    Verified,
    /// Native code for it exists.
    Compiled,
    /// Its imports are all known.
    Linked,
    /// It has described itself.
    Probed,
    /// Knows what is running as well as the one whose place it takes.
    Adopted,
    /// Serves calls.
    Active,
    /// Serves those calls that it had begun when another took its place.
    Draining,
    /// Serves no more.
    Retired,
    /// Not used, for the reason given.
    Rejected,
    /// Served, and the one before it was put back, for the reason given.
    RolledBack,
    /// Not taken again until somebody allows it, for the reason given.
    Quarantined,
}

impl PluginState {
    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Verified => "verified",
            Self::Compiled => "compiled",
            Self::Linked => "linked",
            Self::Probed => "probed",
            Self::Adopted => "adopted",
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Rejected => "rejected",
            Self::RolledBack => "rolled-back",
            Self::Quarantined => "quarantined",
        }
    }

    /// Whether it will not change by itself any more.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Active
                | Self::Draining
                | Self::Retired
                | Self::Rejected
                | Self::RolledBack
                | Self::Quarantined
        )
    }
}

impl fmt::Display for PluginState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a plugin extends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum PluginKind {
    /// Runs workloads.
    Backend,
}

impl fmt::Display for PluginKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backend => f.pad("backend"),
        }
    }
}

/// What is on its way into the place of an active plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Swapping {
    /// SHA-256 of its component, in hex, as soon as it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Its manifest's version, as soon as that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How far it came.
    pub state: PluginState,
}

/// One plugin: what serves, or what was found in the plugin folder and does not. A newcomer that is
/// refused stands beside what serves under the same name, with a digest of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Plugin {
    /// The manifest's name; the file's stem where there is no readable manifest.
    pub name: String,
    /// What it extends; absent where the manifest cannot be read.
    pub kind: Option<PluginKind>,
    /// The manifest's version; absent where the manifest cannot be read.
    pub version: Option<String>,
    /// SHA-256 of the component, in hex; absent where the file was never read.
    pub digest: Option<String>,
    /// How far it came.
    pub state: PluginState,
    /// Why it is rejected, or why a machine cannot use an active one (no engine, say).
    pub reason: Option<String>,
    /// Whether an active plugin can work on its node: a backend's own fingerprint.
    pub usable: bool,
    /// The file, relative to the plugin folder.
    pub file: String,
    /// The name of the node it is on.
    #[serde(default)]
    pub node: String,
    /// What the plugin says of itself and its machine: fingerprint and description.
    #[serde(default)]
    pub attributes: std::collections::BTreeMap<String, String>,
    /// JSON Schema of a workload's `[config]` for this backend.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(value_type = Option<Object>))]
    pub config_schema: Option<Value>,
    /// Capability requests, grants, and what results.
    #[serde(default)]
    pub capabilities: Vec<Capability>,
    /// Until when it is on probation, in Unix milliseconds; absent when it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation_until_ms: Option<u64>,
    /// What is about to take its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swapping: Option<Swapping>,
    /// What is worth knowing of it, a line each: that its file is gone, say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

impl Plugin {
    /// One of which nothing is known but where it was found.
    #[must_use]
    pub fn found(name: &str, file: &str, node: &str) -> Self {
        Self {
            name: name.to_owned(),
            kind: None,
            version: None,
            digest: None,
            state: PluginState::Discovered,
            reason: None,
            usable: false,
            file: file.to_owned(),
            node: node.to_owned(),
            attributes: std::collections::BTreeMap::new(),
            config_schema: None,
            capabilities: Vec::new(),
            probation_until_ms: None,
            swapping: None,
            remarks: Vec::new(),
        }
    }
}

/// One capability of one plugin: what its manifest asks, what the operator grants, what results.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Capability {
    /// `log`, `clock`, `config`, or `process.launcher NAME`.
    pub name: String,
    /// Whether the manifest asks for it.
    pub requested: bool,
    /// What the grant says, for people; absent where there is none.
    pub granted: Option<String>,
    /// Whether the node owner's ceiling forbids it.
    #[serde(default)]
    pub above_ceiling: bool,
    /// Whether calls that need it are let through.
    pub effective: bool,
    /// The lines that would grant it, where it is requested and not granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}
