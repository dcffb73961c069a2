//! Containers as workloads, on a real engine: their life, what survives whom, and what is said when
//! something is wrong. Without an engine these tests skip themselves and say so.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

mod beside;
mod engineless;
mod foreign;
mod images;
mod kit;
mod life;
mod limits;
mod many;
mod proxy;
mod refusals;
mod support;
