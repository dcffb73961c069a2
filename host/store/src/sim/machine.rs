//! The inside of a simulated disk: what it holds, and what has gone wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use imbl::OrdMap;

use super::{Counters, Fault};
use crate::{Batch, CommitError, LogEntry};

pub(super) struct Machine {
    pub(super) synced: Content,
    /// The commit that is written and not synced yet.
    written: Option<Content>,
    /// Raised by every crash and mount; a host of an earlier one has lost the disk.
    pub(super) boot: u64,
    faults: BTreeMap<u64, Fault>,
    attempts: u64,
    pub(super) counters: Counters,
    random: u64,
}

/// What one commit leaves on the disk. Cloning is cheap.
#[derive(Clone, Default)]
pub(super) struct Content {
    pub(super) commit: u64,
    pub(super) revision: u64,
    pub(super) heads: BTreeMap<&'static str, u64>,
    pub(super) rows: BTreeMap<&'static str, OrdMap<String, String>>,
    pub(super) logs: BTreeMap<&'static str, OrdMap<u64, LogEntry>>,
}

#[derive(Debug, thiserror::Error)]
enum Simulated {
    #[error("simulated: no space left")]
    NoSpace,
    #[error("simulated: the sync failed")]
    SyncFailed,
    #[error("simulated: the machine has crashed")]
    Crashed,
    #[error("simulated: another host has written to the disk")]
    Foreign,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            synced: Content::default(),
            written: None,
            boot: 0,
            faults: BTreeMap::new(),
            attempts: 0,
            counters: Counters::default(),
            random: seed,
        }
    }

    /// Lets the `nth` commit from now meet a fault.
    pub(super) fn inject(&mut self, nth: u64, fault: Fault) {
        self.faults.insert(self.attempts + nth, fault);
    }

    pub(super) fn crash(&mut self) {
        self.boot += 1;
        if self.written.is_some() {
            self.counters.crashes_in_commit += 1;
            self.settle_by_chance();
        }
    }

    /// The unsynced commit is on the disk, or it is not.
    fn settle_by_chance(&mut self) {
        if let Some(written) = self.written.take()
            && self.next_random() & 1 == 1
        {
            self.synced = written;
            self.counters.survived += 1;
        }
    }

    /// SplitMix64, <https://prng.di.unimi.it/splitmix64.c>.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The first half of a commit, with the faults that come before the sync. Returns how long the sync takes.
    pub(super) fn write(&mut self, boot: u64, batch: &Batch) -> Result<Duration, CommitError> {
        self.check_boot(boot)?;
        if batch.commit != self.synced.commit + 1 {
            return Err(failed(Simulated::Foreign));
        }
        self.attempts += 1;
        let fault = self.faults.remove(&self.attempts);
        if fault == Some(Fault::DiskFull) {
            self.counters.disk_full += 1;
            return Err(CommitError::Full(Arc::new(Simulated::NoSpace)));
        }
        self.written = Some(self.synced.after(batch));
        match fault {
            Some(Fault::IoError) => {
                self.counters.io_errors += 1;
                self.settle_by_chance();
                Err(failed(Simulated::SyncFailed))
            }
            Some(Fault::Crash) => {
                self.crash();
                Err(failed(Simulated::Crashed))
            }
            Some(Fault::Delay(delay)) => {
                self.counters.delays += 1;
                Ok(delay)
            }
            Some(Fault::DiskFull) | None => Ok(Duration::ZERO),
        }
    }

    pub(super) fn sync(&mut self, boot: u64) -> Result<(), CommitError> {
        self.check_boot(boot)?;
        if let Some(written) = self.written.take() {
            self.synced = written;
        }
        self.counters.commits += 1;
        Ok(())
    }

    pub(super) fn check_boot(&self, boot: u64) -> Result<(), CommitError> {
        if boot == self.boot {
            Ok(())
        } else {
            Err(failed(Simulated::Crashed))
        }
    }
}

fn failed(fault: Simulated) -> CommitError {
    CommitError::Failed(Arc::new(fault))
}

impl Content {
    fn after(&self, batch: &Batch) -> Self {
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
        next
    }
}
