//! Streams: logs kept per key, on the disk alone.
//!
//! The caller brings the numbers, because they were given elsewhere: by the spool of a node, say. They may
//! have gaps and come in any order; reading is in the order of the numbers.
//!
//! **The first entry of a number stays.** An entry that comes again under the same key and number changes
//! nothing, so a sender that has not heard of its success may send again. It is no error, because only the
//! disk knows which numbers are taken: the commit would fail, and with it all that share it.
//!
//! **What is forgotten leaves no trace.** A number that was trimmed or dropped can be taken again. A caller
//! that trims and may be sent old entries remembers in a row of its own how far it has come.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde::ser::Error as _;

use crate::{LogEntry, State};

/// The highest number an entry may have: that of SQLite. The lowest is 1, as reading begins after 0.
pub(crate) const MAX_SEQ: u64 = i64::MAX.cast_unsigned();

/// An entry of a stream: anything with a JSON form, under a key.
pub trait StreamRow: Serialize + DeserializeOwned + Send + 'static {
    /// What the entries are kept apart by. Stored as its JSON, like the key of a table.
    type Key: Serialize + Sync + ?Sized;
}

/// The state has a stream of `P`.
pub trait HasStream<P: StreamRow>: State {
    /// The stream's name.
    const STREAM: &'static str;
}

/// Which entries under one key: those with `seq > after`, as many of the first as fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamRange {
    /// The number before the first.
    pub after: u64,
    /// How many at most.
    pub limit: usize,
    /// How many bytes of JSON at most; the first entry is given whatever its size.
    pub max_bytes: usize,
}

/// What one commit changes under one key of a stream: first some go, then some come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamChange {
    /// Entries up to and with this number go; `u64::MAX` for all.
    pub through: Option<u64>,
    /// The entries that come, by number. One whose number is taken is left out.
    pub entries: BTreeMap<u64, LogEntry>,
}

impl StreamChange {
    pub(crate) fn append(&mut self, entry: LogEntry) {
        self.entries.entry(entry.seq).or_insert(entry);
    }

    pub(crate) fn trim(&mut self, through: u64) {
        self.through = self.through.max(Some(through));
        self.entries.retain(|seq, _| *seq > through);
    }

    /// Adds the changes of a later transaction.
    pub(crate) fn absorb(&mut self, later: Self) {
        if let Some(through) = later.through {
            self.trim(through);
        }
        for entry in later.entries.into_values() {
            self.append(entry);
        }
    }
}

/// Whether an entry may have this number.
pub(crate) fn check_seq(seq: u64) -> Result<(), serde_json::Error> {
    if (1..=MAX_SEQ).contains(&seq) {
        return Ok(());
    }
    let problem = format!("the number {seq} is not from 1 to {MAX_SEQ}");
    Err(serde_json::Error::custom(problem))
}

/// The entries of one reading, up to so many bytes.
pub(crate) struct Page {
    bytes_left: usize,
    entries: Vec<LogEntry>,
}

impl Page {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            bytes_left: max_bytes,
            entries: Vec::new(),
        }
    }

    /// Takes an entry, or breaks if it does not fit.
    pub(crate) fn add(&mut self, entry: LogEntry) -> ControlFlow<()> {
        match self.bytes_left.checked_sub(entry.value.len()) {
            Some(left) => self.bytes_left = left,
            None if self.entries.is_empty() => self.bytes_left = 0,
            None => return ControlFlow::Break(()),
        }
        self.entries.push(entry);
        ControlFlow::Continue(())
    }

    pub(crate) fn into_entries(self) -> Vec<LogEntry> {
        self.entries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(seq: u64, value: &str) -> LogEntry {
        LogEntry {
            seq,
            at_ms: 0,
            value: value.to_owned(),
        }
    }

    fn kept(change: &StreamChange) -> Vec<&str> {
        let values = change.entries.values();
        values.map(|entry| entry.value.as_str()).collect()
    }

    #[test]
    fn the_first_entry_of_a_number_stays() {
        let mut change = StreamChange::default();
        change.append(entry(2, "first"));
        change.append(entry(2, "second"));
        let mut later = StreamChange::default();
        later.append(entry(2, "third"));
        later.append(entry(1, "other"));
        change.absorb(later);
        assert_eq!(kept(&change), ["other", "first"]);
        assert_eq!(change.through, None);
    }

    #[test]
    fn what_comes_after_a_trim_is_not_trimmed() {
        let mut change = StreamChange::default();
        change.append(entry(2, "old"));
        change.append(entry(3, "stays"));
        let mut later = StreamChange::default();
        later.append(entry(1, "gone at once"));
        later.trim(2);
        later.append(entry(2, "new"));
        change.absorb(later);
        assert_eq!(kept(&change), ["new", "stays"]);
        // A lower trim does not take back a higher one.
        change.trim(1);
        assert_eq!(change.through, Some(2));
        change.trim(u64::MAX);
        assert_eq!(kept(&change), [""; 0]);
    }

    #[test]
    fn numbers_are_those_that_can_be_stored_and_read() {
        for (seq, good) in [
            (0, false),
            (1, true),
            (MAX_SEQ, true),
            (MAX_SEQ + 1, false),
            (u64::MAX, false),
        ] {
            assert_eq!(check_seq(seq).is_ok(), good, "{seq}");
        }
    }

    #[test]
    fn a_page_takes_what_fits_and_at_least_one() {
        for (max_bytes, expected) in [(0, 1), (3, 1), (4, 1), (5, 2), (6, 3), (99, 3)] {
            let mut page = Page::new(max_bytes);
            for (seq, value) in (1..).zip(["1234", "5", "6"]) {
                if page.add(entry(seq, value)).is_break() {
                    break;
                }
            }
            assert_eq!(page.into_entries().len(), expected, "{max_bytes} bytes");
        }
    }
}
