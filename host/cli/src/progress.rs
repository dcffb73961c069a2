//! A spinner while something takes long, on a terminal and nowhere else.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::ProgressBar;

/// Drawn until it is dropped.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// Begins, saying what is waited for.
    pub(crate) fn begin(message: impl Into<String>) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        bar.set_message(message.into());
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Says what is waited for now.
    pub(crate) fn say(&self, message: impl Into<String>) {
        self.0.set_message(message.into());
    }

    /// Has something written while it is not drawn.
    pub(crate) fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
