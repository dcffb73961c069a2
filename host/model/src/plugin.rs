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
    /// Serves calls.
    Active,
    /// Not used, for the reason given.
    Rejected,
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
            Self::Active => "active",
            Self::Rejected => "rejected",
        }
    }

    /// Whether it will not change by itself any more.
    #[must_use]
    pub fn is_settled(self) -> bool {
        matches!(self, Self::Active | Self::Rejected)
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

/// One plugin file found in the plugin folder.
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
