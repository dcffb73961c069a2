//! What a simulated disk holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use imbl::OrdMap;

use crate::{Batch, LogEntry, StreamChange};

/// What one commit leaves on the disk. Cloning is cheap.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) commit: u64,
    pub(super) revision: u64,
    pub(super) heads: BTreeMap<&'static str, u64>,
    pub(super) rows: BTreeMap<&'static str, OrdMap<String, String>>,
    pub(super) logs: BTreeMap<&'static str, OrdMap<u64, LogEntry>>,
    pub(super) streams: BTreeMap<&'static str, OrdMap<String, Entries>>,
}

/// What a stream has under one key. Shared, for entries may be large.
pub(super) type Entries = OrdMap<u64, Arc<LogEntry>>;

impl Content {
    /// What is there after a commit.
    pub(super) fn after(&self, batch: &Batch) -> Self {
        let mut next = self.clone();
        next.commit = batch.commit;
        next.revision = batch.revision.unwrap_or(self.revision);
        for (table, changes) in &batch.rows {
            let rows = next.rows.entry(table).or_default();
            for (key, value) in changes {
                match value {
                    Some(value) => rows.insert(key.clone(), value.clone()),
                    None => rows.remove(key),
                };
            }
        }
        for (log, entries) in &batch.entries {
            let kept = next.logs.entry(log).or_default();
            kept.extend(entries.iter().map(|entry| (entry.seq, entry.clone())));
            next.heads
                .extend(entries.last().map(|newest| (*log, newest.seq)));
        }
        for (log, through) in &batch.trims {
            if let Some(kept) = next.logs.get_mut(log) {
                *kept = kept.split(through).1;
            }
        }
        for (stream, keys) in &batch.streams {
            let kept = next.streams.entry(stream).or_default();
            for (key, change) in keys {
                let entries = change_entries(kept.get(key), change);
                if entries.is_empty() {
                    kept.remove(key);
                } else {
                    kept.insert(key.clone(), entries);
                }
            }
        }
        next
    }
}

/// The entries under one key after a change.
fn change_entries(before: Option<&Entries>, change: &StreamChange) -> Entries {
    let mut entries = before.cloned().unwrap_or_default();
    if let Some(through) = change.through {
        entries = entries.split(&through).1;
    }
    for (seq, entry) in &change.entries {
        entries
            .entry(*seq)
            .or_insert_with(|| Arc::new(entry.clone()));
    }
    entries
}
