//! How far a file is, on a terminal and nowhere else.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressStyle};

/// What is shown of a file under way.
const TEMPLATE: &str = "{msg} {bytes} of {total_bytes}, {bytes_per_sec}";

/// Drawn until it is dropped.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// Begins, saying which file it is about.
    pub(super) fn begin(path: &str, size: u64) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new(size);
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style);
        }
        bar.set_message(path.escape_debug().to_string());
        Self(bar)
    }

    /// What tells it how far the file is.
    pub(super) fn mover(&self) -> impl Fn(u64) + Send + Sync + 'static {
        let bar = self.0.clone();
        move |at| bar.set_position(at)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
