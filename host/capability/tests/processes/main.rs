//! Real programs through real shims: what is promised of processes, their output and their end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

mod ends;
mod harness;
mod output;
mod refusals;
mod restart;
mod starts;
