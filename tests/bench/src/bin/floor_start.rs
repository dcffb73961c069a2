//! The floor of a start: a process that maps compiled components, says so and ends.
#![expect(
    clippy::print_stdout,
    reason = "saying that it is ready is what it does"
)]

#[path = "../floor/engine.rs"]
mod engine;

use wasmtime::Engine;
use wasmtime::component::Component;

fn main() -> wasmtime::Result<()> {
    let engine = Engine::new(&engine::config())?;
    let components = std::env::args_os()
        .skip(1)
        .map(|file| load(&engine, &std::fs::read(file)?))
        .collect::<wasmtime::Result<Vec<_>>>()?;
    println!("ready {}", components.len());
    Ok(())
}

#[expect(
    unsafe_code,
    reason = "mapping compiled code is unsafe by nature, and it is what is measured"
)]
fn load(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the files named on the command line were written by `Engine::precompile_component` of
    // an engine of this very shape, a moment ago, by the benchmark that starts this process.
    unsafe { Component::deserialize(engine, code) }
}
