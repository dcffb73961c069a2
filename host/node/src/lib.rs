//! A node: makes a machine be as its controller says, through backends it knows nothing of.
//!
//! * [`reconcile`] is the heart: `reconcile/plan.rs` decides what to do next about one workload,
//!   `reconcile/execute.rs` does it.
//! * `intake` decides what to accept of a controller's word, `session` speaks with it.
//! * `sweep` finds what a crash left behind, `streams` answers logs and takes commands.
//! * `packets` carries what workloads emit to the controller, `secrets` brings values from it, `disk`
//!   ends a workload whose workspace is too large.
//! * [`state`] is all that survives a restart.
//!
//! A node keeps working when its controller is gone, and its workloads keep running when it is.

mod board;
mod context;
mod disk;
pub mod files;
mod hub;
mod intake;
mod node;
mod outbox;
mod packets;
mod ports;
mod readiness;
pub mod reconcile;
mod secrets;
mod send;
mod session;
mod spec;
pub mod state;
mod streams;
mod sweep;

#[cfg(test)]
mod tests;

pub use files::Files;
pub use node::{Node, NodeOptions, Parts, machine_boot_id};
pub use readiness::Readiness;
pub use secrets::SecretDesk;
pub use state::NodeState;
