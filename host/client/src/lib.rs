//! Typed client of the host's API.
//!
//! What it promises:
//!
//! * **A change happens once.** Every request that changes something carries an `Idempotency-Key`, so
//!   a request whose answer was lost is sent again with the same key, and the caller need not know.
//! * **Following survives a restart of the host.** [`EventFollow`] goes on after the last event it
//!   gave out and [`LogFollow`] after the last line, without loss and without repeat; both back off
//!   while nobody answers, and give up after [`ClientOptions::patience`].
//! * **Waiting misses nothing.** [`Client::wait_for`] listens before it looks, so a change between
//!   the two wakes it.
//! * **Errors are typed.** What the API answers is the host's own [`fleet_model::Error`]; what never
//!   became an answer says which server it was about. See [`ClientError`].
//!
//! There is no TLS here: hosts serve plain HTTP on loopback only.

mod backoff;
mod client;
mod error;
mod events;
mod lines;
mod logs;
mod page;
mod problem;
mod request;
mod sse;
mod wait;

#[cfg(test)]
mod tests;

pub use client::{Client, ClientOptions};
pub use error::ClientError;
pub use events::{EventFollow, EventQuery, Followed};
pub use logs::{LogEntry, LogFollow, LogQuery, LogStream};
pub use page::{Page, WorkloadQuery};
