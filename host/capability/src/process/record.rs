//! What is written into a slot. Unknown fields are ignored, so a host may read what a newer one or
//! an older shim wrote.

use std::collections::BTreeMap;
use std::path::PathBuf;

use fleet_model::driver::Exit;
use fleet_model::{Error, Name};
use serde::{Deserialize, Serialize};

use super::Request;
use super::launcher::ResolvedProgram;
use super::marker::Marker;
use crate::boot::ProcessIdentity;
use crate::cgroup::Placement;
use crate::cgroup::limit::Setting;

/// `request.json`: what a start will run. Written once, by `prepare`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    /// The op that prepared it, in its text form.
    pub(crate) op: String,
    /// Whose it is.
    pub(crate) plugin: Name,
    /// As it was asked for.
    pub(crate) request: Request,
    /// What the launcher made of the command's first word.
    pub(crate) program: ResolvedProgram,
    /// What the launcher puts below the request's environment.
    pub(crate) base_env: BTreeMap<String, String>,
    /// The cgroup it will be in.
    pub(crate) placement: Placement,
    /// What holds that cgroup to the request's limits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) settings: Vec<Setting>,
    /// The virtual environment it is in, absolute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) venv: Option<PathBuf>,
    /// What its environment is marked with; `None` in slots of hosts that did not mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) marker: Option<Marker>,
}

/// `claim`: who decided what becomes of a slot. Created once and durable before anything of the
/// program is executed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by")]
pub(crate) enum Claim {
    /// A shim: `program` is about to become the program.
    Shim(Started),
    /// The host: it was killed or removed before it was started, and never will be.
    Host {
        /// When, in Unix milliseconds.
        at_ms: u64,
    },
}

/// A process that its shim lets go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// The process that is, or was about to become, the program.
    pub(crate) program: ProcessIdentity,
    /// Its parent and keeper.
    pub(crate) shim: ProcessIdentity,
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
}

/// `exit.json`: how it ended. Written once, by the shim, when nothing of it runs any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ExitRecord {
    pub(crate) exit: Exit,
    /// Why it could not be executed, if it could not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) start_error: Option<Error>,
    /// Whether the kernel killed something of it for want of memory.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) oom: bool,
}
