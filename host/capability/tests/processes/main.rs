//! Real programs through real shims: what is promised of processes, their output and their end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod commands;
mod crashes;
mod ends;
mod exec_harness;
mod exec_streams;
mod exec_terminals;
mod execs;
mod harness;
mod leftovers;
mod limits;
mod output;
mod packets;
mod refusals;
mod restart;
mod secrets;
mod starts;
mod usage;
mod venv;
