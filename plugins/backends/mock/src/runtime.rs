//! What the handle holds: the plan and what happened so far.

use fleet_sdk::{Error, Handle};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::life::Life;

/// The number of the handle's format.
pub(crate) const SCHEMA: u32 = 1;

/// All there is of a runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Runtime {
    pub(crate) config: Config,
    pub(crate) life: Life,
}

impl Runtime {
    /// What a handle stands for.
    pub(crate) fn of(handle: &Handle) -> Result<Self, Error> {
        handle.read(SCHEMA)
    }

    /// The handle that stands for it.
    pub(crate) fn handle(&self) -> Result<Handle, Error> {
        Handle::write(SCHEMA, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signal::Deadly;

    #[test]
    fn a_runtime_reads_back_from_its_handle() {
        let config: Config = serde_json::from_str(r#"{"run_ms":5,"output":["a"]}"#).unwrap();
        let term = Deadly::try_from("TERM".to_owned()).unwrap();
        let life = Life::default()
            .start(&config, "op", 1)
            .stop(&config, term, 2)
            .kill(&config, 2);
        let runtime = Runtime { config, life };
        assert_eq!(Runtime::of(&runtime.handle().unwrap()).unwrap(), runtime);
    }
}
