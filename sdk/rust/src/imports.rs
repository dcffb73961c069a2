//! What the host offers, each under its name.
//!
//! In a component these are the contract's functions. Elsewhere, in a plugin's tests, they are fakes
//! ([`testing`](crate::testing)): so all of a plugin can be called by plain `cargo test`.

/// Time.
pub mod clock {
    pub use crate::bindings::fleet::host::clock::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::clock::{now, since_boot};
}

/// The operator's settings.
pub mod config {
    pub use crate::bindings::fleet::host::config::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::config::get;
}

/// HTTP to services of this machine.
pub mod endpoint {
    pub use crate::bindings::fleet::host::endpoint::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::endpoint::{get, open, send};
}

/// What the host keeps for the plugin.
pub mod handles {
    #[cfg(target_arch = "wasm32")]
    pub use crate::bindings::fleet::host::handles::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::handles::write_schema;
}

/// A source whose contents the plugin brings itself.
pub mod lines {
    pub use crate::bindings::fleet::host::lines::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::lines::open;
}

/// Lines for the plugin's log.
pub mod log {
    pub use crate::bindings::fleet::host::log::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::log::write;
}

/// Programs, started through an operator's launchers.
pub mod process {
    pub use crate::bindings::fleet::host::process::*;
    #[cfg(not(target_arch = "wasm32"))]
    pub use crate::testing::fakes::process::{
        exec, facilities, inspect, inspect_exec, kill, list, open, prepare, remove, remove_exec,
        resize_exec, send, signal, signal_exec, start, usage,
    };
}
