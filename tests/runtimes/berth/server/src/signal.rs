//! Signals by their names without `SIG`.

use rustix::process::Signal;

const KNOWN: [(&str, Signal); 8] = [
    ("TERM", Signal::TERM),
    ("KILL", Signal::KILL),
    ("INT", Signal::INT),
    ("HUP", Signal::HUP),
    ("QUIT", Signal::QUIT),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("WINCH", Signal::WINCH),
];

/// The signal of this name.
pub(crate) fn named(name: &str) -> Option<Signal> {
    let known = KNOWN.iter().find(|(known, _)| *known == name);
    known.map(|(_, signal)| *signal)
}

/// The name of the signal of this number.
pub(crate) fn name(number: i32) -> String {
    let known = KNOWN.iter().find(|(_, signal)| signal.as_raw() == number);
    known.map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}
