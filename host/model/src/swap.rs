//! Swaps of plugins: what was put in the place of what, how long each step took, what it did to
//! what was running, and how it ended.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plugin::PluginState;

/// The largest component that is taken.
pub const MAX_COMPONENT_BYTES: u64 = 64 << 20;

/// The largest manifest that is taken.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 10;

/// Whether a newcomer is to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SwapRun {
    /// It is.
    #[default]
    Real,
    /// It is only tried, and nothing is kept of it.
    Dry,
}

/// Whether there must be a way back from a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SwapWay {
    /// There must: the old code and the new share a handle schema.
    #[default]
    Back,
    /// There need not.
    OneWay,
}

/// What new code must know of what is running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Adoption {
    /// All that the old code knows.
    #[default]
    Strict,
    /// What it does not know it does not know. Handles of a schema that it does not read stay with the
    /// old code.
    Lenient,
}

/// Why one generation of a plugin was to take the place of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SwapCause {
    /// A file in the plugin folder holds another component or manifest.
    File,
    /// Somebody gave it to the host.
    Upload,
    /// Somebody wants the one before it back.
    Operator,
    /// The new one failed too often on probation.
    Failures,
}

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SwapKind {
    /// To one that is new here.
    Swap,
    /// Back to the last one that had proven itself.
    Rollback,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SwapVerdict {
    /// `to` serves.
    Active,
    /// `from` serves as before, for the reason given.
    Rejected,
    /// It was only tried: it would have been taken.
    DryRun,
}

impl SwapCause {
    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Upload => "upload",
            Self::Operator => "operator",
            Self::Failures => "failures",
        }
    }
}

impl SwapKind {
    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Swap => "swap",
            Self::Rollback => "rollback",
        }
    }
}

impl SwapVerdict {
    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Rejected => "rejected",
            Self::DryRun => "dry-run",
        }
    }
}

impl fmt::Display for SwapCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for SwapKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for SwapVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One generation of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SwapSide {
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// SHA-256 of the manifest, in hex.
    pub manifest: String,
    /// The manifest's version.
    pub version: String,
}

/// A state that was reached, and how long it took from the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct StageTime {
    /// The state.
    pub stage: PluginState,
    /// In milliseconds.
    pub took_ms: u64,
}

/// What became of the handles of what was running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct HandleCounts {
    /// How many the new code was asked about.
    pub looked_at: u64,
    /// Of how many it knows as much as the old code.
    pub adopted: u64,
    /// Of how many it does not.
    pub failed: u64,
}

/// A handle that the new code did not know although the old one did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FailedHandle {
    /// Whose it is: `workload/wl_...`.
    pub item: String,
    /// That one's name.
    pub name: String,
    /// What the old code says of it: `running` or `exited`.
    pub was: String,
    /// What the new code says: `lost`, `unknown` or `error`.
    pub is: String,
    /// Why the new code says so.
    pub reason: String,
}

/// What became of the calls that were under way when the new code took over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CallCounts {
    /// How many the old code answered.
    pub drained: u64,
    /// How many took it too long, so that the new code was asked again under the same op.
    pub reissued: u64,
}

/// Why something was rejected or taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SwapReason {
    /// Stable, kebab-case: `needs-grant`, `adoption`.
    pub code: String,
    /// For people: what is wrong and what to do.
    pub message: String,
}

