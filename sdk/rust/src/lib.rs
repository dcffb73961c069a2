//! What a `fleet-host` plugin in Rust is written with.
//!
//! A plugin is a set of functions: the host makes a fresh instance for each call, so nothing kept
//! in a static is there for the next one. What outlives a call is the [`Handle`].
//!
//! * [`driver`] and [`logs`] hold the traits a backend implements; [`export!`] makes a type that
//!   implements both the component's face.
//! * [`clock`], [`config`], [`lines`], [`log`] and [`process`] are what the host offers. A
//!   component imports only those it calls.
//! * [`Error`], [`Handle`] and [`driver::Workload`] have the few functions nearly every plugin
//!   needs: an error by its kind, state and `[config]` as typed values.
//!
//! Imports exist only inside a component: elsewhere a call of one panics. Keep what a plugin
//! decides apart from the calls, and plain `cargo test` can test it.

#[doc(hidden)]
pub mod bindings;
mod error;
mod state;
mod workload;

pub use bindings::export;
pub use bindings::exports::fleet::backend::{driver, logs};
pub use bindings::fleet::common::types::{Attributes, Error, ErrorKind, Handle, Op, Page};
pub use bindings::fleet::host::sources::Source;
pub use bindings::fleet::host::{clock, config, lines, log, process};
