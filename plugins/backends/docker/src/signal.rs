//! Signals by name and number.

use fleet_sdk::Error;

/// Linux's names without `SIG` (signal(7)), from number 1 on; the same on x86_64 and aarch64.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The signal that a program was ended by, going by its exit code. An engine tells only the code, and
/// 128 + n is what shells and inits make of signal n.
pub(crate) fn of_code(code: i64) -> Option<&'static str> {
    let index = usize::try_from(code.checked_sub(129)?).ok()?;
    NAMES.get(index).copied()
}

/// The name as the engine takes it.
///
/// # Errors
/// `invalid` (`unknown-signal`) where there is none.
pub(crate) fn named(name: &str) -> Result<&'static str, Error> {
    NAMES
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| {
            let shown: String = name.chars().take(40).collect();
            Error::invalid(
                "unknown-signal",
                format!("`{shown}` is no signal: use a name without SIG, like `TERM`"),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_over_128_are_signals() {
        for (code, want) in [
            (0, None),
            (3, None),
            (127, None),
            (128, None),
            (129, Some("HUP")),
            (137, Some("KILL")),
            (143, Some("TERM")),
            (159, Some("SYS")),
            (160, None),
            (255, None),
            (-1, None),
            (i64::MIN, None),
        ] {
            assert_eq!(of_code(code), want, "{code}");
        }
    }

    #[test]
    fn a_word_that_is_no_signal_is_refused() {
        assert_eq!(named("USR1").unwrap(), "USR1");
        for word in ["", "SIGTERM", "term", "9", "NOSUCH"] {
            assert_eq!(named(word).unwrap_err().code, "unknown-signal");
        }
    }
}
