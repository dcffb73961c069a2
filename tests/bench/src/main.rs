//! Benchmarks: what the product does, against the least that would do and against what others do.
//!
//! Machines are shared and noisy, so an absolute time says little. Every benchmark runs its
//! contestants (ours, the floor, the peers) one after the other in rounds, in one run, and reports
//! the **ratios of each round**: median and spread. `cargo xtask bench` builds what is measured and
//! starts this.
//!
//! | room | what happens there |
//! |---|---|
//! | [`benchmarks`] | one file per benchmark: its contestants and its goals |
//! | [`subject`] | the product: the plugin host in this process, the real binary beside it |
//! | [`floor`] | the least that would do the same |
//! | [`peers`] | other programs: found, started, asked |
//! | [`load`] | many callers at a fixed rate |
//! | [`rounds`], [`statistics`] | interleaving, medians, ratios |
//! | [`finding`], [`verdict`], [`report`] | what was found, whether it meets its goal, how it is written down |
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a tool for people: it prints its result and what it is doing"
)]

mod benchmarks;
mod finding;
mod floor;
mod load;
mod machine;
mod options;
mod peers;
mod process;
mod report;
mod rounds;
mod statistics;
mod stopwatch;
mod subject;
mod verdict;

use std::process::ExitCode;

use clap::Parser as _;

use options::Options;

/// What goes wrong here is told to a person and ends the run, so one open shape is enough.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match benchmarks::run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
