//! What is written into the slot of a program beside a process, but for its claim, which is one like
//! any other (`record.rs` of processes).

use fleet_model::Error;
use fleet_model::driver::Exit;
use serde::{Deserialize, Serialize};

use crate::process::ExecRequest;
use crate::process::launcher::ResolvedProgram;

/// `request.json`: what a start will run. Written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecRecord {
    /// The op that asked for it, in its text form.
    pub(crate) op: String,
    /// As it was asked for.
    pub(crate) request: ExecRequest,
    /// What the launcher made of the command's first word.
    pub(crate) program: ResolvedProgram,
    /// When it was asked for, in Unix milliseconds.
    pub(crate) at_ms: u64,
}

/// `exit.json`: how it ended. What reads the exit of a process reads this too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExecExit {
    pub(crate) exit: Exit,
    /// Why it could not be executed, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_error: Option<Error>,
    /// How many bytes it put out.
    #[serde(default)]
    pub(crate) produced: u64,
    /// How many bytes of input were taken for it.
    #[serde(default)]
    pub(crate) taken: u64,
}
