//! Other code for a backend while it works: by command and by file, with the good and with every bad
//! version, and with a host that is killed at each step. Nothing that runs notices, and no call is lost.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

mod asked;
mod by_file;
mod crashes;
mod folder;
#[path = "../../../../host/plugin/tests/suite/support/guest.rs"]
#[allow(
    dead_code,
    reason = "the tests of fleet-plugin use more of it than these"
)]
mod guest;
mod refused;
mod support;
mod traffic;
mod under_load;
mod withdrawn;
