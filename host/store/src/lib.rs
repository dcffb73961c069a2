//! The host's durable memory: one design for the controller and for the node.
//!
//! What it promises:
//!
//! * **Acknowledged means durable.** [`Store::write`] returns after its commit has reached the disk,
//!   and no reader sees a change before that.
//! * **One writer.** Transactions run one at a time, in the order they were submitted, each on the newest
//!   state. Those that wait together are committed together (group commit): one sync serves many callers.
//! * **Readers never wait.** The state tables live in memory as persistent maps. A [`Snapshot`] is one
//!   consistent state at one revision, costs one pointer, and stays as it is for as long as it is held.
//! * **A transaction decides purely.** It sees the state, returns a value or a refusal, and a refusal (or a
//!   panic) leaves no trace.
//!
//! What it remembers:
//!
//! * *State tables* hold one row per key and are loaded whole at start.
//! * *Logs* (events, audit) are append-only, numbered without gaps, and read by range from the disk.
//! * *Streams* (packets) are logs kept per key, with numbers that the caller brings. No part of them is held
//!   in memory: they are read from the disk in pages of bounded size.
//!
//! One transaction may change all three.
//!
//! The disk is behind [`Durable`]: [`sqlite::Sqlite`] in production, [`sim::SimDisk`] in simulations. There
//! is no clock and no randomness here: times and ids come from the caller, the simulated disk from a seed.
//!
//! ```
//! use fleet_store::{Options, Row, Store, StreamRow, sim::SimDisk, state};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Node { name: String, cores: u32 }
//! impl Row for Node {
//!     type Key = String;
//!     fn key(&self) -> String { self.name.clone() }
//! }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Joined { node: String }
//!
//! #[derive(Serialize, Deserialize)]
//! struct Packet { text: String }
//! impl StreamRow for Packet {
//!     /// The node it comes from.
//!     type Key = str;
//! }
//!
//! state! {
//!     /// What this role remembers.
//!     pub struct Fleet("fleet") {
//!         /// The nodes by name.
//!         pub nodes: Node,
//!     }
//!     logs { joins: Joined }
//!     streams { packets: Packet }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let disk = SimDisk::new::<Fleet>("st_1", 7)?;
//! let store = Store::<Fleet>::open(disk.mount(), Options::default()).await?;
//! let revision = store
//!     .write::<_, std::convert::Infallible>(|tx| {
//!         tx.put(Node { name: "a".into(), cores: 4 });
//!         tx.append(1_700_000_000_000, Joined { node: "a".into() });
//!         tx.stream_append("a", 7, 1_700_000_000_000, Packet { text: "up".into() });
//!         Ok(tx.revision())
//!     })
//!     .await?;
//! assert_eq!(store.snapshot().state.nodes.get("a").map(|node| node.cores), Some(4));
//! assert_eq!(store.snapshot().revision, revision);
//! let page = store.read_stream::<Packet>("a", 0, 100, 1 << 20).await?;
//! assert_eq!(page.first().map(|(seq, ..)| *seq), Some(7));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod batch;
mod durable;
mod error;
mod job;
mod macros;
mod schema;
pub mod sim;
mod snapshot;
pub mod sqlite;
mod state;
mod store;
mod stream;
mod table;
mod tx;
mod writer;

pub use batch::{Batch, LogEntry};
pub use durable::{Durable, Image, LogRange, StoredRow};
pub use error::{Cause, CommitError, StoreError, WriteError};
pub use schema::{BoxError, Migration, Rewrite, Schema, Step};
pub use snapshot::Snapshot;
pub use state::{HasLog, HasTable, LogRow, Row, State, load_row};
pub use store::{Options, Store};
pub use stream::{HasStream, StreamChange, StreamRange, StreamRow};
pub use table::Table;
pub use tx::Tx;
