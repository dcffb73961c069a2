//! The controller against a scripted node, over the in-memory transport and the simulated store.

mod commands;
mod crashes;
mod execs;
mod expiry;
mod files;
mod logs;
mod outbox;
mod packets;
mod plugins;
mod ports;
mod preview;
mod removal;
pub(crate) mod scripted;
mod secrets;
mod served;
mod sessions;
mod signals;
mod stats;
pub(crate) mod support;
mod trouble;
