//! Programs beside a container's own, as the engine tells of them.

use fleet_sdk::exec::{Exit, State};
use fleet_sdk::{Error, ErrorKind};
use serde::Deserialize;

use crate::answer::{self, Answer};
use crate::refusal::{self, Doing};
use crate::signal;

/// What is kept of one, as the host's name for it: the engine's id, and whether it has a terminal, by
/// which its stream is read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Name {
    pub(crate) id: String,
    pub(crate) terminal: bool,
}

const TERMINAL: &str = "-t";

impl Name {
    pub(crate) fn text(&self) -> String {
        let mark = if self.terminal { TERMINAL } else { "" };
        format!("{}{mark}", self.id)
    }

    pub(crate) fn of(text: &str) -> Self {
        let bare = text.strip_suffix(TERMINAL);
        Self {
            id: bare.unwrap_or(text).to_owned(),
            terminal: bare.is_some(),
        }
    }

    /// # Errors
    /// `invalid` (`no-terminal`) where it has none: an engine takes a size for anything.
    pub(crate) fn with_terminal(self) -> Result<Self, Error> {
        if self.terminal {
            Ok(self)
        } else {
            Err(Error::invalid(
                "no-terminal",
                "the program has no terminal, so it has no size: start it with one",
            ))
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Look {
    running: bool,
    exit_code: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Made {
    id: String,
}

/// The id in the answer to a create, of a container or of a program beside one.
///
/// # Errors
/// What the engine refused.
pub(crate) fn id(doing: Doing, answer: &Answer) -> Result<String, Error> {
    if !answer.is_done() {
        return Err(refusal::error(doing, answer));
    }
    let made: Made = answer.read()?;
    if made.id.is_empty() {
        return Err(answer::odd(
            "the engine made something and does not say how it is known: it is asked again",
        ));
    }
    Ok(made.id)
}

/// What became of one.
///
/// # Errors
/// Where it cannot be told now.
pub(crate) fn state(answer: &Answer) -> Result<State, Error> {
    if answer.status == 404 {
        return Ok(gone());
    }
    if !answer.is_done() {
        return Err(refusal::error(Doing::Other, answer));
    }
    let look: Look = answer.read()?;
    Ok(match look.exit_code {
        _ if look.running => State::Running,
        Some(code) => State::Exited(Exit {
            code: i32::try_from(code).unwrap_or(i32::MAX),
            signal: signal::of_code(code).map(str::to_owned),
            at_ms: None,
        }),
        None => State::Lost("the engine was never told to begin it".to_owned()),
    })
}

/// What is said of one that nobody knows any more.
pub(crate) fn gone() -> State {
    State::Lost(
        "the engine does not know it any more: its container is gone, or ended some time ago"
            .to_owned(),
    )
}

/// Whether a program that got a signal was there: where it had ended, there is none.
///
/// # Errors
/// `not-found` (`exec-ended`).
pub(crate) fn signalled(answer: &Answer) -> Result<(), Error> {
    if answer.is_done() {
        return Ok(());
    }
    if answer.status == 404 {
        return Err(ended());
    }
    Err(refusal::error(Doing::Other, answer))
}

/// There is no program any more.
pub(crate) fn ended() -> Error {
    Error::new(
        ErrorKind::NotFound,
        "exec-ended",
        "the program has ended: there is nothing to send a signal to",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_of_a_terminal() {
        for (id, terminal, text) in [("e0", false, "e0"), ("e0", true, "e0-t")] {
            let name = Name {
                id: id.to_owned(),
                terminal,
            };
            assert_eq!(name.text(), text);
            assert_eq!(Name::of(text), name);
            assert_eq!(name.with_terminal().is_ok(), terminal);
        }
    }

    #[test]
    fn what_became_of_it_is_read() {
        let exited = |code, signal: Option<&str>| {
            State::Exited(Exit {
                code,
                signal: signal.map(str::to_owned),
                at_ms: None,
            })
        };
        for (body, want) in [
            (
                r#"{"Running":true,"ExitCode":null,"Pid":7}"#,
                State::Running,
            ),
            (r#"{"Running":false,"ExitCode":3,"Pid":7}"#, exited(3, None)),
            (r#"{"Running":false,"ExitCode":126}"#, exited(126, None)),
            (
                r#"{"Running":false,"ExitCode":143}"#,
                exited(143, Some("TERM")),
            ),
        ] {
            assert_eq!(state(&Answer::new(200, body.as_bytes())).unwrap(), want);
        }
        for (status, body) in [
            (404, r#"{"message":"No such exec instance: e0"}"#),
            (200, r#"{"Running":false,"ExitCode":null,"Pid":0}"#),
        ] {
            let state = state(&Answer::new(status, body.as_bytes())).unwrap();
            assert!(matches!(state, State::Lost(_)), "{state:?}");
        }
        for (status, body) in [(500, ""), (200, "{"), (200, r#"{"Running":"yes"}"#)] {
            let error = state(&Answer::new(status, body.as_bytes())).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable);
        }
    }

    #[test]
    fn an_id_is_read_and_a_refusal_is_an_error() {
        let made = Answer::new(201, br#"{"Id":"e0","Warnings":[]}"#);
        assert_eq!(id(Doing::Other, &made).unwrap(), "e0");
        for (status, body, kind) in [
            (
                409,
                r#"{"message":"Container c0 is not running"}"#,
                ErrorKind::Conflict,
            ),
            (
                404,
                r#"{"message":"No such container: c0"}"#,
                ErrorKind::NotFound,
            ),
            (201, r#"{"Id":"e0"#, ErrorKind::Unavailable),
            (201, "{}", ErrorKind::Unavailable),
        ] {
            let error = id(Doing::Other, &Answer::new(status, body.as_bytes())).unwrap_err();
            assert_eq!(error.kind, kind, "{body}");
        }
    }

    #[test]
    fn a_signal_for_what_ended_is_not_found() {
        assert!(signalled(&Answer::new(204, b"")).is_ok());
        let gone = Answer::new(404, br#"{"message":"No such exec instance"}"#);
        assert!(signalled(&gone).unwrap_err().is_not_found());
        assert!(signalled(&Answer::new(500, b"")).is_err());
    }
}
