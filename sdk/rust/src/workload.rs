//! A workload's `[config]` as a typed value.

use serde::de::DeserializeOwned;

use crate::Error;
use crate::driver::Workload;

impl Workload {
    /// The backend's own part of the workload.
    ///
    /// # Errors
    /// `invalid` (`config`) where the type is narrower than the schema the host checked against.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, Error> {
        // From bytes, as handles are read: a component that reads a type both ways carries the
        // code twice.
        serde_json::from_slice(self.config.as_bytes())
            .map_err(|error| Error::invalid("config", format!("[config] cannot be used: {error}")))
    }
}
