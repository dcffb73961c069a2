//! The session between a node and its controller.
//!
//! The node dials. A session is one **control** link (small JSON frames: handshake, heartbeats,
//! items, statuses, events) and one **bulk** connection bound to it, on which the controller opens
//! a stream for each thing that may be large (logs now), so that bytes never delay a heartbeat.
//! Where the bytes run is a [`transport`]: in one process they run through memory, with the same
//! messages in the same order.
//!
//! * [`message`] says what is said, [`version`] who understands whom.
//! * [`link`] frames control messages, [`bulk`] multiplexes streams. On streams run [`log`] lines, what
//!   is said to a program one is attached to ([`exec`]), [files](crate::file), components for [plugins](plugin), and
//!   the bytes of [`port`]s.

pub mod bulk;
pub mod exec;
pub mod file;
pub mod link;
pub mod log;
pub mod message;
mod pingless;
mod places;
pub mod plugin;
pub mod port;
pub mod transport;
pub mod version;

pub use message::{ControllerMessage, NodeMessage};
