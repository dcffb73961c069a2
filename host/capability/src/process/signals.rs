//! Signals by name.

use fleet_model::Error;
use rustix::process::Signal;

/// Every signal that has a name, as `kill -l` writes it.
const NAMES: &[(&str, Signal)] = &[
    ("ABRT", Signal::ABORT),
    ("ALRM", Signal::ALARM),
    ("BUS", Signal::BUS),
    ("CHLD", Signal::CHILD),
    ("CONT", Signal::CONT),
    ("FPE", Signal::FPE),
    ("HUP", Signal::HUP),
    ("ILL", Signal::ILL),
    ("INT", Signal::INT),
    ("IO", Signal::IO),
    ("KILL", Signal::KILL),
    ("PIPE", Signal::PIPE),
    ("PROF", Signal::PROF),
    ("PWR", Signal::POWER),
    ("QUIT", Signal::QUIT),
    ("SEGV", Signal::SEGV),
    ("STKFLT", Signal::STKFLT),
    ("STOP", Signal::STOP),
    ("SYS", Signal::SYS),
    ("TERM", Signal::TERM),
    ("TRAP", Signal::TRAP),
    ("TSTP", Signal::TSTP),
    ("TTIN", Signal::TTIN),
    ("TTOU", Signal::TTOU),
    ("URG", Signal::URG),
    ("USR1", Signal::USR1),
    ("USR2", Signal::USR2),
    ("VTALRM", Signal::VTALARM),
    ("WINCH", Signal::WINCH),
    ("XCPU", Signal::XCPU),
    ("XFSZ", Signal::XFSZ),
];

/// The signal of this name, with or without `SIG`.
pub(crate) fn by_name(text: &str) -> Result<Signal, Error> {
    let name = text.strip_prefix("SIG").unwrap_or(text);
    NAMES
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, signal)| *signal)
        .ok_or_else(|| {
            let known: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
            let shown: String = text.chars().take(40).collect();
            Error::invalid(
                "unknown-signal",
                format!("`{shown}` is not a signal; use one of {}", known.join(", ")),
            )
        })
}

/// The name of a signal, without `SIG`; a number where it has none.
pub(crate) fn name_of(number: i32) -> String {
    NAMES
        .iter()
        .find(|(_, signal)| signal.as_raw() == number)
        .map_or_else(|| number.to_string(), |(name, _)| (*name).to_owned())
}

/// The numbers of all signals that a process can catch and that do not report a fault of its own.
pub(crate) fn catchable() -> impl Iterator<Item = i32> {
    let not = [
        Signal::KILL,
        Signal::STOP,
        Signal::SEGV,
        Signal::ILL,
        Signal::FPE,
        Signal::BUS,
        Signal::ABORT,
    ];
    NAMES
        .iter()
        .map(|(_, signal)| *signal)
        .filter(move |signal| !not.contains(signal))
        .map(Signal::as_raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_with_and_without_sig_and_others_name_the_choice() {
        assert_eq!(by_name("TERM").unwrap(), Signal::TERM);
        assert_eq!(by_name("SIGKILL").unwrap(), Signal::KILL);
        for bad in ["", "SIG", "term", "SIGSIGTERM", "9", "NOPE"] {
            let error = by_name(bad).unwrap_err();
            assert_eq!(error.code, "unknown-signal");
            assert!(error.message.contains("TERM"), "{bad}");
        }
        assert_eq!(name_of(15), "TERM");
        assert_eq!(name_of(40), "40");
    }
}
