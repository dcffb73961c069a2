//! The controller's end of the sessions with its nodes.
//!
//! A node dials; [`handshake`] decides whether it may work and makes its session counter durable.
//! Then two halves run side by side, so that neither waits for the other: [`hear`] takes what the
//! node says, [`say`] states items and answers. Each session is one task; its bulk connection is
//! another, which ends with it.
//!
//! The counter is the fence. Every write on behalf of a session checks, in its transaction, that the
//! node has been given no later one, so what a replaced session still had under way changes nothing.
//!
//! [`counter`] and [`feed`] are pure; [`report`] and [`packets`] write down what was heard.

mod counter;
mod end;
mod feed;
mod handshake;
mod hear;
mod packets;
mod presence;
mod registry;
mod report;
mod run;
mod say;
mod serve;

#[cfg(test)]
mod tests;

pub(crate) use registry::{Live, Reach, Registry};
pub(crate) use serve::serve;
