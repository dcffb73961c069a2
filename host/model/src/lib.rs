//! The words of fleet-host as plain data: ids, items, ops, workloads, plugins, events, errors.
//!
//! Nothing here does I/O, reads a clock or draws a random number, so every decision that is made
//! of these types can be tested by table and replayed by a simulation. What crosses a process
//! (API, session, database, plugin call) has one definition, and it is here.

pub mod driver;
pub mod error;
pub mod event;
pub mod exec;
pub mod expand;
pub mod file;
pub mod id;
pub mod item;
pub mod name;
pub mod op;
pub mod packet;
pub mod path;
pub mod plugin;
pub mod quantity;
pub mod signal;
pub mod spec;
pub mod stats;
pub mod swap;
pub mod workload;

pub use error::{Error, ErrorKind};
pub use id::{NodeId, StoreId, WorkloadId};
pub use item::{Attempt, Generation, Incarnation, Item, ItemKey, Kind, Revision};
pub use name::{Label, Name};
pub use op::{Op, Verb};
