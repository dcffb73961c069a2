//! Endpoints over a Unix socket, with a service that does what each test says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "tests"
)]

mod answers;
mod docker;
mod harness;
mod jobs;
mod owning;
mod server;
mod streams;
