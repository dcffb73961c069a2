//! Programs: what a plugin may ask for, and what is promised.
//!
//! A process belongs to one try (generation and attempt) of one workload and to the plugin that
//! prepared it: another plugin's reference is `not-found`. Between `prepare` and `remove` its truth
//! lies in a folder of its own, its *slot* (`slot.rs`), and in the kernel. A small program, the
//! *shim* ([`shim`]), parents it, keeps its output and records its end, so the host may come and go.
//!
//! * **At most one start per slot.** Whoever executes must first create the slot's claim; of many
//!   at once one succeeds, and the others answer from what that one did.
//! * **Exited means gone.** An exit is recorded after all descendants have ended and all output
//!   is in the log.
//! * **Lost is said, not guessed around.** What was claimed and is gone without a record is lost.

pub(crate) mod control;
pub(crate) mod end;
pub mod environment;
pub(crate) mod evidence;
pub mod exec;
pub mod launcher;
pub mod local;
pub(crate) mod marker;
pub(crate) mod owned;
pub(crate) mod prepare;
pub(crate) mod program;
pub(crate) mod record;
pub(crate) mod reference;
pub(crate) mod send;
pub mod shim;
pub(crate) mod signalled;
pub(crate) mod signals;
pub(crate) mod slot;
pub(crate) mod start;
pub(crate) mod stray;
pub(crate) mod tree;
pub(crate) mod usage;
pub(crate) mod venv;
pub(crate) mod watch;

use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_model::driver::{Exit, KillTarget};
use fleet_model::exec::{ExecState, TerminalSize};
use fleet_model::spec::Limits;
use fleet_model::stats;
use fleet_model::{Error, Name, Op, WorkloadId};
use serde::{Deserialize, Serialize};

pub use launcher::Launcher;

use crate::source::Source;

/// On whose behalf a call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The plugin; what it prepared is its own.
    pub plugin: Name,
}

/// What to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// The name of the launcher it goes through.
    pub launcher: Name,
    /// The workload it belongs to; its workspace is the working directory.
    pub workload: WorkloadId,
    /// Program and arguments, not parsed by a shell.
    pub command: Vec<String>,
    /// Its environment, but for what [`environment`] adds below it. Where a secret belongs stands
    /// its placeholder: values are put in when it is started, and are never on the disk.
    pub env: BTreeMap<String, String>,
    /// Which secret each placeholder stands for.
    #[serde(default)]
    pub secrets: BTreeMap<String, Name>,
    /// What it may use; the disk is not looked after here.
    #[serde(default)]
    pub limits: Limits,
    /// What it reads.
    #[serde(default)]
    pub stdin: Stdin,
}

/// What a program has as its standard input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stdin {
    /// A pipe that stays open, on which commands arrive.
    #[default]
    Pipe,
    /// Nothing: its end, at once.
    Null,
}

/// A process that can be started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    /// `WORKLOAD/GENERATION.ATTEMPT`: how it is named from now on.
    pub reference: String,
    /// How it can be ended by others; absent where there is no cgroup.
    pub kill_target: Option<KillTarget>,
}

/// What a process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProcessState {
    /// Prepared, never started.
    Prepared,
    /// Running, or ending: something of it may still be there.
    Running,
    /// Over; nothing of it runs. One that could not be executed has the code 126 or 127.
    Exited(Exit),
    /// It was started, is gone, and nobody knows how it ended. The text says why.
    Lost(String),
}

/// One look at a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessStatus {
    /// What it does.
    pub state: ProcessState,
    /// Its number; absent before it started and after it ended.
    pub pid: Option<u32>,
    /// When it started, in Unix milliseconds; absent before it started.
    pub started_at_ms: Option<u64>,
    /// `pid`, `isolation`, `venv` = the path of the virtual environment it is in, `signal` when one
    /// ended it, `oom` = `true` when the kernel killed something of it for want of memory,
    /// `start-error` when it could not be executed, `shim` = `lost` when its keeper is gone and its
    /// end will not be known.
    pub attributes: BTreeMap<String, String>,
}

