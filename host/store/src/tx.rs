//! One transaction: what a decision may see and change.

use std::sync::Arc;

use serde::Serialize;

use crate::state::key_text;
use crate::stream::check_seq;
use crate::{
    Batch, HasLog, HasStream, HasTable, LogEntry, LogRow, Row, Snapshot, State, StreamRow,
};

/// A transaction in the writer. It sees the newest state with its own changes in it.
///
/// The state may hold changes that are not durable yet, made by transactions before it in the same commit;
/// its own answer waits for that commit, and fails with it.
pub struct Tx<'a, S: State> {
    working: &'a mut Snapshot<S>,
    changes: Batch,
    failure: Option<EncodeFailure>,
}

/// A row or entry that cannot be stored. It fails the transaction when that has decided.
pub(crate) struct EncodeFailure {
    pub(crate) table: &'static str,
    pub(crate) source: serde_json::Error,
}

impl<'a, S: State> Tx<'a, S> {
    pub(crate) fn new(working: &'a mut Snapshot<S>) -> Self {
        Self {
            working,
            changes: Batch::default(),
            failure: None,
        }
    }

    /// The tables.
    pub fn state(&self) -> &S {
        &self.working.state
    }

    /// The tables with the revision and the heads of the logs. `commit` is that of the last durable commit.
    pub fn snapshot(&self) -> &Snapshot<S> {
        self.working
    }

    /// One row.
    pub fn get<R: Row>(&self, key: &R::Key) -> Option<Arc<R>>
    where
        S: HasTable<R>,
    {
        self.working.state.table().get(key).cloned()
    }

    /// Writes a row, over the one with the same key if there is one.
    pub fn put<R: Row>(&mut self, row: R)
    where
        S: HasTable<R>,
    {
        let key = row.key();
        let text = self.encoded(S::TABLE, key_text(&key));
        let value = self.encoded(S::TABLE, json(&row));
        if let (Some(text), Some(value)) = (text, value) {
            self.changes.set(S::TABLE, text, Some(value));
            self.working.state.table_mut().insert(key, row);
        }
    }

    /// Removes a row and returns it. No row, no change.
    pub fn delete<R: Row>(&mut self, key: &R::Key) -> Option<Arc<R>>
    where
        S: HasTable<R>,
    {
        let row = self.working.state.table_mut().remove(key)?;
        if let Some(text) = self.encoded(S::TABLE, key_text(key)) {
            self.changes.set(S::TABLE, text, None);
        }
        Some(row)
    }

    /// Appends to a log and returns the entry's number. `at_ms` is the time in Unix milliseconds.
    pub fn append<L: LogRow>(&mut self, at_ms: u64, row: L) -> u64
    where
        S: HasLog<L>,
    {
        let seq = self.working.head(S::LOG) + 1;
        self.working.heads.insert(S::LOG, seq);
        if let Some(value) = self.encoded(S::LOG, json(&row)) {
            self.changes.append(S::LOG, LogEntry { seq, at_ms, value });
        }
        seq
    }

    /// Drops the entries of a log up to and with `through`. Numbers go on from the head as before.
    pub fn trim<L: LogRow>(&mut self, through: u64)
    where
        S: HasLog<L>,
    {
        let through = through.min(self.working.head(S::LOG));
        if through > 0 {
            self.changes.trim(S::LOG, through);
        }
    }

    /// Puts an entry under a key of a stream, with the caller's number, from 1 to `i64::MAX`; any other fails
    /// the transaction. `at_ms` is the time in Unix milliseconds. If the number is taken, the entry that has it
    /// stays and this one is left out.
    pub fn stream_append<P: StreamRow>(&mut self, key: &P::Key, seq: u64, at_ms: u64, entry: P)
    where
        S: HasStream<P>,
    {
        let key = self.encoded(S::STREAM, key_text(key));
        let value = check_seq(seq).and_then(|()| json(&entry));
        let value = self.encoded(S::STREAM, value);
        if let (Some(key), Some(value)) = (key, value) {
            let entry = LogEntry { seq, at_ms, value };
            self.changes.stream(S::STREAM, key).append(entry);
        }
    }

    /// Forgets the entries under a key of a stream up to and with `through`. This is a commit even if there
    /// are none: only the disk knows.
    pub fn stream_trim<P: StreamRow>(&mut self, key: &P::Key, through: u64)
    where
        S: HasStream<P>,
    {
        if let Some(key) = self.encoded(S::STREAM, key_text(key)) {
            self.changes.stream(S::STREAM, key).trim(through);
        }
    }

    /// Forgets all entries under a key of a stream.
    pub fn stream_drop<P: StreamRow>(&mut self, key: &P::Key)
    where
        S: HasStream<P>,
    {
        self.stream_trim(key, u64::MAX);
    }

    /// The revision of this transaction: the store-wide counter, raised by the first call in a transaction,
    /// the same for the later ones. It is durable with the transaction; one that is not committed gives its
    /// revision back unseen.
    pub fn revision(&mut self) -> u64 {
        *self.changes.revision.get_or_insert_with(|| {
            self.working.revision += 1;
            self.working.revision
        })
    }

    pub(crate) fn take_failure(&mut self) -> Option<EncodeFailure> {
        self.failure.take()
    }

    pub(crate) fn into_changes(self) -> Batch {
        self.changes
    }

    fn encoded(
        &mut self,
        table: &'static str,
        encoded: Result<String, serde_json::Error>,
    ) -> Option<String> {
        encoded
            .map_err(|source| self.failure = Some(EncodeFailure { table, source }))
            .ok()
    }
}

fn json(row: &impl Serialize) -> Result<String, serde_json::Error> {
    serde_json::to_string(row)
}
