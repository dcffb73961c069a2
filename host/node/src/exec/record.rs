//! What a node remembers of a program beside a run.

use fleet_model::exec::{Exec, ExecId, ExecSpec, ExecState};
use serde::{Deserialize, Serialize};

/// One program beside a run: written before it is begun, and again when its backend has answered.
/// After a crash in between the same op is repeated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExecRecord {
    /// The client's key: the call of its op.
    pub call: String,
    /// What was asked for.
    pub spec: ExecSpec,
    /// Its place in the order in which the run's programs were asked for.
    pub number: u64,
    /// When it was asked for, in Unix milliseconds.
    pub started_at_ms: u64,
    /// When its time is over; absent: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// How its backend knows it; absent until that has answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known: Option<String>,
    /// When it was to be ended because its time was over, on the boot clock in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overdue_ms: Option<u64>,
    /// What became of it, once that is known for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over: Option<ExecState>,
    /// The keys of the last signals it was sent.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
}

/// A moment on the boot clock. In another boot of the machine it has no meaning: nothing of an
/// earlier boot runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadline {
    /// The boot it lies in.
    pub boot: String,
    /// When, in milliseconds.
    pub at_ms: u64,
}

impl ExecRecord {
    /// It as people see it, in this state.
    pub(super) fn shown(&self, id: ExecId, state: ExecState) -> Exec {
        Exec {
            id,
            command: self.spec.command.clone(),
            terminal: self.spec.terminal.is_some(),
            started_at_ms: self.started_at_ms,
            state,
        }
    }

    /// The state to write down for ever: one that was ended for its time says so.
    pub(super) fn last_word(&self, state: ExecState) -> ExecState {
        match state {
            ExecState::Exited { exit, timed_out } => ExecState::Exited {
                exit,
                timed_out: timed_out || self.overdue_ms.is_some(),
            },
            other => other,
        }
    }
}

/// The name of a key among a run's programs.
pub(super) fn name(key: u64) -> String {
    format!("{key:016x}")
}
