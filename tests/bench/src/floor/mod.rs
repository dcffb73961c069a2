//! The least that would do the same on this machine.

pub(crate) mod bare;
pub(crate) mod containers;
pub(crate) mod engine;
pub(crate) mod spawn;
pub(crate) mod websocket;
