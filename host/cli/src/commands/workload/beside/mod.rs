//! What `workload exec` and `workload attach` share: this process stands for the program.
//!
//! Its standard streams are the program's, whatever `--output` says, its signals go to the program, and
//! it exits with the program's code. What goes wrong here has codes of its own, as in shells,
//! `timeout` and docker: 124 time is up, 125 this command failed, 126 and 127 no such program.

mod keys;
mod printer;
mod screen;
mod signals;
mod talk;
mod typist;

use fleet_client::{Attachment, ClientError};
use fleet_model::exec::{Exec, ExecState};

use crate::failure::{Exit, Failure};
use crate::output::Output;

pub(super) use screen::{is_typed_at, size};

/// The exit code of what went wrong here.
pub(super) const OWN: u8 = 125;

/// The exit code of a program whose time was up.
const TIME_UP: u8 = 124;

/// The exit codes of programs that cannot be run.
const NOT_EXECUTABLE: u8 = 126;
const MISSING: u8 = 127;

/// Which of this process's input goes to the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Input {
    /// Every key, from a terminal.
    Keys,
    /// All of it, to its end.
    Stream,
    /// None.
    None,
}

/// Stands for the program until it ends or is left.
pub(super) async fn stand_for(
    exec: &Exec,
    attachment: Attachment,
    input: Input,
    output: &mut Output,
) -> Result<(), Failure> {
    let passed = match input {
        Input::Keys => talk::Passed::Keys,
        Input::Stream => talk::Passed::Input,
        Input::None => talk::Passed::Signals,
    };
    match talk::talk(attachment, passed).await? {
        talk::Ended::Program(state) => ended(state),
        talk::Ended::Left(after, code) => {
            let line = match input {
                Input::Keys => "\r\n",
                Input::Stream | Input::None => "",
            };
            let told = output.error_bytes(
                format!(
                    "{line}left running; come back with `fleet-host workload attach {} --after {after}`\n",
                    exec.id
                )
                .as_bytes(),
            );
            match code {
                0 => told,
                // A terminal that is gone shows nothing any more.
                code => Err(Failure::told(Exit::Failed).coded(code)),
            }
        }
    }
}

/// The program's end is this command's.
fn ended(state: ExecState) -> Result<(), Failure> {
    match state {
        ExecState::Exited { timed_out, .. } if timed_out => {
            Err(Failure::failed("the program was ended: its time was up")
                .help("give it more with --timeout, or leave that out")
                .coded(TIME_UP))
        }
        ExecState::Exited { exit, .. } => match u8::try_from(exit.code & 0xff).unwrap_or(OWN) {
            0 => Ok(()),
            code => Err(Failure::told(Exit::Failed).coded(code)),
        },
        ExecState::Lost { reason } => Err(Failure::failed(format!(
            "nobody knows how the program ended: {reason}"
        ))
        .help("look at what it was to do, and run it again if need be")
        .coded(OWN)),
        ExecState::Running => {
            Err(Failure::failed("the program was let go while it runs").coded(OWN))
        }
    }
}

/// A failure of this command, whose code must not be taken for the program's.
pub(super) fn own(mut failure: Failure) -> Failure {
    failure.code.get_or_insert(OWN);
    failure
}

/// Why a program could not be begun, with the code that shells have for that.
pub(super) fn not_begun(error: ClientError) -> Failure {
    let code = match &error {
        ClientError::Api { error, .. } => match error.code.as_str() {
            "program-missing" => MISSING,
            "program-not-executable" | "program-is-directory" => NOT_EXECUTABLE,
            _ => OWN,
        },
        _ => OWN,
    };
    Failure::from(error).coded(code)
}

#[cfg(test)]
mod tests {
    use fleet_model::Error;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_programs_end_is_the_commands() {
        for (state, code) in [
            (json!({"state": "exited", "code": 0}), None),
            (json!({"state": "exited", "code": 3}), Some(3)),
            (
                json!({"state": "exited", "code": 130, "signal": "INT"}),
                Some(130),
            ),
            (json!({"state": "exited", "code": 127}), Some(127)),
            (
                json!({"state": "exited", "code": 143, "signal": "TERM", "timed_out": true}),
                Some(124),
            ),
            (json!({"state": "lost", "reason": "x"}), Some(125)),
        ] {
            let state: ExecState = serde_json::from_value(state).unwrap();
            let ended = ended(state.clone()).err();
            assert_eq!(ended.and_then(|failure| failure.code), code, "{state:?}");
        }
    }

    #[test]
    fn what_cannot_be_run_has_the_codes_of_shells_and_all_else_one_of_its_own() {
        for (code, want) in [
            ("program-missing", 127),
            ("program-not-executable", 126),
            ("program-is-directory", 126),
            ("not-running", 125),
        ] {
            let error = Error::invalid(code, "no");
            let failure = not_begun(ClientError::Api { status: 422, error });
            assert_eq!(failure.code, Some(want), "{code}");
        }
        assert_eq!(own(Failure::failed("x")).code, Some(125));
        assert_eq!(own(Failure::failed("x").coded(3)).code, Some(3));
    }
}
