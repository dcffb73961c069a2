//! Typed client of the host's API.
//!
//! What it promises:
//!
//! * **A change happens once.** Every request that changes something carries an `Idempotency-Key`, so
//!   a request whose answer was lost is sent again with the same key, and the caller need not know.
//!   [`Client::insisting`] goes on for longer, and from the first try on.
//! * **Following survives a restart of the host.** [`EventFollow`] goes on after the last event it
//!   gave out, [`LogFollow`] after the last line and [`PacketFollow`] after the last packet, without
//!   loss and without repeat; all back off while nobody answers, and give up after
//!   [`ClientOptions::patience`]. So do an [`Attachment`] to a program beside a workload, and whoever waits
//!   for the end of a swap ([`SwapFollow`]).
//! * **Waiting misses nothing.** [`Client::wait_for`] listens before it looks, so a change between
//!   the two wakes it.
//! * **Errors are typed.** What the API answers is the host's own [`fleet_model::Error`]; what never
//!   became an answer says which server it was about. See [`ClientError`].
//!
//! There is no TLS here: hosts serve plain HTTP on loopback only.

mod attachment;
mod backoff;
mod client;
mod commands;
mod error;
mod events;
mod exec;
mod files;
mod key;
mod lines;
mod log_frames;
mod logs;
mod ndjson;
mod packets;
mod page;
mod plugins;
mod ports;
mod problem;
mod request;
mod secrets;
mod signals;
mod sse;
mod stats;
mod swap;
mod trial;
mod wait;
mod websocket;

#[cfg(test)]
mod tests;

pub use attachment::{Attachment, ExecStream, Happening};
pub use client::{Client, ClientOptions};
pub use commands::{Command, Delivered};
pub use error::ClientError;
pub use events::{EventFollow, EventQuery, Followed};
pub use files::{Checked, Depth, Download, FileError, Links, Piece, Sent, Taken, Upload, Verdict};
pub use key::{IdempotencyKey, KeyError};
pub use logs::{LogEntry, LogFollow, LogQuery, LogStream};
pub use packets::{PacketEntry, PacketFollow, PacketPage};
pub use page::{Page, WorkloadQuery};
pub use plugins::{Newcomer, QuarantinedOn, ShownPlugin};
pub use ports::{Cut, PortConnection};
pub use secrets::{InUse, Secret};
pub use signals::SignalSent;
pub use stats::{AllUsage, MissingNode, StatsFollow, StatsQuery, WorkloadUsage};
pub use swap::{NewVersion, SwapFollow, SwapStep, SwapWish};
pub use trial::{Placement, Reason, Trial};
