//! What a `fleet-host` plugin in Rust is written with.
//!
//! A plugin is a set of functions: the host makes a fresh instance for each call, so nothing kept
//! in a static is there for the next one. What outlives a call is the [`Handle`].
//!
//! * [`driver`] and [`logs`] hold the traits a backend implements. [`exec`], [`input`], [`signals`] and
//!   [`stats`] are those it may implement beside them; [`export!`] makes a type that implements them
//!   the component's face.
//! * [`clock`], [`config`], [`endpoint`], [`handles`], [`lines`], [`log`] and [`process`] are what the
//!   host offers. A component imports only those it calls.
//! * [`Error`], [`Handle`] and [`driver::Workload`] have the few functions nearly every plugin
//!   needs: an error by its kind, state and `[config]` as typed values.
//!
//! A workload's `limits` hold for processes without a plugin's doing; a backend that runs something
//! else passes them on. Where it has a secret, its `env` holds a placeholder: pass that on as it is,
//! and the host puts the value in on its way to where it belongs.
//!
//! * [`processes`] is what a backend says of a program that it has the host run, [`or_gone`] what it says of
//!   what is not there any more; [`Page::of`] makes a page of a list.
//! * [`testing`] has fakes of all imports and a harness for tables: outside of a component the imports are
//!   those fakes, so plain `cargo test` can call all of a plugin.
//!
//! The version is the contract's: 0.1.0 is for `fleet:backend@0.1.0`.

#[doc(hidden)]
pub mod bindings;
mod error;
mod imports;
mod page;
pub mod processes;
mod state;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
mod workload;

pub use bindings::exports::fleet::backend::{driver, logs};
pub use bindings::fleet::common::types::{Attributes, Error, ErrorKind, Handle, Op, Page};
pub use bindings::fleet::host::sources::Source;
pub use bindings::optional::exec::exports::fleet::backend::exec;
pub use bindings::optional::input::exports::fleet::backend::input;
pub use bindings::optional::signals::exports::fleet::backend::signals;
pub use bindings::optional::stats::exports::fleet::backend::stats;
pub use error::or_gone;
pub use imports::{clock, config, endpoint, handles, lines, log, process};

/// The version that `describe` tells: the crate's own, and after it what the variable
/// `FLEET_PLUGIN_STAMP` held at build time, if it was set. Two builds with different stamps are two
/// components that do the same, which is how an upgrade is tried.
#[macro_export]
macro_rules! version {
    () => {
        [
            env!("CARGO_PKG_VERSION"),
            option_env!("FLEET_PLUGIN_STAMP").unwrap_or_default(),
        ]
        .concat()
    };
}

/// Makes a type the face of the component: once per crate.
///
/// ```ignore
/// fleet_sdk::export!(MyBackend);                   // implements driver::Guest and logs::Guest
/// fleet_sdk::export!(MyBackend with input, exec);  // and input::Guest and exec::Guest
/// ```
#[macro_export]
macro_rules! export {
    ($backend:ident) => {
        $crate::bindings::export!($backend with_types_in $crate::bindings);
    };
    ($backend:ident with $($interface:ident),+) => {
        $crate::export!($backend);
        $($crate::export!(@ $backend $interface);)+
    };
    (@ $backend:ident exec) => {
        $crate::bindings::optional::exec::export_exec!($backend with_types_in $crate::bindings::optional::exec);
    };
    (@ $backend:ident input) => {
        $crate::bindings::optional::input::export_input!($backend with_types_in $crate::bindings::optional::input);
    };
    (@ $backend:ident signals) => {
        $crate::bindings::optional::signals::export_signals!($backend with_types_in $crate::bindings::optional::signals);
    };
    (@ $backend:ident stats) => {
        $crate::bindings::optional::stats::export_stats!($backend with_types_in $crate::bindings::optional::stats);
    };
}
