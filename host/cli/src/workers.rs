//! The processes the host starts of itself: `shim SLOT` and `compile IN OUT`.
//!
//! They are answered before arguments are parsed, before a runtime, before anything is allocated
//! that they do not need: a shim is started for every program, in a millisecond or two. They are
//! not for people, so no help mentions them.

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// What makes this process a shim.
pub(crate) const SHIM: &str = "shim";
/// What makes this process a compiler.
pub(crate) const COMPILE: &str = "compile";

/// Does a worker's work; nothing where this is none.
pub(crate) fn answer(arguments: &[OsString]) -> Option<ExitCode> {
    match arguments {
        [_, name, slot] if name == SHIM => Some(fleet_capability::shim_main(Path::new(slot))),
        [_, name, input, output] if name == COMPILE => Some(fleet_plugin::compile_main(
            Path::new(input),
            Path::new(output),
        )),
        _ => None,
    }
}
