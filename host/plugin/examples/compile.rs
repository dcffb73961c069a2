//! The compiling child of this crate's tests: `compile IN OUT`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut files = std::env::args_os().skip(1);
    let (Some(input), Some(output)) = (files.next(), files.next()) else {
        return ExitCode::from(2);
    };
    fleet_plugin::compile_main(Path::new(&input), Path::new(&output))
}
