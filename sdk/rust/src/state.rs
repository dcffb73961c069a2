//! A plugin's state: what it writes into a handle and reads back, as JSON.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Error, Handle};

/// What the host stores of a handle at most, in bytes.
const MAX_BYTES: usize = 64 * 1024;

impl Handle {
    /// A handle that holds `state`, in the plugin's own format number `schema`.
    ///
    /// # Errors
    /// `invalid` (`handle-too-large`) for more than 64 KiB; `internal` (`handle-unwritable`) for
    /// what JSON cannot hold.
    pub fn write<T: Serialize>(schema: u32, state: &T) -> Result<Self, Error> {
        let opaque = serde_json::to_vec(state).map_err(|error| {
            Error::internal(
                "handle-unwritable",
                format!(
                    "the state does not fit into JSON: {error}; report it to the plugin's author"
                ),
            )
        })?;
        if opaque.len() > MAX_BYTES {
            return Err(Error::invalid(
                "handle-too-large",
                format!(
                    "the workload's state takes {} bytes and {MAX_BYTES} are kept: shorten its [config]",
                    opaque.len()
                ),
            ));
        }
        Ok(Self { schema, opaque })
    }

    /// The state in a handle that was written with format number `schema`.
    ///
    /// # Errors
    /// `unsupported` (`handle-schema`) for another format; `internal` (`handle-unreadable`) for
    /// bytes that are not of this one.
    pub fn read<T: DeserializeOwned>(&self, schema: u32) -> Result<T, Error> {
        if self.schema != schema {
            return Err(Error::unsupported(
                "handle-schema",
                format!(
                    "the handle has format {} and this version of the plugin reads {schema}: use \
                     the version that wrote it, or remove the workload and run it anew",
                    self.schema
                ),
            ));
        }
        serde_json::from_slice(&self.opaque).map_err(|error| {
            Error::internal(
                "handle-unreadable",
                format!("the handle cannot be read: {error}; remove the workload and run it anew"),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn state_reads_back() {
        let handle = Handle::write(1, &vec!["a", "b"]).unwrap();
        assert_eq!(handle.opaque, br#"["a","b"]"#);
        assert_eq!(handle.read::<Vec<String>>(1).unwrap(), ["a", "b"]);
    }

    #[test]
    fn another_format_garbage_and_too_much_are_told_apart() {
        let handle = Handle::write(2, &1).unwrap();
        assert_eq!(handle.read::<u8>(1).unwrap_err().code, "handle-schema");
        let garbage = Handle {
            schema: 1,
            opaque: vec![0xff],
        };
        assert_eq!(garbage.read::<u8>(1).unwrap_err().kind, ErrorKind::Internal);
        let large = "x".repeat(MAX_BYTES);
        assert_eq!(
            Handle::write(1, &large).unwrap_err().code,
            "handle-too-large"
        );
    }
}
