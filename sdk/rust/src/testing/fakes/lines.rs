//! Lines that are only written down.

use crate::lines::Line;
use crate::testing::{Seen, with_host};
use crate::{Error, Source};

/// A source of these lines.
///
/// # Errors
/// None.
pub fn open(lines: &[Line]) -> Result<Source, Error> {
    Ok(with_host(|host| host.source(Seen::Lines(lines.to_vec()))))
}
