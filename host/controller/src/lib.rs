//! The controller: it accepts what people want, writes it down, and states it to the nodes.
//!
//! What it promises:
//!
//! * **Acknowledged means durable.** An answer that says a change was accepted is sent after the
//!   change, its event and its idempotency record are on the disk, all in one transaction.
//! * **One truth.** Everything a node should have is an item in [`ControllerState`]; the API writes
//!   items, sessions state them, nodes report on them. No part keeps a copy of its own.
//! * **Level-triggered.** A session states everything when it begins and what changed after that;
//!   losing a session loses nothing. Absence never deletes: a removal is a tombstone until its node
//!   has acknowledged it.
//! * **Decisions are pure.** What a request does to a workload (`workload`), where it goes
//!   (`placement`), whether a session may begin and what it is told (`session`) are functions
//!   from a snapshot to a plan; small executors beside them do the rest.
//!
//! | room | what happens there |
//! |---|---|
//! | `state` | the rows the controller remembers |
//! | `workload` | admission, changes of intent, how a workload is shown |
//! | `placement` | which node a workload goes to, and why not to another |
//! | `expiry` | when a workload's time is over, and what is done then |
//! | `secret` | values that workloads use and nobody is shown |
//! | `session` | the controller's end of the sessions with its nodes |
//! | `api` | REST, server-sent events, problem answers |

mod api;
mod auth;
mod controller;
mod expiry;
mod idempotency;
mod journal;
mod options;
mod placement;
mod refusal;
mod secret;
mod session;
mod state;
mod turns;
mod workload;

#[cfg(test)]
mod tests;

pub use api::ConnectionPlace;
pub use api::problem::{Problem, Reason};
pub use controller::{Controller, OpenError};
pub use options::{ControllerOptions, Limits};
pub use secret::SealingKey;
pub use state::ControllerState;
