//! A backend as a process of its own behind gRPC over a Unix socket: how plugins are usually kept
//! apart from their host (HashiCorp's go-plugin, containerd's shims).
//!
//! * `serve SOCKET THREADS` is the backend. It does what the component `mock` does with the same
//!   calls, so that what differs is the way there and back.
//! * `drive SOCKET THREADS` is the host's side: it reads orders from stdin, a JSON object per line,
//!   makes the call for as long as the order says, and answers the seconds that one call takes.
//! * `await ADDRESS SERVICE` returns when a gRPC server says that it serves.
//!
//! THREADS is `many`, as a host has them, or `one`, which spares each message a hop or two.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark: it prints what it measured, by the machine's clock"
)]

mod drive;
mod health;
mod message;
mod serve;

use std::process::ExitCode;

use tokio::runtime::{Builder, Runtime};

/// What goes wrong here ends the run, so one open shape is enough.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The paths of the calls.
const INSPECT: &str = "/fleet.bench.Driver/Inspect";
const CREATE: &str = "/fleet.bench.Driver/Create";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fleet-bench-grpc: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["serve", socket, threads] => runtime(threads)?.block_on(serve::serve(socket)),
        ["drive", socket, threads] => drive::drive(&runtime(threads)?, socket),
        ["await", address, service] => {
            runtime("one")?.block_on(health::await_serving(address, service))
        }
        _ => {
            Err("usage: serve SOCKET THREADS | drive SOCKET THREADS | await ADDRESS SERVICE".into())
        }
    }
}

fn runtime(threads: &str) -> Result<Runtime> {
    let mut builder = match threads {
        "many" => Builder::new_multi_thread(),
        "one" => Builder::new_current_thread(),
        _ => return Err("THREADS is `many` or `one`".into()),
    };
    Ok(builder.enable_all().build()?)
}
