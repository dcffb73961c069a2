//! Workloads: a program somebody wants to run, as it is asked for, kept, and shown.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::driver::Exit;
use crate::error::Error;
use crate::id::{NodeId, WorkloadId};
use crate::item::{Attempt, Generation};
use crate::name::{Label, Name};
pub use crate::spec::WorkloadSpec;

/// Whether it should run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum Desired {
    /// It should run, until it ends by itself.
    Running,
    /// It should not run; its workspace and logs stay.
    Stopped,
}

/// The intent of a workload's item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadIntent {
    /// Its name, chosen or made up.
    pub name: Name,
    /// Whether it should run.
    pub desired: Desired,
    /// How long a stop may take before it becomes a kill, in milliseconds.
    pub grace_ms: u64,
    /// What was asked for.
    pub spec: WorkloadSpec,
}

/// How long a stop may take when nobody says otherwise, in milliseconds.
pub const DEFAULT_GRACE_MS: u64 = 10_000;

/// What a workload is doing, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum WorkloadState {
    /// Accepted; its node has not begun.
    Pending,
    /// Its node is making or starting it.
    Starting,
    /// Running.
    Running,
    /// It ended, and will be started again when its back-off has passed.
    Restarting,
    /// Asked to end.
    Stopping,
    /// The program ended, whatever its code.
    Exited,
    /// It could not be started.
    Failed,
    /// It was there, and nobody knows how it ended.
    Lost,
    /// Its node or backend cannot be asked.
    Unknown,
}

impl WorkloadState {
    /// All states, for tests that walk them.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Starting,
        Self::Running,
        Self::Restarting,
        Self::Stopping,
        Self::Exited,
        Self::Failed,
        Self::Lost,
        Self::Unknown,
    ];

    /// The word as it is written everywhere.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Restarting => "restarting",
            Self::Stopping => "stopping",
            Self::Exited => "exited",
            Self::Failed => "failed",
            Self::Lost => "lost",
            Self::Unknown => "unknown",
        }
    }

    /// Whether nothing runs and nothing will until somebody asks.
    #[must_use]
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Exited | Self::Failed | Self::Lost)
    }
}

impl fmt::Display for WorkloadState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a node reports of a workload: the `detail` of its item status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadStatus {
    /// What it is doing.
    pub state: WorkloadState,
    /// Which try at this generation.
    pub attempt: Attempt,
    /// How it ended, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<Exit>,
    /// The ports the node chose: name to number on its loopback.
    #[serde(default)]
    pub ports: BTreeMap<Name, u16>,
    /// The backend's own facts: `pid` for `native`.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
    /// For people: progress, or why it is as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// When it started, in Unix milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at_ms: Option<u64>,
}

/// A workload as the API shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Workload {
    /// Its id.
    pub id: WorkloadId,
    /// Its name.
    pub name: Name,
    /// The backend that runs it.
    pub backend: Name,
    /// The name of the node it is on.
    pub node: String,
    /// That node's id.
    pub node_id: NodeId,
    /// What it is doing.
    pub state: WorkloadState,
    /// Whether it should run.
    pub desired: Desired,
    /// The exit code, once it has ended or waits to be started again; 128 + n when signal n ended it (`attributes.signal`).
    pub exit_code: Option<i32>,
    /// The newest intent.
    pub generation: Generation,
    /// The intent that `state` is about; behind `generation` while the node has not caught up.
    pub observed_generation: Option<Generation>,
    /// Which try at that intent.
    pub attempt: Attempt,
    /// Port name to number on the node's loopback.
    pub ports: BTreeMap<Name, u16>,
    /// The user's labels.
    pub labels: BTreeMap<Label, Label>,
    /// The backend's own facts: `pid` for `native`, `signal` when one ended it.
    pub attributes: BTreeMap<String, String>,
    /// For people: progress, or why it is as it is.
    pub message: Option<String>,
    /// What went wrong at last.
    pub error: Option<Error>,
    /// When it was accepted, in Unix milliseconds.
    pub created_at_ms: u64,
    /// When it last started, in Unix milliseconds.
    pub started_at_ms: Option<u64>,
    /// When it ended, in Unix milliseconds.
    pub finished_at_ms: Option<u64>,
    /// When it will be removed, in Unix milliseconds; absent where it has no ttl.
    pub expires_at_ms: Option<u64>,
    /// Whether it is on its way out: removal has been accepted.
    pub removing: bool,
    /// What was asked for.
    pub spec: WorkloadSpec,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_written_state_is_the_shown_state() {
        for state in WorkloadState::ALL {
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
    }
}
