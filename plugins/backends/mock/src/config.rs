//! A workload's `[config]`: the life it is to play.
//!
//! The schema beside this crate's manifest documents each key. The types take and refuse the same
//! documents, which the tests hold against each other. The handle carries the config, so what is
//! not set is not written.

use fleet_sdk::{Error, ErrorKind};
use serde::{Deserialize, Serialize};

use crate::signal::Deadly;

/// The JSON Schema the host checks it against.
pub(crate) const SCHEMA: &str = include_str!("../config.schema.json");

/// A year: longer than any test, and small enough to be added to any time.
const LONGEST_MS: u64 = 365 * 24 * 60 * 60 * 1_000;

/// A planned life.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) create_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) create_pending_ms: Millis,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) start_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) stop_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) kill_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) destroy_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) inspect_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) recover_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) watch_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) logs_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) send_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) exec_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) signal_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) stats_error: Option<Refusal>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) start_delay_ms: Millis,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) run_ms: Option<Millis>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) exit_code: Option<u8>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) exit_signal: Option<Deadly>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) ignore_stop: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) stop_ms: Millis,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) lost_after_ms: Option<Millis>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) output: Vec<Line>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) exec: Vec<Beside>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) usage: Usage,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) fault: Option<Fault>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) fault_in: Option<Call>,
}

impl Config {
    /// The rules between the keys, which the types cannot hold.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let ends = self.run_ms.is_some();
        let broken = if (self.exit_code.is_some() || self.exit_signal.is_some()) && !ends {
            "`exit_code` and `exit_signal` say how it exits by itself: add `run_ms`, after which it does"
        } else if self.exit_code.is_some() && self.exit_signal.is_some() {
            "`exit_code` and `exit_signal` exclude each other: leave one out"
        } else if self.fault.is_some() != self.fault_in.is_some() {
            "`fault` and `fault_in` go together: add the other"
        } else {
            return Ok(());
        };
        Err(Error::invalid("config", broken))
    }

    /// The refusal that is planned for a call.
    pub(crate) fn refusal(&self, call: Call) -> Option<&Refusal> {
        let refusal = match call {
            Call::Create => &self.create_error,
            Call::Start => &self.start_error,
            Call::Stop => &self.stop_error,
            Call::Kill => &self.kill_error,
            Call::Destroy => &self.destroy_error,
            Call::Inspect => &self.inspect_error,
            Call::Recover => &self.recover_error,
            Call::Watch => &self.watch_error,
            Call::Logs => &self.logs_error,
            Call::Send => &self.send_error,
            Call::Exec => &self.exec_error,
            Call::Signal => &self.signal_error,
            Call::Stats => &self.stats_error,
        };
        refusal.as_ref()
    }
}

/// A time span in milliseconds, at most a year.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub(crate) struct Millis(u64);

impl Millis {
    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Millis {
    type Error = String;

    fn try_from(ms: u64) -> Result<Self, String> {
        if ms <= LONGEST_MS {
            Ok(Self(ms))
        } else {
            Err(format!(
                "{ms} ms is more than a year: use at most {LONGEST_MS}"
            ))
        }
    }
}

/// A call that is to fail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refusal {
    kind: Kind,
    #[serde(default = "default_code")]
    code: String,
    #[serde(default = "default_message")]
    message: String,
    #[serde(default, skip_serializing_if = "is_default")]
    attempts: Option<std::num::NonZeroU32>,
}

impl Refusal {
    /// What to answer in this attempt, if it is one that fails.
    pub(crate) fn at(&self, attempt: u64) -> Result<(), Error> {
        if self
            .attempts
            .is_some_and(|last| attempt > u64::from(last.get()))
        {
            return Ok(());
        }
        Err(Error::new(self.kind.into(), &self.code, &self.message))
    }
}

fn default_code() -> String {
    "planned".to_owned()
}

fn default_message() -> String {
    "planned in the workload's [config]".to_owned()
}

/// The kinds of an error, as a config spells them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    Invalid,
    NotFound,
    Conflict,
    Denied,
    Unsupported,
    Unavailable,
    Deadline,
    Exhausted,
    Internal,
    Other,
}

impl From<Kind> for ErrorKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Invalid => Self::Invalid,
            Kind::NotFound => Self::NotFound,
            Kind::Conflict => Self::Conflict,
            Kind::Denied => Self::Denied,
            Kind::Unsupported => Self::Unsupported,
            Kind::Unavailable => Self::Unavailable,
            Kind::Deadline => Self::Deadline,
            Kind::Exhausted => Self::Exhausted,
            Kind::Internal => Self::Internal,
            Kind::Other => Self::Other,
        }
    }
}

/// A line of output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Line {
    /// On stdout, at once.
    Plain(String),
    /// With what differs.
    Placed(Placed),
}

/// A line of output with its stream and time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Placed {
    pub(crate) text: String,
    #[serde(default)]
    pub(crate) stream: Stream,
    #[serde(default)]
    pub(crate) after_ms: Millis,
}

impl Placed {
    /// A line on stdout, at once.
    pub(crate) fn plain(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            stream: Stream::Stdout,
            after_ms: Millis::default(),
        }
    }
}

/// Where a line is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stream {
    #[default]
    Stdout,
    Stderr,
}

/// A program beside it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Beside {
    /// The first words of the commands it is the answer to.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) command: Vec<String>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) output: Vec<Line>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) exit_code: u8,
    /// It ends when the workload does.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) hangs: bool,
}

/// What it uses while it runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Usage {
    pub(crate) cpu_millis: u32,
    pub(crate) memory_bytes: u32,
    pub(crate) processes: u32,
    pub(crate) read_bytes_per_s: u32,
    pub(crate) written_bytes_per_s: u32,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            cpu_millis: 100,
            memory_bytes: 1 << 20,
            processes: 1,
            read_bytes_per_s: 0,
            written_bytes_per_s: 0,
        }
    }
}

/// How the plugin itself misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Fault {
    /// Panics.
    Trap,
    /// Computes for ever.
    Spin,
    /// Takes memory for ever.
    Allocate,
    /// Waits for ever in a call of the host.
    Hang,
    /// Answers that it has a bug.
    Internal,
    /// Answers what no caller can use.
    Garbage,
    /// Says far too much in its log, and answers then.
    Flood,
}

/// A call that knows the workload's config.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Call {
    Create,
    Start,
    Stop,
    Kill,
    Destroy,
    Inspect,
    Recover,
    Watch,
    Logs,
    Send,
    Exec,
    Signal,
    Stats,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests;
