//! Programs beside a workload's own: what is asked for, and what became of it.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::driver::Exit;
use crate::id::WorkloadId;

/// Which program beside a workload: `ex_`, the workload's 26 characters, `_`, and 16 hexadecimal
/// digits made of the client's key. So it names its workload, and the same key names the same
/// program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ExecId {
    /// Beside which.
    pub workload: WorkloadId,
    /// A digest of the client's key.
    pub key: u64,
}

/// Text that is no id of such a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an exec id: expected `ex_`, 26 characters, `_` and 16 hexadecimal digits")]
pub struct ParseExecIdError(String);

impl fmt::Display for ExecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let workload = self.workload.to_string();
        let bare = workload.split_once('_').map_or("", |(_, bare)| bare);
        write!(f, "ex_{bare}_{:016x}", self.key)
    }
}

impl FromStr for ExecId {
    type Err = ParseExecIdError;

    fn from_str(text: &str) -> Result<Self, ParseExecIdError> {
        let parse = || {
            let (bare, key) = text.strip_prefix("ex_")?.split_once('_')?;
            let id = Self {
                workload: format!("{}_{bare}", WorkloadId::PREFIX).parse().ok()?,
                key: u64::from_str_radix(key, 16).ok()?,
            };
            (id.to_string() == text).then_some(id)
        };
        parse().ok_or_else(|| ParseExecIdError(text.chars().take(80).collect()))
    }
}

impl TryFrom<String> for ExecId {
    type Error = ParseExecIdError;

    fn try_from(text: String) -> Result<Self, ParseExecIdError> {
        text.parse()
    }
}

impl From<ExecId> for String {
    fn from(id: ExecId) -> String {
        id.to_string()
    }
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TerminalSize {
    /// Characters in a line.
    pub columns: u16,
    /// Lines.
    pub rows: u16,
}

/// What such a program reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExecInput {
    /// Nothing: its end, at once.
    #[default]
    Null,
    /// What whoever is attached sends.
    Stream,
}

/// What to run beside a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ExecSpec {
    /// Program and arguments, not parsed by a shell.
    pub command: Vec<String>,
    /// Over the workload's own environment. Public: it is kept as it is.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// What it reads.
    #[serde(default)]
    pub input: ExecInput,
    /// On a terminal of this size, which makes one stream of its output; absent: on pipes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terminal: Option<TerminalSize>,
    /// How long it may take, in milliseconds, before it is ended; absent: as long as it wants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}

/// What it does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state")]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub enum ExecState {
    /// It runs, attached or not.
    Running,
    /// It ended.
    Exited {
        /// How; 126 and 127 when it could not be executed.
        #[serde(flatten)]
        exit: Exit,
        /// Whether it was ended because its time was up.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        timed_out: bool,
    },
    /// It is gone and nobody knows how it ended.
    Lost {
        /// Why.
        reason: String,
    },
}

impl ExecState {
    /// Whether it runs no more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        !matches!(self, Self::Running)
    }
}

/// One program beside a workload, as people see it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Exec {
    /// `ex_...`.
    #[cfg_attr(feature = "openapi", schema(value_type = String))]
    pub id: ExecId,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Whether it has a terminal.
    pub terminal: bool,
    /// When it began, in Unix milliseconds.
    pub started_at_ms: u64,
    /// What became of it.
    #[serde(flatten)]
    pub state: ExecState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_name_their_workload_and_read_back() {
        let id = ExecId {
            workload: WorkloadId::new(1_700_000_000_000, 7),
            key: 0xab,
        };
        let text = id.to_string();
        assert!(text.ends_with("_00000000000000ab"), "{text}");
        assert_eq!(text.parse::<ExecId>().unwrap(), id);
        for bad in [
            "",
            "ex_",
            "wl_01",
            &text.to_uppercase(),
            &text[..text.len() - 1],
        ] {
            assert!(bad.parse::<ExecId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn states_are_flat_json() {
        let exited = ExecState::Exited {
            exit: Exit {
                code: 3,
                ..Exit::default()
            },
            timed_out: false,
        };
        let json = serde_json::to_value(&exited).unwrap();
        assert_eq!(
            (&json["state"], &json["code"]),
            (&"exited".into(), &3.into())
        );
        assert_eq!(serde_json::from_value::<ExecState>(json).unwrap(), exited);
    }
}
