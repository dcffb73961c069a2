//! From an engine's look at a container to what the host is told.

use fleet_sdk::driver::{Exit, Observation, RunState};
use fleet_sdk::{Attributes, Error};
use serde::Deserialize;

use crate::answer::Answer;
use crate::refusal::{self, Doing};
use crate::{signal, time};

/// What of a container is of use. What an engine leaves out is empty.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(crate) struct Look {
    pub(crate) id: String,
    state: State,
    config: Config,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Config {
    tty: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct State {
    status: String,
    #[serde(rename = "OOMKilled")]
    oom_killed: bool,
    pid: u64,
    exit_code: i64,
    error: String,
    started_at: String,
    finished_at: String,
}

/// What a container does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Made; it never ran.
    Made,
    /// It runs, if only in a pause.
    Runs,
    /// It ran.
    Over,
    /// It is there and no use any more.
    Spoiled,
    /// Not to be told.
    Unclear,
}

impl Look {
    /// Whether its program has a terminal.
    pub(crate) fn has_terminal(&self) -> bool {
        self.config.tty
    }

    /// What it does.
    pub(crate) fn phase(&self) -> Phase {
        match self.state.status.as_str() {
            "created" | "configured" | "initialized" => Phase::Made,
            "running" | "paused" | "restarting" | "stopping" => Phase::Runs,
            "exited" | "stopped" => Phase::Over,
            "dead" => Phase::Spoiled,
            _ => Phase::Unclear,
        }
    }

    /// When it began, in Unix milliseconds, if it runs.
    pub(crate) fn began_ms(&self) -> Option<u64> {
        let is_running = self.phase() == Phase::Runs;
        time::unix_ms(&self.state.started_at).filter(|_| is_running)
    }

    /// The same with all that is known.
    pub(crate) fn observation(&self) -> Observation {
        let state = &self.state;
        let mut attributes: Attributes = Vec::new();
        let mut fact = |name: &str, value: String| attributes.push((name.to_owned(), value));
        fact("container-id", self.id.clone());
        if state.pid > 0 {
            fact("pid", state.pid.to_string());
        }
        if state.status == "paused" {
            fact("paused", "true".to_owned());
        }
        let run_state = match self.phase() {
            Phase::Made => RunState::Created,
            Phase::Runs => RunState::Running,
            Phase::Over => {
                let exit = self.exit();
                if let Some(signal) = &exit.signal {
                    fact("signal", signal.clone());
                }
                if state.oom_killed && exit.code != 0 {
                    fact("oom", "true".to_owned());
                }
                RunState::Exited(exit)
            }
            Phase::Spoiled => RunState::Lost(format!(
                "the engine calls its container dead{}",
                reason(&state.error)
            )),
            Phase::Unclear if state.status.is_empty() => {
                RunState::Unknown("the engine does not say what the container does".to_owned())
            }
            Phase::Unclear => {
                RunState::Unknown(format!("the engine calls its container `{}`", state.status))
            }
        };
        if !state.error.is_empty() {
            fact("error", state.error.chars().take(500).collect());
        }
        Observation {
            state: run_state,
            started_at_ms: time::unix_ms(&state.started_at),
            attributes,
        }
    }

    fn exit(&self) -> Exit {
        let code = self.state.exit_code;
        Exit {
            code: i32::try_from(code).unwrap_or(i32::MAX),
            signal: signal::of_code(code).map(str::to_owned),
            at_ms: time::unix_ms(&self.state.finished_at),
        }
    }
}

fn reason(error: &str) -> String {
    if error.is_empty() {
        String::new()
    } else {
        format!(": {error}")
    }
}

/// A look at a container, from the engine's answer.
///
/// # Errors
/// `not-found` (`container-gone`) where there is none.
pub(crate) fn look(answer: &Answer) -> Result<Look, Error> {
    if answer.is_done() {
        answer.read()
    } else {
        Err(refusal::error(Doing::Other, answer))
    }
}

/// What is so where a look was tried. A container the engine does not have is lost: a handle exists only
/// for one that was made.
///
/// # Errors
/// Where it cannot be told.
pub(crate) fn observation(look: Result<Look, Error>) -> Result<Observation, Error> {
    match look {
        Ok(look) => Ok(look.observation()),
        Err(error) if error.is_not_found() => Ok(bare(RunState::Lost(
            "its container is gone: it was removed behind the back of fleet-host".to_owned(),
        ))),
        Err(error) => Err(error),
    }
}

/// What is said of a container that could not be looked at, so that it spoils no other's answer.
pub(crate) fn unknown(error: Error) -> Observation {
    bare(RunState::Unknown(error.message))
}

fn bare(state: RunState) -> Observation {
    Observation {
        state,
        started_at_ms: None,
        attributes: Vec::new(),
    }
}

#[cfg(test)]
mod tests;
