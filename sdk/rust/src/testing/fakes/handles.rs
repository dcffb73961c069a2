//! The schema to write handles in, as a test has set it.

use crate::testing::with_host;

/// The schema to write handles in; absent: the one `describe` names.
#[must_use]
pub fn write_schema() -> Option<u32> {
    with_host(|host| host.write_schema)
}
