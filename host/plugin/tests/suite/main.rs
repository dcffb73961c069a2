//! The plugin host from outside: files in, answers out.
//!
//! The components are made on the spot (`support`), or are the shipped ones (`shipped`); compiling
//! is done by a real child, `examples/compile`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[cfg(feature = "compiler")]
mod budget;
#[cfg(feature = "compiler")]
mod calls;
#[cfg(feature = "compiler")]
mod endpoints;
#[cfg(feature = "compiler")]
mod grants;
#[cfg(feature = "compiler")]
mod hostile;
#[cfg(feature = "compiler")]
mod loading;
#[cfg(feature = "compiler")]
mod redaction;
#[cfg(feature = "compiler")]
mod secrets;
#[cfg(feature = "compiler")]
mod shipped;
mod support;
#[cfg(feature = "compiler")]
mod swaps;
#[cfg(not(feature = "compiler"))]
mod without_compiler;
