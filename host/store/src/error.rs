//! What can go wrong, told apart by what the caller should do about it.
//!
//! Messages that meet an operator name the file and the remedy; none repeats its source.

use std::path::PathBuf;
use std::sync::Arc;

/// A cause that several callers share: one failed commit answers a whole batch.
pub type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// Opening, loading or reading failed. Nothing on disk was changed by the refusals.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is something else.
    #[error("{} is not a fleet-host database: choose another data folder, or move the file away", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is ours, but for another role.
    #[error("{} is the database of a {found}, not of a {expected}: choose another data folder", path.display())]
    WrongRole {
        /// The file.
        path: PathBuf,
        /// The role written in it.
        found: String,
        /// The role that was asked for.
        expected: &'static str,
    },
    /// A newer build has written the file.
    #[error(
        "{} has schema version {found}, this build knows versions up to {known}: \
         use the newer fleet-host, or restore a backup made before the upgrade", path.display()
    )]
    NewerSchema {
        /// The file.
        path: PathBuf,
        /// The version in the file.
        found: u32,
        /// The highest version this build reads.
        known: u32,
    },
    /// The file is damaged.
    #[error("{} is damaged and was left as it is: restore a backup", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What was found.
        source: Cause,
    },
    /// There is a write-ahead log without its database; opening would delete it.
    #[error(
        "{} is missing or empty, but its write-ahead log {} holds data: \
         put the database file back beside it, or restore a backup", path.display(), log.display()
    )]
    OrphanLog {
        /// The database file that should be there.
        path: PathBuf,
        /// The log that was found.
        log: PathBuf,
    },
    /// The file or its folder cannot be written.
    #[error("{} cannot be opened for writing: see that its folder exists and that this user may write there", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// No space left while opening.
    #[error("there is no space left for {}: free some and start again", path.display())]
    DiskFull {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Cause,
    },
    /// Another process holds the file.
    #[error("{} is held by another process: stop that one first", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
    /// Any other failure of the database.
    #[error("the database {} failed", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What the database said.
        source: Cause,
    },
    /// A migration failed; the file still has the version before it.
    #[error("{} could not be brought to schema version {to} ({name}) and keeps the one before", path.display())]
    Migration {
        /// The file.
        path: PathBuf,
        /// The version it was to get.
        to: u32,
        /// The migration's name.
        name: &'static str,
        /// What failed.
        source: Cause,
    },
    /// A stored row does not fit this build.
    #[error(
        "{place} holds data this build cannot read: use the fleet-host that wrote it, or restore a backup"
    )]
    Unreadable {
        /// The store, as [`Durable::place`](crate::Durable::place) names it.
        place: String,
        /// The row.
        source: Box<StoreError>,
    },
    /// A key has no JSON form.
    #[error("a key of {table} cannot be written as JSON")]
    Key {
        /// The stream.
        table: &'static str,
        /// What the serialiser said.
        source: serde_json::Error,
    },
    /// A row or entry does not parse.
    #[error("row {key} of {table} does not parse")]
    Row {
        /// Table, log or stream.
        table: String,
        /// Its key, its sequence number, or both.
        key: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// A row is stored under a key that is not its own.
    #[error("row {stored} of {table} has the key {own}")]
    Misplaced {
        /// The table.
        table: &'static str,
        /// The key it is stored under.
        stored: String,
        /// The key the row itself gives.
        own: String,
    },
    /// Loading met a table that the state does not declare.
    #[error("the state declares no table {0}")]
    UnknownTable(String),
    /// The state's declaration is at fault: a name, or the list of migrations.
    #[error("state {state}: {problem}")]
    Declaration {
        /// [`State::NAME`](crate::State::NAME).
        state: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

/// How a commit failed. What the writer does next depends on this alone.
#[derive(Debug, Clone, thiserror::Error)]
pub enum CommitError {
    /// No space left. Nothing was written; the same commit may be tried again.
    #[error("the disk is full, nothing was written")]
    Full(#[source] Cause),
    /// Another process holds the database. Nothing was written; the same commit may be tried again.
    #[error("the database is held by another process, nothing was written")]
    Busy(#[source] Cause),
    /// The outcome is unknown, or the disk can no longer be trusted.
    #[error("the commit failed, and what the disk holds is unknown")]
    Failed(#[source] Cause),
}

/// Why [`Store::write`](crate::Store::write) did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum WriteError<E> {
    /// The transaction itself said no. Nothing was written.
    #[error("the change was refused")]
    Refused(#[source] E),
    /// The transaction panicked. Nothing was written, and no other transaction was harmed.
    #[error("the transaction panicked: {0}")]
    Panicked(String),
    /// A row could not be turned into JSON, or its number is out of range. Nothing was written.
    #[error("a row of {table} cannot be stored")]
    Encode {
        /// Table, log or stream.
        table: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The disk is full. Nothing was written; the write may be tried again.
    #[error("the disk is full, nothing was written")]
    Full(#[source] Cause),
    /// Another process holds the database. Nothing was written; the write may be tried again.
    #[error("the database is held by another process, nothing was written")]
    Busy(#[source] Cause),
    /// The store was closed before this write began. Nothing was written.
    #[error("the store is closed")]
    Closed,
    /// The outcome is unknown and the store takes no more writes: the process has to end, and a new one
    /// reads from the disk what is true.
    #[error("the store has failed, and whether this was written is unknown")]
    Failed(#[source] Cause),
}

impl<E> From<CommitError> for WriteError<E> {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Full(cause) => Self::Full(cause),
            CommitError::Busy(cause) => Self::Busy(cause),
            CommitError::Failed(cause) => Self::Failed(cause),
        }
    }
}
