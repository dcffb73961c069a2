//! What a manifest tells the conformance kit (`fleet-host plugin test`): how this backend plays the
//! parts that the kit's cases need.
//!
//! A part that is not written is played by a shell command; the kit says which.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `[conformance]` of a manifest.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Conformance {
    /// `[conformance.workload.ROLE]`: workloads.
    pub workload: BTreeMap<Role, Part>,
    /// `[conformance.exec.ROLE]`: programs beside a workload.
    pub exec: BTreeMap<ExecRole, ExecPart>,
    /// `[conformance.cannot]`: what it cannot do by its nature, each with the reason. Cases that need
    /// it are skipped and say so.
    pub cannot: BTreeMap<Shortcoming, String>,
}

/// A workload that plays a part.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Part {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its environment.
    pub env: BTreeMap<String, String>,
    /// The backend's own part.
    pub config: Map<String, Value>,
}

/// A program beside a workload that plays a part.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExecPart {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Over the workload's own environment.
    pub env: BTreeMap<String, String>,
}

/// The part a workload plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Runs until it is stopped; TERM ends it as a signal does.
    Long,
    /// Ends by itself with code 0, soon.
    Short,
    /// Ends by itself with code 3, soon.
    Fails,
    /// Prints `out 1`, `out 2`, `out 3` on stdout and `err 1`, `err 2` on stderr, half a second or more
    /// later `out 4` on stdout, and ends with code 0.
    Prints,
    /// Runs until it is killed: TERM does not end it.
    Ignores,
    /// Prints `got LINE` for each line of its input, for as long as it is not stopped.
    Reads,
    /// Prints `got USR1` for that signal, for as long as it is not stopped.
    Traps,
}

/// The part a program beside a workload plays. The workload is one that runs ([`Role::Long`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ExecRole {
    /// Prints `out 1`, `out 2` on stdout and `err 1` on stderr, and ends with code 3.
    Prints,
    /// Prints `ready` and runs until it is ended.
    Long,
    /// Prints what it reads, and ends with code 0 at the end of its input.
    Reads,
    /// Is no program.
    Missing,
}

/// What a backend may be unable to do although its component offers it, or although all do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shortcoming {
    /// To list what it made: `list` knows nothing of it.
    List,
    /// To run what it makes as processes of this machine, although it asks for a launcher.
    Process,
    /// To play [`Role::Reads`].
    Reads,
    /// To play [`Role::Traps`].
    Traps,
    /// To play [`ExecRole::Reads`].
    ExecReads,
    /// To end a program beside a workload by a signal or by `remove`.
    ExecSignals,
    /// To give the output of a program beside a workload to a host that did not begin it.
    ExecOutlives,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Long => "long",
            Self::Short => "short",
            Self::Fails => "fails",
            Self::Prints => "prints",
            Self::Ignores => "ignores",
            Self::Reads => "reads",
            Self::Traps => "traps",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Conformance, toml::de::Error> {
        toml::from_str(text)
    }

    #[test]
    fn parts_and_shortcomings_are_read() {
        let read = parse(
            "[workload.long]\nconfig = { run_ms = 5 }\n[exec.prints]\ncommand = [\"say\"]\n\
             [cannot]\nlist = \"why\"\nexec-reads = \"why not\"",
        )
        .unwrap();
        assert_eq!(read.workload[&Role::Long].config["run_ms"], 5);
        assert_eq!(read.exec[&ExecRole::Prints].command, ["say"]);
        assert_eq!(read.cannot[&Shortcoming::ExecReads], "why not");
        assert_eq!(parse("").unwrap(), Conformance::default());
    }

    #[test]
    fn a_part_nobody_knows_is_a_mistake() {
        for (text, want) in [
            (
                "[workload.lnog]",
                "unknown variant `lnog`, expected one of `long`",
            ),
            ("[workload.long]\ncmd = []", "unknown field `cmd`"),
            ("[exec.short]", "unknown variant `short`"),
            ("[cannot]\nstop = \"x\"", "unknown variant `stop`"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(error.message().contains(want), "{error}");
        }
    }
}