/// One swap, from the first look at the newcomer until the old code serves no call any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SwapReport {
    /// Rises by one with each swap of this plugin, from 1.
    pub id: u64,
    /// The plugin's name.
    pub plugin: String,
    /// The name of the node it is on.
    #[serde(default)]
    pub node: String,
    /// Which way.
    pub kind: SwapKind,
    /// Why.
    pub cause: SwapCause,
    /// What the asker called the request, if anything: the same again is the same request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    /// Whether it was only tried.
    #[serde(default)]
    pub dry_run: bool,
    /// Whether it was taken although there is no way back.
    #[serde(default)]
    pub one_way: bool,
    /// When it began, in Unix milliseconds.
    pub at_ms: u64,
    /// From there to its end, in milliseconds.
    pub took_ms: u64,
    /// From there until the new code served, in milliseconds; absent where it never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_after_ms: Option<u64>,
    /// The file it came in, relative to the plugin folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// What served before; absent where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<SwapSide>,
    /// What was to serve; absent where it could not be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<SwapSide>,
    /// The states that it reached, in order.
    pub stages: Vec<StageTime>,
    /// What became of live handles.
    pub handles: HandleCounts,
    /// Those that were not adopted, the first few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failed_handles: Vec<FailedHandle>,
    /// How many live configs fit the new schema.
    #[serde(default)]
    pub configs: u64,
    /// What became of calls under way.
    pub calls: CallCounts,
    /// How it ended.
    pub verdict: SwapVerdict,
    /// Why it was rejected; of a rollback, why it was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<SwapReason>,
    /// What else is worth knowing, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// How long the probation lasts that began with it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probation_ms: Option<u64>,
}

/// A component that is not taken again until somebody allows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Quarantined {
    /// The plugin it served as.
    pub plugin: String,
    /// SHA-256 of the component, in hex.
    pub digest: String,
    /// SHA-256 of its manifest, in hex, where the component is refused only with that one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
    /// The manifest's version.
    pub version: String,
    /// Since when, in Unix milliseconds.
    pub at_ms: u64,
    /// Why.
    pub reason: String,
}

/// What is told of swaps as it happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum SwapEvent {
    /// A swap or a rollback has ended.
    Ended {
        /// How.
        report: Box<SwapReport>,
    },
    /// A new generation has served its probation.
    Proven {
        /// The plugin.
        plugin: String,
        /// SHA-256 of the component, in hex.
        digest: String,
        /// The manifest's version.
        version: String,
    },
    /// A new generation fails too often, and there is none to go back to.
    Failing {
        /// The plugin.
        plugin: String,
        /// SHA-256 of the component, in hex.
        digest: String,
        /// What went wrong last.
        reason: String,
    },
    /// A digest may be swapped in again.
    Unquarantined {
        /// The plugin.
        plugin: String,
        /// SHA-256 of the component, in hex.
        digest: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_reads_back_and_leaves_out_what_there_is_none_of() {
        let report = SwapReport {
            id: 1,
            plugin: "mock".into(),
            node: "here".into(),
            kind: SwapKind::Swap,
            cause: SwapCause::File,
            request: None,
            dry_run: false,
            one_way: false,
            at_ms: 5,
            took_ms: 7,
            active_after_ms: None,
            file: Some("mock.wasm".into()),
            from: None,
            to: None,
            stages: vec![StageTime {
                stage: PluginState::Verified,
                took_ms: 3,
            }],
            handles: HandleCounts::default(),
            failed_handles: Vec::new(),
            configs: 0,
            calls: CallCounts::default(),
            verdict: SwapVerdict::Rejected,
            reason: Some(SwapReason {
                code: "bad-component".into(),
                message: "is not WebAssembly".into(),
            }),
            remarks: Vec::new(),
            probation_ms: None,
        };
        let text = serde_json::to_string(&report).unwrap();
        for word in ["probation_ms", "\"to\"", "remarks", "failed_handles"] {
            assert!(!text.contains(word), "{text}");
        }
        assert_eq!(serde_json::from_str::<SwapReport>(&text).unwrap(), report);
    }

    #[test]
    fn words_are_written_as_they_are_shown() {
        let written = |value: serde_json::Value| value.as_str().unwrap().to_owned();
        for cause in [
            SwapCause::File,
            SwapCause::Upload,
            SwapCause::Operator,
            SwapCause::Failures,
        ] {
            let json = serde_json::to_value(cause).unwrap();
            assert_eq!(written(json), cause.to_string());
        }
        for verdict in [
            SwapVerdict::Active,
            SwapVerdict::Rejected,
            SwapVerdict::DryRun,
        ] {
            let json = serde_json::to_value(verdict).unwrap();
            assert_eq!(written(json), verdict.to_string());
        }
        for kind in [SwapKind::Swap, SwapKind::Rollback] {
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(written(json), kind.to_string());
        }
    }
}
