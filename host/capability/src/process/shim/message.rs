//! What host, shim and waiting child say to each other: one JSON line each.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fleet_model::Error;
use serde::{Deserialize, Serialize};

use crate::log::LogLimits;
use crate::packets::PacketLimits;
use crate::secret::wire::Carried;

/// Host to shim, all of its stdin.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program's whole environment, the values of secrets among it.
    pub(crate) env: BTreeMap<String, Carried>,
    pub(crate) limits: LogLimits,
    pub(crate) packets: PacketLimits,
    /// Where the program emits packets.
    pub(crate) packet_socket: PathBuf,
}

/// The same for a program beside a process.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BesideOrder {
    /// The program's whole environment, the values of secrets among it.
    pub(crate) env: BTreeMap<String, Carried>,
}

/// Shim to host, on its stdout.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub(crate) enum Answer {
    /// The program runs.
    Started,
    /// The slot was claimed before: it tells what became of it.
    Claimed,
    /// It does not run, because of this.
    Failed { error: Error },
}

/// Shim to child.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecOrder {
    pub(crate) program: PathBuf,
    pub(crate) command: Vec<String>,
    pub(crate) env: BTreeMap<String, Carried>,
    pub(crate) workspace: PathBuf,
    /// The cgroups to enter.
    pub(crate) groups: Vec<PathBuf>,
    pub(crate) streams: Streams,
}

/// What the program says and reads its bytes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Streams {
    /// What the child was given at its birth, and a stdin that comes with the word, if any.
    Pipes,
    /// A terminal that comes with the word, for all three. It controls a session of its own.
    Terminal,
}

/// Child to shim. Silence and a closed line after the word to go mean: it became the program.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub(crate) enum ExecAnswer {
    /// It waits for the word.
    Ready,
    Failed {
        doing: String,
        /// The system's error number, if it was the system.
        errno: Option<i32>,
    },
}