/// What part of the output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutputOptions {
    /// Go on as more is written, until the source is dropped or the logs are removed.
    pub follow: bool,
    /// Only what was written at or after this Unix time in milliseconds.
    pub since_ms: Option<u64>,
    /// Only the last lines.
    pub tail: Option<u64>,
    /// Go on after this place, as [`crate::Frame::cursor`] gave it; `tail` is ignored then.
    pub cursor: Option<String>,
}

/// Which end of a process a source shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Open {
    /// Captured stdout and stderr of all tries of the workload.
    Output(OutputOptions),
    /// Nothing, until it closes when the process has ended and its end is recorded. Of a process
    /// that was never started it stays open.
    End,
    /// The output of a program beside it (`Processes::exec`), and its input. A frame's cursor is the
    /// offset after it: the bytes of stdout and stderr together since its start. What is not kept any more is
    /// a frame of [`Stream::Event`](crate::Stream) without bytes, whose cursor says where it goes on.
    Exec {
        /// As `exec` answered it.
        exec: String,
        /// The offset up to which output is known.
        after: u64,
    },
}

/// What to start beside a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecRequest {
    /// Program and arguments, not parsed by a shell.
    pub command: Vec<String>,
    /// Over the environment of the process.
    pub env: BTreeMap<String, String>,
    /// On a terminal of this size; absent: on pipes.
    pub terminal: Option<TerminalSize>,
    /// What it reads.
    pub stdin: Stdin,
}

/// One process that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedProcess {
    /// How it is named.
    pub reference: String,
    /// Its workload's id.
    pub workload: String,
    /// The intent it was prepared for.
    pub generation: u64,
}

