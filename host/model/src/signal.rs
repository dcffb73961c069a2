//! The names of signals. Numbers differ between kinds of machines, names do not.

use crate::error::Error;

/// Every signal that has a name, as `kill -l` writes it.
pub const NAMES: [&str; 31] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "KILL", "PIPE",
    "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU",
    "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// The name of a signal as people write it, with or without `SIG` and in any case, as it is written
/// everywhere else: in capitals, without `SIG`.
///
/// # Errors
/// `invalid` (`unknown-signal`) naming those there are.
pub fn named(text: &str) -> Result<&'static str, Error> {
    let capitals = text.trim().to_ascii_uppercase();
    let name = capitals.strip_prefix("SIG").unwrap_or(&capitals);
    NAMES
        .into_iter()
        .find(|known| *known == name)
        .ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            Error::invalid(
                "unknown-signal",
                format!("`{shown}` is not a signal: use one of {}", NAMES.join(", ")),
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_read_however_they_are_written_and_others_name_the_choice() {
        for text in ["USR1", "SIGUSR1", "usr1", "SigUsr1", " usr1 "] {
            assert_eq!(named(text).unwrap(), "USR1", "{text:?}");
        }
        for text in ["", "SIG", "SIGSIGTERM", "9", "USR3", "TERM\0"] {
            let error = named(text).unwrap_err();
            assert_eq!(error.code, "unknown-signal", "{text:?}");
            assert!(error.message.contains("TERM, TRAP"), "{error}");
        }
        let endless = named(&"x".repeat(1 << 20)).unwrap_err();
        assert!(endless.message.len() < 400);
    }
}
