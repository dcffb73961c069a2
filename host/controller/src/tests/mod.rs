//! The controller against a scripted node, over the in-memory transport and the simulated store.

mod logs;
mod outbox;
mod removal;
pub(crate) mod scripted;
mod sessions;
pub(crate) mod support;
mod trouble;