/// Programs, started through an operator's launchers.
///
/// Every call that changes something takes an op; the same op again has the same effect and
/// answer. No call waits for the program.
#[async_trait]
pub trait Processes: Send + Sync + 'static {
    /// How this machine isolates processes: `isolation`, and `limits`, those of `cpu`, `memory` and
    /// `processes` that it can hold a program to; `isolation-reason` and `limits-reason` where these
    /// are less than they could be.
    fn facilities(&self) -> BTreeMap<String, String>;

    /// Checks the request against the launcher and reserves what a start needs. Nothing runs yet.
    ///
    /// # Errors
    /// `invalid` (`program-missing`, `program-is-directory`, `program-not-executable`,
    /// `log-limit-too-small`, ...), `denied` (`no-launcher-rule`), `unsupported`
    /// (`limits-unsupported`), `conflict` when the op already prepared something else.
    async fn prepare(
        &self,
        caller: &Caller,
        launcher: &Launcher,
        op: &Op,
        request: Request,
    ) -> Result<Prepared, Error>;

    /// Starts it, at most once; a repeat answers what the first did.
    ///
    /// # Errors
    /// `invalid` when it cannot be executed or a secret's value cannot be set (`bad-secret`), what
    /// [`crate::Secrets`] says where there is none, `other` with the code `start-lost` when a start
    /// was under way and nobody knows what became of it, `deadline` when it takes too long to tell:
    /// ask again.
    async fn start(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
    ) -> Result<ProcessStatus, Error>;

    /// Sends a signal (`TERM` or `SIGTERM`) to the program's process group. Fine when none runs.
    ///
    /// # Errors
    /// `invalid` for an unknown signal.
    async fn signal(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
        signal: &str,
    ) -> Result<(), Error>;

    /// Gives it a command on its standard input, once per `op.call` and workload, whatever is asked
    /// again. When this returns the command is durable and will be written to the program's pipe in
    /// the order in which commands were taken, whether the host lives or not.
    ///
    /// # Errors
    /// `conflict` (`not-running`, `stdin-closed`, and `call-reused` where the call was another
    /// command's), `unsupported` (`no-stdin`), `invalid` (`command-too-large`: more than 1 MiB; `bad-op`
    /// without a call), `exhausted` (`input-full`) when the program does not read, `unavailable`
    /// (`not-started`, `keeper-busy`; `keeper-lost` when its keeper is gone), `deadline` (`send-slow`).
    async fn send(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
        bytes: Bytes,
    ) -> Result<(), Error>;

    /// Ends it and all its descendants. One that was not started never will be.
    ///
    /// # Errors
    /// `unavailable` when it cannot be told whether it runs.
    async fn kill(&self, caller: &Caller, op: &Op, reference: &str) -> Result<(), Error>;

    /// Looks at it.
    ///
    /// # Errors
    /// `not-found`.
    async fn inspect(&self, caller: &Caller, reference: &str) -> Result<ProcessStatus, Error>;

    /// Ends what is left of it and removes its records and cgroup. Output stays. Fine when it is
    /// gone already.
    ///
    /// # Errors
    /// `deadline` when it does not end in time: ask again.
    async fn remove(&self, caller: &Caller, op: &Op, reference: &str) -> Result<(), Error>;

    /// The caller's processes in order of their references, from after `cursor`; and the cursor of
    /// the next page, if there is one.
    ///
    /// # Errors
    /// `unavailable` when the folder cannot be read.
    async fn list(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<ListedProcess>, Option<String>), Error>;

    /// Opens a stream of it.
    ///
    /// # Errors
    /// `not-found`, and `invalid` for a cursor that is none.
    async fn open(&self, caller: &Caller, reference: &str, what: Open) -> Result<Source, Error>;

    /// The launcher that a process was prepared through: what runs beside it is held to the same.
    ///
    /// # Errors
    /// `not-found`.
    async fn launcher_of(&self, _caller: &Caller, _reference: &str) -> Result<Name, Error> {
        Err(no_exec())
    }

    /// Starts a program beside a process that runs: in its workspace, with its environment and
    /// secrets, in its cgroup. At most once per `op.call`; a repeat answers what the first did. Answers
    /// how it is known: `WORKLOAD/GENERATION.ATTEMPT/KEY`.
    ///
    /// # Errors
    /// As [`prepare`](Self::prepare) and [`start`](Self::start); `conflict` (`not-running`, and
    /// `call-reused` where the call was another request's), `exhausted` (`too-many-execs`).
    async fn exec(
        &self,
        _caller: &Caller,
        _launcher: &Launcher,
        _op: &Op,
        _reference: &str,
        _request: ExecRequest,
    ) -> Result<String, Error> {
        Err(no_exec())
    }

    /// What became of a program beside a process.
    ///
    /// # Errors
    /// `not-found`.
    async fn inspect_exec(&self, _caller: &Caller, _exec: &str) -> Result<ExecState, Error> {
        Err(no_exec())
    }

    /// Its terminal has another size now.
    ///
    /// # Errors
    /// `not-found`, `invalid` (`no-terminal`).
    async fn resize_exec(
        &self,
        _caller: &Caller,
        _exec: &str,
        _size: TerminalSize,
    ) -> Result<(), Error> {
        Err(no_exec())
    }

    /// Sends a signal to its process group. `not-found` when it has ended.
    ///
    /// # Errors
    /// `invalid` for an unknown signal.
    async fn signal_exec(
        &self,
        _caller: &Caller,
        _op: &Op,
        _exec: &str,
        _signal: &str,
    ) -> Result<(), Error> {
        Err(no_exec())
    }

    /// Ends what is left of it and removes its records. Fine when it is gone already.
    ///
    /// # Errors
    /// `deadline` when it does not end in time: ask again.
    async fn remove_exec(&self, _caller: &Caller, _op: &Op, _exec: &str) -> Result<(), Error> {
        Err(no_exec())
    }

    /// What a process and all its descendants use.
    ///
    /// # Errors
    /// `not-found` when it does not run.
    async fn usage(&self, _caller: &Caller, _reference: &str) -> Result<stats::Usage, Error> {
        Err(Error::unsupported(
            "no-usage",
            "what programs use is not known here",
        ))
    }
}

fn no_exec() -> Error {
    Error::unsupported("no-exec", "no programs are run beside others here")
}
