//! A log that is kept.

use crate::log::Level;
use crate::testing::with_host;

/// Writes one line.
pub fn write(level: Level, message: &str) {
    with_host(|host| host.log.push((level, message.to_owned())));
}
