//! Signals that end a command which has programs to clear away first.

use std::io;

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// Ready when Ctrl-C or SIGTERM came. From the call on neither ends the process by itself.
pub(super) fn told_to_end() -> Result<impl Future<Output = ()> + Send + 'static, Failure> {
    let unheard = |error: io::Error| Failure::io("cannot listen for signals", &error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
