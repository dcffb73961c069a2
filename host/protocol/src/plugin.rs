//! Plugins of a node over a bulk stream: swapped, rolled back, looked back at.
//!
//! A swap's component comes from the controller as frames of bytes and an empty one, and after them
//! one JSON frame [`Tail`]. The node answers with JSON frames [`Reply`]: any number of `stage`, then
//! one other, the last. What was begun goes on when the controller goes away; whoever asks again with
//! the same key gets its report.

use fleet_model::plugin::PluginState;
use fleet_model::swap::{Adoption, Quarantined, SwapReport, SwapRun, SwapWay};
use fleet_model::{Error, Name};
use serde::{Deserialize, Serialize};

/// The most bytes of a component in one frame.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// The most reports in one answer.
pub const MAX_PAGE: u32 = 64;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "call")]
pub enum PluginCall {
    /// Puts another component in a plugin's place.
    Swap {
        /// Which plugin.
        plugin: Name,
        /// The client's key: the same again is not swapped twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Whether it is put into use.
        #[serde(default)]
        run: SwapRun,
        /// Whether there must be a way back.
        #[serde(default)]
        way: SwapWay,
        /// What becomes of it where it does not know what runs.
        #[serde(default)]
        adoption: Adoption,
    },
    /// Puts the last proven generation back.
    Rollback {
        /// Of which plugin.
        plugin: Name,
        /// The client's key: the same again does not go back twice.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// Reports, the newest first.
    History {
        /// Of which plugin.
        plugin: Name,
        /// Only those before this one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        before: Option<u64>,
        /// At most so many.
        limit: u32,
    },
    /// Lets a component in again.
    Unquarantine {
        /// Its digest, or enough of it.
        digest: String,
    },
}

/// What comes after a component's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tail {
    /// Its manifest, as TOML; absent: the active one stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<String>,
}

/// The answer to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// The newcomer has come so far.
    Stage {
        /// The state it has reached.
        state: PluginState,
    },
    /// To `swap` and `rollback`, whatever the verdict.
    Report {
        /// What became of it.
        report: Box<SwapReport>,
    },
    /// To `history`.
    History {
        /// The newest first.
        reports: Vec<SwapReport>,
        /// What to give as `before` for the next, if there are more.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next: Option<u64>,
    },
    /// To `unquarantine`: what was let in again.
    Allowed {
        /// Each as it was.
        entries: Vec<Quarantined>,
    },
    /// To what was refused: nothing was begun.
    Failed {
        /// Why.
        error: Error,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_as_usual() {
        let call: PluginCall =
            serde_json::from_value(json!({"call": "swap", "plugin": "mock"})).unwrap();
        let usual = PluginCall::Swap {
            plugin: "mock".parse().unwrap(),
            key: None,
            run: SwapRun::Real,
            way: SwapWay::Back,
            adoption: Adoption::Strict,
        };
        assert_eq!(call, usual);
        assert_eq!(serde_json::from_str::<Tail>("{}").unwrap(), Tail::default());
    }
}
