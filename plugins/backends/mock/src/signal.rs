//! Signals by name and number.

use fleet_sdk::Error;
use serde::{Deserialize, Serialize};

/// Linux's names without `SIG` (signal(7)), from number 1 on; the same on x86_64 and aarch64.
const NAMES: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// Those that end no program which does not handle them.
const HARMLESS: [&str; 8] = [
    "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG", "WINCH",
];

/// A signal that ends a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "&'static str")]
pub(crate) struct Deadly {
    number: u8,
}

impl Deadly {
    /// The one nothing survives.
    pub(crate) const KILL: Self = Self { number: 9 };

    /// Its name without `SIG`.
    pub(crate) fn name(self) -> &'static str {
        let index = usize::from(self.number).saturating_sub(1);
        NAMES.get(index).copied().unwrap_or_default()
    }

    /// The exit code of a program that it ended, as shells count.
    pub(crate) fn exit_code(self) -> i32 {
        128 + i32::from(self.number)
    }
}

/// What a signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It ends the program.
    Ends(Deadly),
    /// The program goes on.
    Nothing,
}

/// What the signal of this name does.
///
/// # Errors
/// `invalid` (`unknown-signal`) where there is none.
pub(crate) fn effect(name: &str) -> Result<Effect, Error> {
    by_name(name).ok_or_else(|| {
        Error::invalid(
            "unknown-signal",
            format!("`{name}` is no signal: use a name without SIG, like `TERM`"),
        )
    })
}

fn by_name(name: &str) -> Option<Effect> {
    let (number, _) = (1..).zip(NAMES).find(|(_, known)| *known == name)?;
    Some(if HARMLESS.contains(&name) {
        Effect::Nothing
    } else {
        Effect::Ends(Deadly { number })
    })
}

impl TryFrom<String> for Deadly {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        match by_name(&name) {
            Some(Effect::Ends(signal)) => Ok(signal),
            _ => Err(format!(
                "`{name}` is no signal that ends a program: write `TERM` or `KILL`, say"
            )),
        }
    }
}

impl From<Deadly> for &'static str {
    fn from(signal: Deadly) -> Self {
        signal.name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_linux_numbers() {
        for (name, code) in [("HUP", 129), ("KILL", 137), ("TERM", 143), ("SYS", 159)] {
            let Ok(Effect::Ends(signal)) = effect(name) else {
                panic!("{name}")
            };
            assert_eq!((signal.name(), signal.exit_code()), (name, code));
        }
        assert_eq!(effect("KILL").unwrap(), Effect::Ends(Deadly::KILL));
        assert_eq!(effect("WINCH").unwrap(), Effect::Nothing);
        for unknown in ["", "SIGTERM", "term", "9"] {
            assert_eq!(effect(unknown).unwrap_err().code, "unknown-signal");
        }
    }
}
