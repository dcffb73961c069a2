//! A node: makes a machine be as its controller says, through backends it knows nothing of.
//!
//! * [`reconcile`] is the heart: `reconcile/plan.rs` decides what to do next about one workload,
//!   `reconcile/execute.rs` does it.
//! * `intake` decides what to accept of a controller's word, `session` speaks with it.
//! * `live` tells new code of a backend what is there, `swaps` tells the controller of such code.
//! * `sweep` finds what a crash left behind, `streams` answers logs and takes commands.
//! * `exec` runs programs beside workloads, and lets people attach to them.
//! * `workspace` brings files into workspaces and out of them.
//! * `forward` connects to the ports of workloads, `signal` sends signals, `stats` looks at what is used.
//! * `plugins` answers what is asked about swaps of plugins.
//! * `packets` carries what workloads emit to the controller, `secrets` brings values from it, `disk`
//!   ends a workload whose workspace is too large.
//! * `effects` lets what was begun come to its end when whoever asked for it is gone.
//! * [`state`] is all that survives a restart.
//!
//! A node keeps working when its controller is gone, and its workloads keep running when it is.

mod abreast;
mod board;
mod context;
mod disk;
mod effects;
mod exec;
pub mod files;
mod forward;
mod hub;
mod intake;
mod live;
mod node;
mod outbox;
mod packets;
mod plugins;
mod ports;
mod readiness;
pub mod reconcile;
mod running;
mod secrets;
mod send;
mod session;
mod signal;
mod spec;
pub mod state;
mod stats;
mod streams;
mod swaps;
mod sweep;
mod turns;

#[cfg(test)]
mod tests;
mod workspace;

pub use files::Files;
pub use live::NodeHandles;
pub use node::{Node, NodeOptions, Parts, machine_boot_id};
pub use readiness::Readiness;
pub use secrets::SecretDesk;
pub use state::NodeState;
