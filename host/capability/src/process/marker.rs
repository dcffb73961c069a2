//! The mark that every program carries in its environment, and by which its leftovers are found.
//!
//! Where there is no cgroup, a program whose keeper was killed may leave descendants that began
//! sessions of their own: no number leads to them. Their environment does, unless they cleared it.

use std::fs;

use serde::{Deserialize, Serialize};

use super::reference::Reference;

/// The variable.
pub(crate) const NAME: &str = "FLEET_TRY";

/// `WORKLOAD/GENERATION.ATTEMPT@HOST`: names one try of one host, and no other ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Marker(String);

impl Marker {
    /// `host` tells hosts of one machine apart.
    pub(crate) fn new(reference: Reference, host: &str) -> Self {
        Self(format!("{reference}@{host}"))
    }

    /// The variable's value.
    pub(crate) fn value(&self) -> &str {
        &self.0
    }

    /// Whether this process was executed with it, as far as this user may know.
    pub(crate) fn is_on(&self, pid: u32) -> bool {
        fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environ| self.is_in(&environ))
    }

    fn is_in(&self, environ: &[u8]) -> bool {
        let value = |entry: &[u8]| {
            entry
                .strip_prefix(NAME.as_bytes())
                .and_then(|rest| rest.strip_prefix(b"="))
                .is_some_and(|value| value == self.0.as_bytes())
        };
        environ.split(|byte| *byte == 0).any(value)
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::{Attempt, Generation, WorkloadId};

    use super::*;

    #[test]
    fn only_the_whole_variable_with_the_whole_value_counts() {
        let reference = Reference {
            workload: WorkloadId::new(1, 2),
            generation: Generation(7),
            attempt: Attempt(1),
        };
        let marker = Marker::new(reference, "abc");
        let value = marker.value().to_owned();
        for (environ, is_in) in [
            (format!("A=1\0FLEET_TRY={value}\0B=2\0"), true),
            (format!("FLEET_TRY={value}"), true),
            (format!("FLEET_TRY={value}1\0"), false),
            (format!("FLEET_TRY=x{value}\0"), false),
            (format!("MY_FLEET_TRY={value}\0"), false),
            (format!("A=FLEET_TRY={value}\0"), false),
            (String::new(), false),
        ] {
            assert_eq!(marker.is_in(environ.as_bytes()), is_in, "{environ:?}");
        }
    }
}
