//! Why a command is not taken.

use fleet_model::{Error, ErrorKind};

use super::limits::{COMMAND_BYTES, WAITING_BYTES};

/// Its call was used for another command.
pub(crate) fn call_reused(call: &str) -> Error {
    Error::conflict(
        "call-reused",
        format!("another command was sent under the key `{call}`; use a new key for a new command"),
    )
}

pub(crate) fn too_large(bytes: usize) -> Error {
    Error::invalid(
        "command-too-large",
        format!(
            "the command has {bytes} bytes, and {COMMAND_BYTES} is the most; pass larger data in a file"
        ),
    )
}

pub(crate) fn not_running() -> Error {
    Error::conflict(
        "not-running",
        "the program has ended, so it takes no commands; start it first",
    )
}

pub(crate) fn stdin_closed() -> Error {
    Error::conflict(
        "stdin-closed",
        "the program has closed its standard input, so it takes no commands; restart it to give it some",
    )
}

pub(crate) fn input_full() -> Error {
    Error {
        retry_after_ms: Some(1_000),
        ..Error::new(
            ErrorKind::Exhausted,
            "input-full",
            format!(
                "the program does not read: up to {WAITING_BYTES} bytes of commands wait for it already; ask again when it does"
            ),
        )
    }
}
