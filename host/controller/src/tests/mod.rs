//! The controller against a scripted node, over the in-memory transport and the simulated store.

mod commands;
mod crashes;
mod expiry;
mod logs;
mod outbox;
mod packets;
mod removal;
pub(crate) mod scripted;
mod secrets;
mod sessions;
pub(crate) mod support;
mod trouble;
