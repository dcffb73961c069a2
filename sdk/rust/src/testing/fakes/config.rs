//! Settings as a test has set them.

use crate::Error;
use crate::testing::with_host;

/// The settings as JSON.
///
/// # Errors
/// None.
pub fn get() -> Result<String, Error> {
    Ok(with_host(|host| host.settings.clone()))
}
