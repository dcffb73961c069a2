//! The child's side of a compilation: limits first, then the compiler.

use std::path::Path;
use std::process::ExitCode;

/// Address space of a child. A component from Python takes about 1 GiB.
pub(super) const MEMORY_BYTES: u64 = 8 << 30;
/// Processor time of a child, all its threads together. A component from JavaScript takes 22 s.
pub(super) const CPU_SECONDS: u64 = 300;

/// Compiles the component in the file `input` to the file `output`, under limits that this
/// process sets on itself and never lifts: call it from a process that does nothing else.
///
/// What is wrong with the component goes to stderr, one line; the exit code is 0 or 1.
#[must_use]
pub fn compile_main(input: &Path, output: &Path) -> ExitCode {
    match limit().and_then(|()| compile(input, output)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            use std::io::Write;
            // Nobody is left to tell when stderr is closed; the exit code says it too.
            let _ = writeln!(std::io::stderr(), "{}", reason.replace('\n', "; "));
            ExitCode::FAILURE
        }
    }
}

fn limit() -> Result<(), String> {
    use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
    for (resource, most) in [
        (Resource::As, MEMORY_BYTES),
        (Resource::Cpu, CPU_SECONDS),
        (Resource::Core, 0),
    ] {
        // A lower limit that came from outside stays.
        let most = getrlimit(resource)
            .maximum
            .map_or(most, |outer| outer.min(most));
        let limit = Rlimit {
            current: Some(most),
            maximum: Some(most),
        };
        setrlimit(resource, limit)
            .map_err(|error| format!("cannot limit {resource:?}: {error}"))?;
    }
    // It competes with a host that serves calls. Where that is not allowed it competes as an equal.
    let _ = nice(10);
    Ok(())
}

#[cfg(feature = "compiler")]
fn compile(input: &Path, output: &Path) -> Result<(), String> {
    let wasm = std::fs::read(input)
        .map_err(|error| format!("cannot read {}: {error}", input.display()))?;
    let engine = crate::engine::compiling_engine().map_err(|error| format!("{error:#}"))?;
    let native = engine
        .precompile_component(&wasm)
        .map_err(|error| format!("{error:#}"))?;
    std::fs::write(output, native)
        .map_err(|error| format!("cannot write {}: {error}", output.display()))
}

#[cfg(not(feature = "compiler"))]
fn compile(_input: &Path, _output: &Path) -> Result<(), String> {
    Err("this build of fleet-host has no compiler".to_owned())
}
