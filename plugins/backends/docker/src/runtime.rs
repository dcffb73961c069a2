//! What the handle holds.

use fleet_sdk::{Error, Handle};
use serde::{Deserialize, Serialize};

use crate::api::Api;

/// The number of the handle's format.
pub(crate) const SCHEMA: u32 = 1;

/// A container, as far as this backend has to know it again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Runtime {
    /// The engine's full id.
    pub(crate) container: String,
    /// The version of the API the engine spoke when it was made. It is asked in that one first.
    #[serde(default)]
    pub(crate) api: Api,
    /// Whether the program has a terminal: then its log is raw. None where only the engine knows.
    #[serde(default)]
    pub(crate) terminal: Option<bool>,
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

    #[test]
    fn a_runtime_reads_back_from_its_handle() {
        let runtime = Runtime {
            container: "c0ffee".to_owned(),
            api: Api::V1_44,
            terminal: Some(true),
        };
        assert_eq!(Runtime::of(&runtime.handle().unwrap()).unwrap(), runtime);
        let short = Handle {
            schema: SCHEMA,
            opaque: br#"{"container":"c0ffee"}"#.to_vec(),
        };
        let read = Runtime::of(&short).unwrap();
        assert_eq!((read.api, read.terminal), (Api::V1_41, None));
    }
}
