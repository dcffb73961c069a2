//! The signals this process gets, for the program it is attached to.

use std::time::Duration;

use fleet_seam::{Clock as _, SystemClock};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::failure::Failure;

/// Two Ctrl-C within this time leave the program.
const TWICE: Duration = Duration::from_secs(2);

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// The terminal has another size.
    Resized,
    /// A signal for the program, by its name, with its number for exit codes.
    Signal(&'static str, u8),
    /// Ctrl-C, again.
    Enough,
}

/// From now on they are heard, and do not end this process.
pub(super) struct Ears {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
    quit: Signal,
    resized: Signal,
    last_ms: Option<u64>,
}

impl Ears {
    /// Listens.
    pub(super) fn open() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::io("cannot listen for signals", &error));
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
            hangup: listen(SignalKind::hangup())?,
            quit: listen(SignalKind::quit())?,
            resized: listen(SignalKind::window_change())?,
            last_ms: None,
        })
    }

    /// The next one. May be dropped and called again: none is lost.
    pub(super) async fn next(&mut self) -> Heard {
        tokio::select! {
            _ = self.interrupt.recv() => self.interrupted(SystemClock.boot_ms()),
            _ = self.terminate.recv() => Heard::Signal("TERM", 15),
            _ = self.hangup.recv() => Heard::Signal("HUP", 1),
            _ = self.quit.recv() => Heard::Signal("QUIT", 3),
            _ = self.resized.recv() => Heard::Resized,
        }
    }

    fn interrupted(&mut self, now_ms: u64) -> Heard {
        let is_second = self
            .last_ms
            .replace(now_ms)
            .is_some_and(|last| Duration::from_millis(now_ms.saturating_sub(last)) < TWICE);
        if is_second {
            Heard::Enough
        } else {
            Heard::Signal("INT", 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_ctrl_c_in_a_row_leaves() {
        let mut ears = Ears::open().unwrap();
        let first = Heard::Signal("INT", 2);
        assert_eq!(ears.interrupted(1_000), first);
        assert_eq!(ears.interrupted(3_000), first);
        assert_eq!(ears.interrupted(4_999), Heard::Enough);
    }
}
