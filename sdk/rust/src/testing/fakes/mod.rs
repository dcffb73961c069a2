//! The imports, answered by the host of the test.

pub(crate) mod clock;
pub(crate) mod config;
pub(crate) mod endpoint;
pub(crate) mod handles;
pub(crate) mod lines;
pub(crate) mod log;
pub(crate) mod process;

use crate::{Error, ErrorKind};

/// What a host answers where a grant is missing.
fn denied(what: &str) -> Error {
    let message = format!("it is not granted `{what}`");
    Error::new(ErrorKind::Denied, "not-granted", message)
}
