//! A clock that stands still until a test moves it.

use crate::Error;
use crate::testing::with_host;

/// When the machine booted, in Unix milliseconds.
const BOOT_MS: u64 = 1_600_000_000_000;

/// Unix time in milliseconds.
///
/// # Errors
/// None.
pub fn now() -> Result<u64, Error> {
    Ok(with_host(|host| host.now_ms))
}

/// Milliseconds since the machine booted.
///
/// # Errors
/// None.
pub fn since_boot() -> Result<u64, Error> {
    Ok(with_host(|host| host.now_ms.saturating_sub(BOOT_MS)))
}
