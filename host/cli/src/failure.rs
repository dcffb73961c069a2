//! Why a command did not do what was asked: an exit code, one line, and a remedy.
//!
//! This is the one place where a kind of error becomes an exit code.

use std::error::Error as StdError;
use std::fmt::Display;
use std::io;

use fleet_client::ClientError;
use fleet_model::{Error, ErrorKind};

/// What the exit code says. Documented in `--help` ([`crate::cli`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It was done.
    Done = 0,
    /// It failed, or the program did.
    Failed = 1,
    /// What was typed or written is wrong.
    Usage = 2,
    /// What was named does not exist.
    NotFound = 3,
    /// Refused: not allowed, or not as things stand.
    Refused = 4,
    /// Nobody answers, or not now: worth another try.
    Unavailable = 5,
}

impl Exit {
    /// The exit code for a kind of error that was met here.
    pub(crate) fn of(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Invalid => Self::Usage,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::Conflict | ErrorKind::Denied | ErrorKind::Unsupported => Self::Refused,
            ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Exhausted => {
                Self::Unavailable
            }
            ErrorKind::Internal | ErrorKind::Other => Self::Failed,
        }
    }

    /// The exit code for an error that the API answered with: the command line was in order, so what is
    /// invalid was refused by the host, and what is over a workload's own limit stays so.
    fn answered(error: &Error) -> Self {
        match (error.kind, error.code.as_str()) {
            (ErrorKind::Invalid, _) | (ErrorKind::Exhausted, "disk-limit") => Self::Refused,
            (kind, _) => Self::of(kind),
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong; empty where that has been told already, or needs no telling.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
    /// Whether the API did not take the token.
    pub(crate) unauthenticated: bool,
    /// The exit code, where it is not of this program: a program beside a workload's, or what shells
    /// have for one that cannot be run.
    pub(crate) code: Option<u8>,
}

impl Failure {
    /// A failure with its exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
            help: None,
            unauthenticated: false,
            code: None,
        }
    }

    /// [`Exit::Failed`].
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, message)
    }

    /// [`Exit::Usage`].
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// One that has been told.
    pub(crate) fn told(exit: Exit) -> Self {
        Self::new(exit, "")
    }

    /// With a remedy.
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another exit code.
    pub(crate) fn coded(self, code: u8) -> Self {
        Self {
            code: Some(code),
            ..self
        }
    }

    /// A failure of this machine, in words that name what was tried.
    pub(crate) fn io(what: impl Display, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {}", reason(error)))
    }
}

/// What the system said, without its number.
pub(crate) fn reason(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error")
        .next()
        .unwrap_or(&text)
        .to_lowercase()
}

/// An error and what is below it, each part once.
#[cfg_attr(
    not(all(feature = "controller", feature = "node")),
    expect(dead_code, reason = "for the host's own errors")
)]
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        below = error.source();
    }
    text
}

/// Output that cannot be written. A reader that went away has read enough: that is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::told(Exit::Done),
            _ => Self::io("cannot write the output", &error),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        // The first line says what is wrong; what follows are lines to copy.
        let (first, rest) = error
            .message
            .split_once('\n')
            .unwrap_or((&error.message, ""));
        let failure = Self::new(Exit::of(error.kind), first.trim_end());
        if rest.trim().is_empty() {
            failure
        } else {
            failure.help(rest.trim_end())
        }
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let unauthenticated = error.is_unauthenticated();
        let message = error.to_string();
        let failure = match error {
            ClientError::Api { error, .. } => {
                let exit = Exit::answered(&error);
                Self { exit, ..Self::from(error) }
            }
            ClientError::Unreachable { .. } => Self::new(Exit::Unavailable, message)
                .help("start a host with `fleet-host run --plugins DIR`, or name another with --server or FLEET_SERVER"),
            ClientError::Broken { .. } => Self::new(Exit::Unavailable, message)
                .help("see whether the host is still there, then try again"),
            ClientError::Silent { .. } => Self::new(Exit::Unavailable, message).help("try again; the host's log may say more"),
            ClientError::Address { .. } => {
                Self::usage(message).help("name the host with --server http://HOST:PORT or FLEET_SERVER")
            }
            ClientError::Foreign { .. } => Self::failed(message)
                .help("another program or another version may be listening there: name the host with --server or FLEET_SERVER"),
        };
        if unauthenticated {
            let help = "name the host's data folder with --data or FLEET_DATA, or its token's file with --token-file or FLEET_TOKEN_FILE";
            return Self {
                exit: Exit::Refused,
                unauthenticated,
                ..failure.help(help)
            };
        }
        failure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_has_its_exit_code() {
        for (kind, code) in [
            (ErrorKind::Invalid, 2),
            (ErrorKind::NotFound, 3),
            (ErrorKind::Conflict, 4),
            (ErrorKind::Denied, 4),
            (ErrorKind::Unsupported, 4),
            (ErrorKind::Unavailable, 5),
            (ErrorKind::Deadline, 5),
            (ErrorKind::Exhausted, 5),
            (ErrorKind::Internal, 1),
            (ErrorKind::Other, 1),
        ] {
            assert_eq!(Exit::of(kind) as u8, code, "{kind:?}");
        }
        for (error, exit) in [
            (Error::invalid("off-schema", "no"), Exit::Refused),
            (
                Error::new(ErrorKind::Exhausted, "disk-limit", "no"),
                Exit::Refused,
            ),
            (
                Error::new(ErrorKind::Exhausted, "disk-full", "no"),
                Exit::Unavailable,
            ),
        ] {
            let failure = Failure::from(ClientError::Api { status: 422, error });
            assert_eq!(failure.exit, exit);
        }
    }

    #[test]
    fn an_unreachable_host_has_a_remedy_and_a_closed_pipe_needs_none() {
        let source = Box::new(io::Error::other("refused"));
        let failure = Failure::from(ClientError::Unreachable {
            server: "http://h:1".into(),
            source,
        });
        assert_eq!(
            (failure.exit, failure.message.as_str()),
            (Exit::Unavailable, "nothing answers at http://h:1")
        );
        assert!(failure.help.unwrap().contains("--server"));
        let closed = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((closed.exit, closed.message.as_str()), (Exit::Done, ""));
    }

    #[test]
    fn a_refused_token_is_a_refusal_that_says_where_tokens_come_from() {
        let error = Error::denied("no-token", "a token is needed");
        let failure = Failure::from(ClientError::Api { status: 401, error });
        assert_eq!(failure.exit, Exit::Refused);
        assert!(failure.unauthenticated && failure.help.unwrap().contains("--token-file"));
    }

    #[test]
    fn lines_to_copy_become_the_help() {
        let failure = Failure::from(Error::denied(
            "no-launcher",
            "not granted; add:\n  [native]\n  log = true\n",
        ));
        assert_eq!(failure.message, "not granted; add:");
        assert_eq!(failure.help.as_deref(), Some("  [native]\n  log = true"));
    }
}
