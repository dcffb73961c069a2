//! A fleet-host to test against: the release binary in a data folder of its own.
//!
//! `FLEET_HOST_BIN` and `FLEET_PLUGINS_DIR` say what is tested; without them it is what
//! `cargo xtask build` has built. A host that a test leaves behind is ended with all its workloads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test harness: a failure here is a failing test, and it waits for real processes"
)]

pub mod author;
mod disk;
mod host;
mod process;
mod pty;
mod toolchain;
mod walk;

pub use disk::on_disk;
pub use host::{Host, HostOptions, Ran, binary, compile_cache, http_get, next_plugins, plugins};
pub use process::{find_processes, is_alive, wait_for};
pub use pty::Pty;
pub use toolchain::Toolchain;
pub use walk::{Walk, docs};
