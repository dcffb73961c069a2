//! The WebAssembly component host: from a folder of files to backends that answer calls.
//!
//! A plugin is a function, not a process. Each call gets a fresh instance of a component that was
//! compiled and linked beforehand, under limits of memory, processor time and wall clock; what it
//! may touch is what its manifest requests *and* its operator grants. So a bad plugin harms one
//! call, calls run in parallel, and putting new code in place is storing a pointer.
//!
//! | to see | look into |
//! |---|---|
//! | what the node asks of a backend | [`driver`] |
//! | a file's way into use, and every reason for a refusal | `folder`, `load`, `world` |
//! | how a component becomes code | `compile` |
//! | what a plugin asks, is granted, may do | [`manifest`], [`grants`], `permission` |
//! | what a backend tells the conformance kit | [`conformance`] |
//! | one call and its limits | `call`, `state`, `limits`, `turn`, `lane`, `failure` |
//! | a plugin that fails again and again | `budget`, `patience` |
//! | other code in the place of what serves | [`swap`], `gate`, `trial`, `generation` |
//! | what of a guest's text is seen | `output`, `convert` |
//! | what a guest can call | `imports` |
//! | the contract's types against the host's | `bindings`, `convert` |

mod again;
mod backend;
mod bindings;
mod budget;
mod call;
mod compile;
pub mod conformance;
mod convert;
pub mod digest;
mod document;
pub mod driver;
mod engine;
mod failure;
mod folder;
mod gate;
mod generation;
pub mod grants;
mod host;
mod imports;
mod lane;
mod last_words;
mod limits;
mod load;
pub mod manifest;
mod names;
mod output;
mod patience;
mod permission;
mod refused;
mod registry;
mod remedy;
mod schema;
mod sent;
mod settings;
mod shipped;
mod state;
mod surface;
pub mod swap;
mod template;
mod terms;
mod trial;
mod turn;
mod world;

pub use backend::Backend;
pub use compile::{CompileCommand, compile_main};
pub use conformance::Conformance;
pub use digest::Digest;
pub use driver::{Driver, Drivers};
pub use grants::{Ceiling, EndpointGrant, Grants};
pub use host::{PluginHost, PluginHostOptions, VerifyOptions};
pub use manifest::Manifest;
pub use names::Names;
pub use remedy::merged;
pub use shipped::{Usual, default_grants, manifests};
pub use surface::check_surface;
pub use swap::{
    Adoption, KillAt, Live, LiveHandles, NoHandles, NoPoints, SwapLimits, SwapOptions, SwapPoint,
    SwapPoints, SwapRun, SwapSettings, SwapWay, Swaps, Upload,
};
