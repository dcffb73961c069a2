//! The seam between the store and a disk.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::{Batch, CommitError, LogEntry, Schema, StoreError, StreamRange};

/// A disk with a database on it, opened for one state.
///
/// An implementation keeps two promises: a commit is atomic, and when [`commit`](Self::commit) has returned
/// `Ok` it survives the loss of power. One writer task calls `commit`, one call at a time; `read_log` and
/// `read_stream` may be called beside it, do not hold it up, and see only what is committed.
#[async_trait]
pub trait Durable: Send + Sync + 'static {
    /// What it was opened for.
    fn schema(&self) -> &Schema;

    /// Where the data is, for messages.
    fn place(&self) -> String;

    /// Reads all there is, but for the entries of logs and streams.
    async fn load(&self) -> Result<Image, StoreError>;

    /// Writes the whole batch and syncs it, or writes nothing.
    async fn commit(&self, batch: &Batch) -> Result<(), CommitError>;

    /// Entries of one log, ascending.
    async fn read_log(
        &self,
        log: &'static str,
        range: LogRange,
    ) -> Result<Vec<LogEntry>, StoreError>;

    /// Entries under one key of a stream (its JSON), ascending.
    async fn read_stream(
        &self,
        stream: &'static str,
        key: &str,
        range: StreamRange,
    ) -> Result<Vec<LogEntry>, StoreError>;

    /// Tidies up and lets go of the files. Nothing acknowledged depends on it.
    async fn close(&self);
}

/// Which entries of a log: those with `after < seq <= through`, the first `limit` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogRange {
    /// The number before the first.
    pub after: u64,
    /// The last number.
    pub through: u64,
    /// How many at most.
    pub limit: usize,
}

/// What a disk holds.
#[derive(Debug, Clone, Default)]
pub struct Image {
    /// The store's id, given when the database was made.
    pub id: String,
    /// The number of the newest commit.
    pub commit: u64,
    /// The highest revision given out.
    pub revision: u64,
    /// Per log the highest sequence number given out, which trimming does not lower.
    pub heads: BTreeMap<String, u64>,
    /// All rows of all tables.
    pub rows: Vec<StoredRow>,
}

/// One row, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Its table.
    pub table: String,
    /// The JSON of its key.
    pub key: String,
    /// Its JSON.
    pub value: String,
}
