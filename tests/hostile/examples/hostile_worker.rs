//! The compiling child of this crate's tests: `compile IN OUT`.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.as_slice() {
        [name, input, output] if name == "compile" => {
            fleet_plugin::compile_main(Path::new(input), Path::new(output))
        }
        _ => ExitCode::from(2),
    }
}
