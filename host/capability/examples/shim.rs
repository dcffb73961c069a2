//! The shim alone, as the tests run it: `shim SLOT`.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    fleet_capability::shim_main(&PathBuf::from(
        std::env::args_os().nth(1).unwrap_or_default(),
    ))
}
