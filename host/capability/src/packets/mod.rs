//! Packets of workloads, as far as this machine keeps them.
//!
//! A workload emits packets into a spool of its own, which is durable and bounded. The host reads
//! what is new, hands it on, and trims what is stored elsewhere. The spool outlives tries, hosts and
//! keepers; it goes with the workload.
//!
//! # How a program emits packets
//!
//! The variable `FLEET_PACKET_SOCKET` of its environment is the path of a Unix stream socket, the
//! same for as long as the workload exists. Whoever connects writes lines: each is one JSON document
//! of at most 64 KiB (`MAX_PACKET_BYTES`), in UTF-8, nested at most 64 deep, and ends with a line
//! feed; a last line without one counts when the connection is closed. Each line is answered with
//! one line, in order: `{"seq":N}` when the packet is durable under the number N, or
//! `{"error":"WHY"}` when it was not taken. Answers need not be read: those that no longer fit are
//! dropped, whole lines at a time. Up to 64 connections are served at once; further ones wait.
//!
//! Packets of one connection keep their order. Nothing tells two packets with the same content
//! apart from one sent twice: a program that had no answer may put an id of its own into each.
//!
//! # What is on the disk
//!
//! `WORKLOAD/packets/`, made with the first packet:
//!
//! | file            | written by | says                                                    |
//! |-----------------|------------|---------------------------------------------------------|
//! | `id`            | shim, once | which spool this is: a JSON string                      |
//! | `FIRST.jsonl`   | shim       | packets from the number FIRST on (20 digits), one a line |
//! | `acked.json`    | host       | `{"through":N}`: up to N they are stored elsewhere      |
//!
//! A packet is the line `{"seq":N,"at_ms":T,"packet":JSON}`. The line `{}` says that all before it
//! is durable; readers take nothing that stands behind the last one.

pub(crate) mod bell;
pub(crate) mod check;
pub mod limits;
pub(crate) mod lines;
mod local;
pub(crate) mod reader;
pub(crate) mod record;
pub(crate) mod refusals;
pub(crate) mod segment;
pub(crate) mod socket;
pub(crate) mod spool;
pub(crate) mod writer;

pub use limits::PacketLimits;
pub use local::LocalSpools;

use async_trait::async_trait;
use fleet_model::{Error, StoreId, WorkloadId};

/// One packet in a spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpooledPacket {
    /// Its number: rises by one from 1 within the spool. Where one is missing, it was given up for
    /// want of room.
    pub seq: u64,
    /// When it was taken, in Unix milliseconds.
    pub at_ms: u64,
    /// The packet's JSON, as it was emitted.
    pub json: String,
}

/// Some packets of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Which spool: numbers count within it.
    pub spool: StoreId,
    /// In order; may be empty.
    pub packets: Vec<SpooledPacket>,
}

/// The spools of all workloads of one host.
#[async_trait]
pub trait PacketSpools: Send + Sync + 'static {
    /// Waits until there may be something new, and says for which workloads. The first answer after
    /// a start names every workload that has packets. One at a time may ask.
    async fn changed(&self) -> Vec<WorkloadId>;

    /// The packets after a number, at least one if there is one, at most `max_bytes` of them.
    /// `None` where the workload has no spool.
    ///
    /// # Errors
    /// Where the spool cannot be read.
    async fn read(
        &self,
        workload: WorkloadId,
        after: u64,
        max_bytes: usize,
    ) -> Result<Option<Spooled>, Error>;

    /// Forgets packets up to this number, which are stored elsewhere. Nothing happens where the
    /// spool is another one.
    ///
    /// # Errors
    /// Where the disk refuses.
    async fn trim(&self, workload: WorkloadId, spool: StoreId, through: u64) -> Result<(), Error>;
}
