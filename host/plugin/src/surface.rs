//! A component looked at from outside, for those who make one.

use crate::load::inspect;
use crate::world;

/// Whether a host would look further at such a file: it is a component, and all it imports and exports is of a
/// contract this host knows. Nothing is compiled.
///
/// # Errors
/// What it is instead, and what to do, as the end of a sentence about the file.
pub fn check_surface(component: &[u8]) -> Result<(), String> {
    let surface = inspect(component)?;
    world::check(&surface.imports, &surface.exports)
}
