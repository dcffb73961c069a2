//! What the handle holds.

use fleet_sdk::{Error, Handle};
use serde::{Deserialize, Serialize};

/// The number of the handle's format.
pub(crate) const SCHEMA: u32 = 1;

/// A process, as far as this backend has to know it again.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Runtime {
    /// The host's name for the process.
    pub(crate) process: String,
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
