//! A disk for simulations: in memory, atomic, and faulty on demand.
//!
//! A commit is first *written*, then *synced*. What is written and not synced when the machine crashes, or
//! when the commit fails with an I/O error, is there afterwards or it is not, whole in either case: the seed
//! decides, unless the fault says it. What was acknowledged is synced, and stays.
//!
//! The disk outlives the host: [`SimDisk::mount`] opens it for a new one, and a host that had it before gets
//! errors only. Faults are ordered ahead, by number of commit, and counted when they happen, so that a test
//! can tell that they did.

mod content;
mod machine;

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::stream::Page;
use crate::{
    Batch, Cause, CommitError, Durable, Image, LogEntry, LogRange, Schema, State, StoreError,
    StoredRow, StreamRange,
};
use content::Content;
use machine::Machine;

/// What goes wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// There is no space. Nothing is written.
    DiskFull,
    /// The sync fails. The seed decides what is on the disk.
    IoError,
    /// The machine crashes between write and sync. The seed decides what is on the disk.
    Crash,
    /// The machine crashes before the sync: the commit under way is never on the disk.
    CrashBefore,
    /// The machine crashes after the sync: the commit is on the disk, and nobody was told.
    CrashAfter,
    /// The sync takes this long, by Tokio's clock.
    Delay(Duration),
}

/// What has happened on a disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Commits that were acknowledged.
    pub commits: u64,
    /// Commits refused for lack of space.
    pub disk_full: u64,
    /// Commits that failed with an I/O error.
    pub io_errors: u64,
    /// Commits that were slow.
    pub delays: u64,
    /// Crashes with a commit under way, of any kind.
    pub crashes_in_commit: u64,
    /// Of these, those by [`Fault::CrashBefore`].
    pub crashes_before: u64,
    /// Of these, those by [`Fault::CrashAfter`].
    pub crashes_after: u64,
    /// Commits under way in a crash or an I/O error that are on the disk all the same.
    pub survived: u64,
}

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    shared: Arc<Shared>,
}

struct Shared {
    schema: Schema,
    id: String,
    machine: Mutex<Machine>,
    gate: watch::Sender<Gate>,
}

/// What commits wait for before they are synced.
#[derive(Clone, Copy)]
struct Gate {
    held: bool,
    boot: u64,
}

impl SimDisk {
    /// An empty disk for one state. The same seed gives the same outcomes.
    ///
    /// # Errors
    /// The state's declaration is at fault.
    pub fn new<S: State>(store_id: &str, seed: u64) -> Result<Self, StoreError> {
        let shared = Shared {
            schema: Schema::of::<S>()?,
            id: store_id.to_owned(),
            machine: Mutex::new(Machine::new(seed)),
            gate: watch::Sender::new(Gate {
                held: false,
                boot: 0,
            }),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Opens the disk for a host that has just started. The one before is cut off, as by a crash.
    pub fn mount(&self) -> Arc<SimStore> {
        self.crash();
        Arc::new(SimStore {
            shared: Arc::clone(&self.shared),
            boot: self.shared.machine().boot,
        })
    }

    /// The machine loses power: what is not synced may be gone, and the host that ran has lost the disk.
    pub fn crash(&self) {
        let mut machine = self.shared.machine();
        machine.crash();
        let boot = machine.boot;
        self.shared.gate.send_modify(|gate| gate.boot = boot);
    }

    /// Lets the `nth` commit from now meet a fault; 1 is the next.
    pub fn inject(&self, nth: u64, fault: Fault) {
        self.shared.machine().inject(nth, fault);
    }

    /// Holds commits between write and sync, until [`release`](Self::release).
    pub fn hold(&self) {
        self.shared.gate.send_modify(|gate| gate.held = true);
    }

    /// Lets held commits go on.
    pub fn release(&self) {
        self.shared.gate.send_modify(|gate| gate.held = false);
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.machine().counters
    }
}

impl Shared {
    /// A panic elsewhere cannot leave the machine half changed, so its lock is as good as ever.
    fn machine(&self) -> MutexGuard<'_, Machine> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A [`SimDisk`], opened by a host.
pub struct SimStore {
    shared: Arc<Shared>,
    boot: u64,
}

impl SimStore {
    /// What is committed, as long as this host has the disk.
    fn content(&self) -> Result<Content, StoreError> {
        let machine = self.shared.machine();
        match machine.check_boot(self.boot) {
            Ok(()) => Ok(machine.synced.clone()),
            Err(error) => Err(StoreError::Database {
                path: self.place().into(),
                source: Arc::new(error) as Cause,
            }),
        }
    }
}

#[async_trait]
impl Durable for SimStore {
    fn schema(&self) -> &Schema {
        &self.shared.schema
    }

    fn place(&self) -> String {
        "the simulated disk".to_owned()
    }

    async fn load(&self) -> Result<Image, StoreError> {
        let content = self.content()?;
        let rows = content.rows.iter().flat_map(|(table, rows)| {
            rows.iter().map(|(key, value)| StoredRow {
                table: (*table).to_owned(),
                key: key.clone(),
                value: value.clone(),
            })
        });
        let heads = content.heads.iter();
        Ok(Image {
            id: self.shared.id.clone(),
            commit: content.commit,
            revision: content.revision,
            heads: heads
                .map(|(log, head)| ((*log).to_owned(), *head))
                .collect(),
            rows: rows.collect(),
        })
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        let delay = self.shared.machine().write(self.boot, batch)?;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        let open = |gate: &Gate| !gate.held || gate.boot != self.boot;
        let _ = self.shared.gate.subscribe().wait_for(open).await;
        self.shared.machine().sync(self.boot)
    }

    async fn read_log(
        &self,
        log: &'static str,
        range: LogRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let content = self.content()?;
        let Some(entries) = content.logs.get(log) else {
            return Ok(Vec::new());
        };
        let wanted = entries
            .range(range.after.saturating_add(1)..)
            .take_while(|(seq, _)| **seq <= range.through)
            .take(range.limit);
        Ok(wanted.map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_stream(
        &self,
        stream: &'static str,
        key: &str,
        range: StreamRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let content = self.content()?;
        let mut page = Page::new(range.max_bytes);
        if let Some(entries) = content.streams.get(stream).and_then(|keys| keys.get(key)) {
            let after = (Bound::Excluded(range.after), Bound::Unbounded);
            for (_, entry) in entries.range::<_, u64>(after).take(range.limit) {
                if page.add(LogEntry::clone(entry)).is_break() {
                    break;
                }
            }
        }
        Ok(page.into_entries())
    }

    async fn close(&self) {}
}
