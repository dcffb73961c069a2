//! What a runtime backend is told and what it answers, as the host keeps it.
//!
//! These mirror `fleet:backend` in `wit/`; a handle is opaque to the host and durable with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::id::{NodeId, WorkloadId};
use crate::item::Generation;
use crate::name::Name;
use crate::spec::Limits;

/// What a plugin needs to find its runtime again. The host stores it and never looks inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// The version of the plugin's own format.
    pub schema: u32,
    /// The plugin's bytes.
    pub opaque: Vec<u8>,
}

/// What can be ended without the plugin, by a guard, when the host is gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum KillTarget {
    /// A cgroup, by its path.
    Cgroup {
        /// Absolute path.
        path: String,
    },
    /// A process, told apart from a later one with the same number.
    Process {
        /// Its number.
        pid: u32,
        /// Its start time in clock ticks since boot, field 22 of `/proc/PID/stat`.
        start_ticks: u64,
    },
    /// Something a later version knows.
    Other {
        /// As the plugin said it.
        text: String,
    },
}

/// A workload as a backend is asked to make it. Values are final: ports are chosen, `$(...)` is expanded.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Workload {
    /// Its id.
    pub id: WorkloadId,
    /// Its name, for people.
    pub name: Name,
    /// The node it runs on: with the id, the owner label of all that is made.
    pub node: NodeId,
    /// The intent it is made for.
    pub generation: Generation,
    /// Program and arguments; may be empty where the backend has a default.
    pub command: Vec<String>,
    /// Environment, `FLEET_*` and `PORT_*` included. Where a secret belongs stands its placeholder.
    pub env: BTreeMap<String, String>,
    /// Which secret each placeholder stands for. Kept from plugins: the host puts the values in where
    /// a grant allows it.
    #[serde(default)]
    pub secrets: BTreeMap<String, Name>,
    /// What it may use. The host holds processes to it; a backend that runs something else passes it on.
    #[serde(default)]
    pub limits: Limits,
    /// Named ports.
    pub ports: Vec<Port>,
    /// The user's labels.
    pub labels: BTreeMap<String, String>,
    /// The backend's own part of the spec, valid against its schema.
    pub config: Value,
    /// Whether it is still to be made.
    #[serde(default)]
    pub wanted: Wanted,
}

/// What a `create` is for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// To make the workload.
    #[default]
    Yes,
    /// To find what an earlier call may have made, so that it can be removed.
    No,
}

/// One named port of a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name.
    pub name: Name,
    /// As the workload sees it; 0 = the same as `host`.
    pub inside: u16,
    /// On the node's loopback, free when it was chosen.
    pub host: u16,
}

/// The answer to `create`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Creation {
    /// It is there and can be started.
    Ready {
        /// How to find it again.
        handle: Handle,
        /// How to end it without the plugin.
        kill_target: Option<KillTarget>,
    },
    /// It takes longer (an image is pulled): ask again with the same op.
    Pending {
        /// For people.
        message: String,
        /// Done and total, in the unit the message names.
        done: Option<(u64, u64)>,
        /// When to ask again.
        retry_after_ms: u32,
    },
}

/// How a runtime ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exit {
    /// The code; 128 + n when signal n ended it.
    pub code: i32,
    /// The signal's name without `SIG`, when one ended it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// When, in Unix milliseconds, if the runtime knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_ms: Option<u64>,
}

/// What a runtime is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum RunState {
    /// Made, not started.
    Created,
    /// Running.
    Running,
    /// Over.
    Exited {
        /// How.
        exit: Exit,
    },
    /// It was there and is not any more, and nobody knows how it ended.
    Lost {
        /// Why the plugin says so.
        reason: String,
    },
    /// Cannot be told now.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// One look at a runtime.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What it does.
    pub state: RunState,
    /// When it started, in Unix milliseconds, if known.
    pub started_at_ms: Option<u64>,
    /// The backend's own facts: `pid` for `native`.
    pub attributes: BTreeMap<String, String>,
}

/// One runtime a backend finds on its machine, whether or not the host remembers it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// How to reach it.
    pub handle: Handle,
    /// Which workload it was made for.
    pub workload: String,
    /// Which node made it.
    pub node: String,
    /// Under which intent.
    pub generation: Generation,
}

/// Whether a backend can be used on this machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Why it cannot be used; `None` when it can.
    pub unusable: Option<String>,
    /// What it found: versions, isolation, paths.
    pub attributes: BTreeMap<String, String>,
}

/// What a backend says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The plugin's name; must be the manifest's.
    pub name: String,
    /// The plugin's version; must be the manifest's.
    pub version: String,
    /// The handle schema it writes.
    pub handle_schema: u32,
    /// The handle schemas it reads.
    pub reads: Vec<u32>,
    /// JSON Schema of `[config]`.
    pub config_schema: Value,
    /// More facts.
    pub attributes: BTreeMap<String, String>,
}
