//! The inside of a simulated disk: the commit under way, and what goes wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::content::Content;
use super::{Counters, Fault};
use crate::{Batch, CommitError};

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

/// What becomes of the commit under way.
#[derive(Clone, Copy)]
enum Fate {
    Lost,
    Kept,
    /// The seed decides.
    Chance,
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
        self.crash_with(Fate::Chance);
    }

    fn crash_with(&mut self, fate: Fate) {
        self.boot += 1;
        if self.written.is_some() {
            self.counters.crashes_in_commit += 1;
            self.settle(fate);
        }
    }

    /// The unsynced commit is on the disk, or it is not.
    fn settle(&mut self, fate: Fate) {
        let Some(written) = self.written.take() else {
            return;
        };
        let survives = match fate {
            Fate::Lost => false,
            Fate::Kept => true,
            Fate::Chance => self.next_random() & 1 == 1,
        };
        if survives {
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
                self.settle(Fate::Chance);
                Err(failed(Simulated::SyncFailed))
            }
            Some(Fault::Crash) => Err(self.crash_in_commit(Fate::Chance)),
            Some(Fault::CrashBefore) => {
                self.counters.crashes_before += 1;
                Err(self.crash_in_commit(Fate::Lost))
            }
            Some(Fault::CrashAfter) => {
                self.counters.crashes_after += 1;
                Err(self.crash_in_commit(Fate::Kept))
            }
            Some(Fault::Delay(delay)) => {
                self.counters.delays += 1;
                Ok(delay)
            }
            Some(Fault::DiskFull) | None => Ok(Duration::ZERO),
        }
    }

    fn crash_in_commit(&mut self, fate: Fate) -> CommitError {
        self.crash_with(fate);
        failed(Simulated::Crashed)
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
