//! The name of a program beside a process: `WORKLOAD/GENERATION.ATTEMPT/KEY`.

use std::fmt;
use std::str::FromStr;

use fleet_model::Error;

use crate::process::reference::Reference;

/// One program beside one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ExecReference {
    pub(crate) process: Reference,
    pub(crate) key: u64,
}

impl fmt::Display for ExecReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:016x}", self.process, self.key)
    }
}

impl FromStr for ExecReference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let parse = || {
            let (process, key) = text.rsplit_once('/')?;
            let reference = Self {
                process: process.parse().ok()?,
                key: u64::from_str_radix(key, 16).ok()?,
            };
            // One spelling per program.
            (reference.to_string() == text).then_some(reference)
        };
        parse().ok_or_else(|| {
            let shown: String = text.chars().take(80).collect();
            Error::invalid("bad-reference", format!("`{shown}` is no program beside a process: expected WORKLOAD/GENERATION.ATTEMPT/KEY, as `exec` answered it"))
        })
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::WorkloadId;

    use super::*;

    #[test]
    fn a_reference_reads_back_and_nothing_else_passes() {
        let id = WorkloadId::new(1, 2);
        let good = format!("{id}/7.1/00000000000000ab");
        assert_eq!(good.parse::<ExecReference>().unwrap().to_string(), good);
        for bad in [
            String::new(),
            format!("{id}/7.1"),
            format!("{id}/7.1/ab"),
            format!("{id}/7.1/00000000000000AB"),
            format!("{id}/7.1/+0000000000000ab"),
            format!("{id}/7.1/00000000000000ab/"),
            format!("{id}/7.1/../00000000000000ab"),
        ] {
            let error = bad.parse::<ExecReference>().unwrap_err();
            assert_eq!(error.code, "bad-reference", "{bad}");
        }
    }
}
