//! A case: what is done with a backend, step by step, and what must come of it.
//!
//! Cases are data: `tests/conformance/NAME/case.toml`, described by `case.schema.json` there, and part
//! of the program ([`embedded`]).

pub(crate) mod embedded;
pub(crate) mod step;

use fleet_plugin::conformance::{ExecRole, Role, Shortcoming};
use serde::{Deserialize, Serialize};
use toml::Spanned;

pub(crate) use step::Step;

/// How long a case may take where it does not say, in milliseconds.
const DEADLINE_MS: u64 = 60_000;

/// One case.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    /// The name of its folder.
    pub(crate) name: String,
    /// What must hold, in one line.
    pub(crate) title: String,
    /// Why it must.
    pub(crate) why: String,
    /// What a backend must offer or be for it.
    pub(crate) needs: Vec<Need>,
    /// How long it may take, cleaning up not counted.
    pub(crate) deadline_ms: u64,
    /// What is done.
    pub(crate) steps: Vec<Written>,
}

/// A step, and how it is written in the file.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) step: Step,
    pub(crate) text: String,
}

/// What a case needs of a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Need {
    /// The interface `logs`.
    Logs,
    /// The interface `input`.
    Input,
    /// The interface `exec`.
    Exec,
    /// The interface `signals`.
    Signals,
    /// The interface `stats`.
    Stats,
    /// Its workloads are processes of this machine.
    Process,
    /// What it makes is listed.
    List,
    /// It plays [`Role::Reads`].
    Reads,
    /// It plays [`Role::Traps`].
    Traps,
    /// It plays [`ExecRole::Reads`].
    ExecReads,
    /// It ends programs beside a workload by signals.
    ExecSignals,
    /// What programs beside a workload print outlives the host.
    ExecOutlives,
}

impl Need {
    /// The interface of the component that is meant, if one is.
    pub(crate) fn interface(self) -> Option<&'static str> {
        Some(match self {
            Self::Logs => "logs",
            Self::Input => "input",
            Self::Exec => "exec",
            Self::Signals => "signals",
            Self::Stats => "stats",
            _ => return None,
        })
    }

    /// What a manifest may say against it.
    pub(crate) fn shortcoming(self) -> Option<Shortcoming> {
        Some(match self {
            Self::Process => Shortcoming::Process,
            Self::List => Shortcoming::List,
            Self::Reads => Shortcoming::Reads,
            Self::Traps => Shortcoming::Traps,
            Self::ExecReads => Shortcoming::ExecReads,
            Self::ExecSignals => Shortcoming::ExecSignals,
            Self::ExecOutlives => Shortcoming::ExecOutlives,
            _ => return None,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    title: String,
    why: String,
    #[serde(default)]
    needs: Vec<Need>,
    deadline_ms: Option<u64>,
    steps: Vec<Spanned<Step>>,
}

impl Case {
    /// Reads a case.
    ///
    /// # Errors
    /// What is wrong with it, with its place.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, String> {
        let document: Document =
            toml::from_str(text).map_err(|error| format!("{name}: {error}"))?;
        let written = |step: Spanned<Step>| {
            let text = text.get(step.span()).unwrap_or_default();
            Written {
                text: text.trim_matches(['{', '}', ' ']).to_owned(),
                step: step.into_inner(),
            }
        };
        let case = Self {
            name: name.to_owned(),
            title: document.title,
            why: document.why,
            needs: document.needs,
            deadline_ms: document.deadline_ms.unwrap_or(DEADLINE_MS),
            steps: document.steps.into_iter().map(written).collect(),
        };
        match case.forgotten() {
            Some(need) => Err(format!(
                "{name}: a step needs {need:?}, `needs` does not say so"
            )),
            None => Ok(case),
        }
    }

    /// Something its steps need and it does not say.
    fn forgotten(&self) -> Option<Need> {
        let mut needed = self.steps.iter().flat_map(|written| needs(&written.step));
        needed.find(|need| !self.needs.contains(need))
    }
}

/// What a step cannot do without.
fn needs(step: &Step) -> Vec<Need> {
    match step {
        Step::Create { role, .. } => match role {
            Role::Prints => vec![Need::Logs],
            Role::Reads => vec![Need::Reads],
            Role::Traps => vec![Need::Traps],
            Role::Long | Role::Short | Role::Fails | Role::Ignores => Vec::new(),
        },
        Step::Logs { .. }
        | Step::LogsTail { .. }
        | Step::LogsSince { .. }
        | Step::LogsCursors { .. }
        | Step::LogsFollow { .. } => vec![Need::Logs],
        Step::Send { .. } => vec![Need::Input],
        Step::Signal { .. } => vec![Need::Signals],
        Step::Stats { .. } => vec![Need::Stats],
        Step::Processes { .. } | Step::KillBehind { .. } => vec![Need::Process],
        Step::List { has, .. } if !has.is_empty() => vec![Need::List],
        Step::Exec { role, .. } => match role {
            ExecRole::Reads => vec![Need::Exec, Need::ExecReads],
            ExecRole::Prints | ExecRole::Long | ExecRole::Missing => vec![Need::Exec],
        },
        Step::ExecSignal { .. } => vec![Need::ExecSignals],
        Step::ExecProcesses { .. } => vec![Need::Process],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
