//! The `fleet-host` binary.
//!
//! | room | what happens there |
//! |---|---|
//! | [`app`] | from arguments to an exit code |
//! | [`cli`], [`commands`] | what can be typed; one file per command |
//! | [`config`] | `fleet-host.toml`, its environment variables and its documentation |
//! | `run` | the host itself: its data folder, its parts, their start and their end |
//! | [`failure`], [`output`] | the only ways anything is told |

mod app;
mod cli;
mod commands;
mod config;
mod connect;
mod document;
mod environment;
mod failure;
mod folder;
mod input;
mod output;
mod progress;
mod quote;
mod run;
mod spec;
mod suggest;
mod time;
mod usual;
mod workers;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // A shim stands in the way of every start of a program: nothing else is set up for it.
    match workers::answer(&arguments) {
        Some(code) => code,
        None => app::main(arguments),
    }
}
