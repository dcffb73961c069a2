//! What the handle holds: the plan and what happened so far.

use fleet_sdk::{Error, Handle};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::life::Life;
use crate::settings::Settings;

/// The number of the handle's format.
pub(crate) const SCHEMA: u32 = 1;

/// All there is of a runtime.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Runtime {
    pub(crate) config: Config,
    pub(crate) life: Life,
    /// As they were when it was made.
    #[serde(default, skip_serializing_if = "Settings::are_none")]
    pub(crate) settings: Settings,
    /// Its entry in the register, if it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) entry: Option<String>,
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
    use crate::settings::Bug;
    use crate::signal::Deadly;

    #[test]
    fn a_runtime_reads_back_from_its_handle() {
        let config: Config = serde_json::from_str(r#"{"run_ms":5,"output":["a"]}"#).unwrap();
        let term = Deadly::try_from("TERM".to_owned()).unwrap();
        let life = Life::default()
            .start(&config, "op", 1)
            .stop(&config, term, 2)
            .kill(&config, 2);
        let plain = Runtime {
            config,
            life,
            settings: Settings::default(),
            entry: None,
        };
        let marked = Runtime {
            settings: Settings {
                bug: Some(Bug::ExitCode),
                listed: true,
                traps_from_ms: Some(7),
            },
            entry: Some("wl_1/1.1".to_owned()),
            ..plain.clone()
        };
        for runtime in [plain, marked] {
            assert_eq!(Runtime::of(&runtime.handle().unwrap()).unwrap(), runtime);
        }
    }
}
