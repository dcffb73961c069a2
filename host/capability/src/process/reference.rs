//! The name of a process: `WORKLOAD/GENERATION.ATTEMPT`.

use std::fmt;
use std::str::FromStr;

use fleet_model::{Attempt, Error, Generation, WorkloadId};

/// One try of one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Reference {
    pub(crate) workload: WorkloadId,
    pub(crate) generation: Generation,
    pub(crate) attempt: Attempt,
}

impl Reference {
    /// The name of its slot, and of its cgroup within the host's, after the workload.
    pub(crate) fn try_name(self) -> String {
        format!("{}.{}", self.generation, self.attempt)
    }

    /// Reads the name of a slot back.
    pub(crate) fn from_parts(workload: WorkloadId, try_name: &str) -> Option<Self> {
        let (generation, attempt) = try_name.split_once('.')?;
        let reference = Self {
            workload,
            generation: generation.parse().ok()?,
            attempt: attempt.parse().ok()?,
        };
        // One spelling per process: `+1` and `01` are numbers too.
        (reference.try_name() == try_name).then_some(reference)
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}.{}", self.workload, self.generation, self.attempt)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        text.split_once('/')
            .and_then(|(workload, try_name)| Self::from_parts(workload.parse().ok()?, try_name))
            .ok_or_else(|| {
                let shown: String = text.chars().take(80).collect();
                Error::invalid("bad-reference", format!("`{shown}` is not a process: expected WORKLOAD/GENERATION.ATTEMPT, as `prepare` answered it"))
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_reads_back_and_nothing_else_passes() {
        let id = WorkloadId::new(1, 2);
        let good = format!("{id}/7.1");
        assert_eq!(good.parse::<Reference>().unwrap().to_string(), good);
        for bad in [
            String::new(),
            id.to_string(),
            format!("{id}/7"),
            format!("{id}/07.1"),
            format!("{id}/+7.1"),
            format!("{id}/7.1/.."),
            format!("{id}/../7.1"),
            format!("../{id}/7.1"),
            format!("{id}/7.1\0"),
            format!("{id}/..1"),
        ] {
            assert_eq!(
                bad.parse::<Reference>().unwrap_err().code,
                "bad-reference",
                "{bad}"
            );
        }
    }
}
