//! This process's terminal.

use fleet_model::exec::TerminalSize;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{self, OptionalActions, Termios};

use crate::failure::Failure;

/// The size where no terminal says one.
const USUAL: TerminalSize = TerminalSize {
    columns: 80,
    rows: 24,
};

/// Whether somebody types here.
pub(in crate::commands::workload) fn is_typed_at() -> bool {
    termios::isatty(stdin())
}

/// The terminal's size.
pub(in crate::commands::workload) fn size() -> TerminalSize {
    let asked = [
        termios::tcgetwinsize(stdin()),
        termios::tcgetwinsize(stdout()),
    ];
    asked
        .into_iter()
        .flatten()
        .map(|size| TerminalSize {
            columns: size.ws_col,
            rows: size.ws_row,
        })
        .find(|size| size.columns > 0 && size.rows > 0)
        .unwrap_or(USUAL)
}

/// The terminal passes on every key as it is, until this is dropped: also when a panic does that.
#[derive(Debug)]
pub(super) struct Raw(Termios);

impl Raw {
    /// From now on.
    pub(super) fn enter() -> Result<Self, Failure> {
        let change = || {
            let before = termios::tcgetattr(stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            termios::tcsetattr(stdin(), OptionalActions::Now, &raw)?;
            Ok(Self(before))
        };
        change().map_err(|error: rustix::io::Errno| {
            Failure::io("cannot change the terminal's mode", &error.into())
        })
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // A terminal that is gone needs no mode.
        let _ = termios::tcsetattr(stdin(), OptionalActions::Now, &self.0);
    }
}
