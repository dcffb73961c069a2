//! What one commit changes.

use std::collections::BTreeMap;

use crate::StreamChange;

/// One entry of a log or a stream, as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Its number. In a log: 1 for the first, then without gaps. In a stream: the caller's.
    pub seq: u64,
    /// When it was made, in Unix milliseconds, by the caller's clock.
    pub at_ms: u64,
    /// Its JSON.
    pub value: String,
}

/// The changes of one commit, in the order they are to be applied: rows, entries, trims, then streams.
///
/// Several changes of one row leave only the last.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// The number of this commit. The one before must be the newest on disk: otherwise somebody else has
    /// written there.
    pub commit: u64,
    /// The new revision, if one was given out.
    pub revision: Option<u64>,
    /// Per table and key: the new JSON, or nothing for a row that goes.
    pub rows: BTreeMap<&'static str, BTreeMap<String, Option<String>>>,
    /// Per log: the new entries, ascending.
    pub entries: BTreeMap<&'static str, Vec<LogEntry>>,
    /// Per log: entries up to and with this number go.
    pub trims: BTreeMap<&'static str, u64>,
    /// Per stream and key (its JSON): what goes and what comes.
    pub streams: BTreeMap<&'static str, BTreeMap<String, StreamChange>>,
}

impl Batch {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.revision.is_none()
            && self.rows.is_empty()
            && self.entries.is_empty()
            && self.trims.is_empty()
            && self.streams.is_empty()
    }

    pub(crate) fn set(&mut self, table: &'static str, key: String, value: Option<String>) {
        self.rows.entry(table).or_default().insert(key, value);
    }

    pub(crate) fn append(&mut self, log: &'static str, entry: LogEntry) {
        self.entries.entry(log).or_default().push(entry);
    }

    pub(crate) fn trim(&mut self, log: &'static str, through: u64) {
        let trimmed = self.trims.entry(log).or_default();
        *trimmed = through.max(*trimmed);
    }

    pub(crate) fn stream(&mut self, stream: &'static str, key: String) -> &mut StreamChange {
        let keys = self.streams.entry(stream).or_default();
        keys.entry(key).or_default()
    }

    /// Adds the changes of a later transaction.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.revision = later.revision.or(self.revision);
        for (table, rows) in later.rows {
            self.rows.entry(table).or_default().extend(rows);
        }
        for (log, entries) in later.entries {
            self.entries.entry(log).or_default().extend(entries);
        }
        for (log, through) in later.trims {
            self.trim(log, through);
        }
        for (stream, keys) in later.streams {
            for (key, change) in keys {
                self.stream(stream, key).absorb(change);
            }
        }
    }
}
