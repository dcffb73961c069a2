//! Programs beside a life: what their config plans for them, and what of it has come to pass.
//!
//! Nothing is kept of one but its [`Name`]: which plan it follows and whether it has a terminal. Its
//! times count from the workload's start, so a look at any moment says the same.

use std::fmt;
use std::str::FromStr;

use fleet_sdk::exec::{Exit, Request, State};
use fleet_sdk::lines::{Line, Origin};
use fleet_sdk::{Error, ErrorKind};

use crate::config::{Beside, Config};
use crate::life::Life;
use crate::output;
use crate::signal::Deadly;

/// How such a program is known: `PLAN.SCREEN.CALL`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    /// The place of its plan in the config.
    plan: usize,
    screen: Screen,
    /// The client's key, which tells two of one plan apart.
    call: String,
}

/// What its output goes to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Screen {
    Terminal,
    Pipes,
}

impl Name {
    /// The program that a request asks for.
    ///
    /// # Errors
    /// `invalid` (`program-missing`) where none is planned.
    pub(crate) fn of(config: &Config, request: &Request, call: &str) -> Result<Self, Error> {
        let fits = |plan: &Beside| request.command.starts_with(&plan.command);
        let plan = config.exec.iter().position(fits).ok_or_else(|| {
            let command = request.command.join(" ");
            Error::invalid(
                "program-missing",
                format!("no program is planned for `{command}`: add it to `exec` of the workload's [config]"),
            )
        })?;
        Ok(Self {
            plan,
            screen: match request.terminal {
                Some(_) => Screen::Terminal,
                None => Screen::Pipes,
            },
            call: call.to_owned(),
        })
    }

    /// What it runs on.
    pub(crate) fn screen(&self) -> Screen {
        self.screen
    }

    fn plan<'a>(&self, config: &'a Config) -> Result<&'a Beside, Error> {
        config.exec.get(self.plan).ok_or_else(|| unknown(self))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let screen = match self.screen {
            Screen::Terminal => "terminal",
            Screen::Pipes => "pipes",
        };
        write!(f, "{}.{screen}.{}", self.plan, self.call)
    }
}

impl FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or_else(|| unknown(text));
        Ok(Self {
            plan: part()?.parse().map_err(|_| unknown(text))?,
            screen: match part()? {
                "terminal" => Screen::Terminal,
                "pipes" => Screen::Pipes,
                _ => return Err(unknown(text)),
            },
            call: part()?.to_owned(),
        })
    }
}

fn unknown(name: impl fmt::Display) -> Error {
    Error::new(
        ErrorKind::NotFound,
        "no-exec",
        format!("`{name}` is no program beside this workload: it was never started"),
    )
}

/// What it does at this time.
pub(crate) fn state(
    name: &Name,
    config: &Config,
    life: &Life,
    now_ms: u64,
) -> Result<State, Error> {
    let plan = name.plan(config)?;
    let Some(since_ms) = life.running_since_ms(config) else {
        return Ok(State::Lost("its workload never ran".to_owned()));
    };
    let ends_ms = match output::timed(&plan.output, since_ms).last() {
        _ if plan.hangs => u64::MAX,
        Some((time_ms, _)) => time_ms,
        None => since_ms,
    };
    let life_ends_ms = life.end_ms(config).unwrap_or(u64::MAX);
    Ok(if ends_ms.min(life_ends_ms) > now_ms {
        State::Running
    } else if ends_ms <= life_ends_ms {
        State::Exited(Exit {
            code: plan.exit_code.into(),
            signal: None,
            at_ms: None,
        })
    } else {
        State::Exited(Exit {
            code: Deadly::KILL.exit_code(),
            signal: Some(Deadly::KILL.name().to_owned()),
            at_ms: Some(life_ends_ms),
        })
    })
}

/// Its output from after this many bytes, and an end when it ends.
///
/// # Errors
/// `invalid` (`cursor`) for a cursor that is no number.
pub(crate) fn lines(
    name: &Name,
    config: &Config,
    life: &Life,
    cursor: Option<&str>,
) -> Result<Vec<Line>, Error> {
    let plan = name.plan(config)?;
    let after: u64 = cursor.unwrap_or("0").parse().map_err(|_| {
        Error::invalid(
            "cursor",
            "the cursor is no number of bytes: read the output from its begin",
        )
    })?;
    let Some(since_ms) = life.running_since_ms(config) else {
        return Ok(Vec::new());
    };
    let end_ms = life.end_ms(config).unwrap_or(u64::MAX);
    let mut lines = Vec::new();
    let mut offset = 0;
    for (time_ms, line) in output::timed(&plan.output, since_ms) {
        if time_ms > end_ms {
            break;
        }
        let begin: u64 = offset;
        offset += line.text.len() as u64 + 1;
        if offset <= after {
            continue;
        }
        let mut bytes = line.text.into_bytes();
        let known = usize::try_from(after.saturating_sub(begin)).unwrap_or(usize::MAX);
        bytes.drain(..known.min(bytes.len()));
        lines.push(Line {
            time_ms,
            origin: match name.screen {
                Screen::Terminal => Origin::Stdout,
                Screen::Pipes => output::origin(line.stream),
            },
            bytes,
            cursor: offset.to_string(),
        });
    }
    if plan.hangs {
        // Nothing is printed at the end: this holds the source open until then.
        lines.push(Line {
            time_ms: end_ms,
            origin: Origin::Other("end".to_owned()),
            bytes: Vec::new(),
            cursor: offset.to_string(),
        });
    }
    Ok(lines)
}

#[cfg(test)]
mod tests;
