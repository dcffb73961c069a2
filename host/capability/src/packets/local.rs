//! The spools of this machine's workloads.
//!
//! The shims write, the host reads and trims; each writes its own files, so nobody waits for the
//! other. A shim that was killed before it could ring is noticed by looking at all spools now and
//! then.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleet_model::{Error, StoreId, WorkloadId};
use fleet_seam::Clock;
use futures::future::{Either, select};
use rustix::fd::OwnedFd;
use tokio::net::unix::pipe::Receiver;

use super::{PacketSpools, Spooled, bell, reader, segment, spool};
use crate::fault;
use crate::workspace::Workspaces;

/// How often all spools are looked at.
const LOOK: Duration = Duration::from_secs(60);

/// How often bells are looked for where the machine does not say that one rang.
const LISTEN: Duration = Duration::from_secs(1);

/// The spools of the workloads below one folder.
pub struct LocalSpools {
    inner: Arc<Inner>,
}

struct Inner {
    workspaces: Workspaces,
    clock: Arc<dyn Clock>,
    /// Absent where the machine has no more inotify instances to give.
    watch: Option<OwnedFd>,
    /// Held by whoever takes bells down.
    listening: Mutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Whose bell rang, until somebody is told.
    rang: BTreeSet<WorkloadId>,
    /// Where each spool ended when it was last read to its end, or said to have changed.
    ends: BTreeMap<WorkloadId, Place>,
    looked_at_ms: u64,
}

/// The end of a spool: its last segment and that one's size.
type Place = (u64, u64);

impl LocalSpools {
    /// The spools of these workloads. Blocks on the disk.
    ///
    /// # Errors
    /// Where the folder cannot be used.
    pub fn open(workspaces: &Workspaces, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let root = workspaces.root();
        bell::hang(root).map_err(|error| fault::storage("make a folder in", root, &error))?;
        let inner = Inner {
            workspaces: workspaces.clone(),
            watch: bell::watch(root).ok(),
            listening: Mutex::new(()),
            state: Mutex::new(State {
                looked_at_ms: clock.boot_ms(),
                ..State::default()
            }),
            clock,
        };
        inner.look()?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::unavailable(
                "stopping",
                format!("the packets were not looked at: {error}"),
            )),
        }
    }

    /// Waits for a bell, or until it is time to look all the same.
    async fn wait(&self) {
        let inner = &self.inner;
        // A pipe's receiver waits for any descriptor to be readable. Registered for this wait alone:
        // the host may have more than one runtime in its life.
        let watch = inner.watch.as_ref().and_then(|watch| {
            let ready = Receiver::from_owned_fd_unchecked(watch.try_clone().ok()?).ok()?;
            Some((watch, ready))
        });
        let Some((watch, ready)) = watch else {
            inner.clock.sleep(LISTEN).await;
            return;
        };
        let rings = std::pin::pin!(ready.readable());
        if let Either::Left(_) = select(rings, inner.clock.sleep(LOOK)).await {
            bell::drain(watch);
        }
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn folder(&self, workload: WorkloadId) -> PathBuf {
        spool::folder(&self.workspaces.folder(workload))
    }

    /// Takes down whose bell rings, and now and then which spools have grown without one.
    fn listen(&self) -> Result<(), Error> {
        // One at a time: what another has heard and not yet taken down would be missed.
        let _listening = self
            .listening
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let root = self.workspaces.root();
        {
            // Nobody is told in between: a bell that rings again before it is taken down would be
            // taken down with the first, and its packets be read by whoever is told of that.
            let mut state = self.state();
            bell::hear(root, |workload| {
                state.rang.insert(workload);
            })
            .map_err(|error| fault::storage("read the bells in", root, &error))?;
        }
        let now = self.clock.boot_ms();
        let every = u64::try_from(LOOK.as_millis()).unwrap_or(u64::MAX);
        if now.saturating_sub(self.state().looked_at_ms) >= every {
            self.state().looked_at_ms = now;
            self.look()?;
        }
        Ok(())
    }

    /// Looks at all spools.
    fn look(&self) -> Result<(), Error> {
        let workloads = self.workspaces.ids()?;
        self.state()
            .ends
            .retain(|workload, _| workloads.binary_search(workload).is_ok());
        for workload in workloads {
            // One that cannot be read says so to whoever reads it.
            let Ok(Some(place)) = self.place(workload) else {
                continue;
            };
            let mut state = self.state();
            if state.ends.insert(workload, place) != Some(place) {
                drop(state);
                if !matches!(self.read(workload, 0, 0), Ok(Some(found)) if found.packets.is_empty())
                {
                    self.state().rang.insert(workload);
                }
            }
        }
        Ok(())
    }

    fn place(&self, workload: WorkloadId) -> io::Result<Option<Place>> {
        let folder = self.folder(workload);
        let last = match segment::list(&folder) {
            Ok(segments) => segments.last().copied(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let Some(last) = last else { return Ok(None) };
        Ok(Some((last, segment::path(&folder, last).metadata()?.len())))
    }

    fn read(
        &self,
        workload: WorkloadId,
        after: u64,
        max_bytes: usize,
    ) -> io::Result<Option<Spooled>> {
        let folder = self.folder(workload);
        let Some(spool) = spool::id(&folder)? else {
            return Ok(None);
        };
        let place = self.place(workload)?;
        let after = after.max(spool::acked(&folder)?);
        let packets = reader::read(&folder, after, max_bytes)?;
        if packets.is_empty()
            && let Some(place) = place
        {
            self.state().ends.insert(workload, place);
        }
        Ok(Some(Spooled { spool, packets }))
    }

    fn trim(&self, workload: WorkloadId, spool: StoreId, through: u64) -> io::Result<()> {
        let folder = self.folder(workload);
        if spool::id(&folder)? != Some(spool) {
            return Ok(());
        }
        if through > spool::acked(&folder)? {
            spool::ack(&folder, through)?;
        }
        reader::trim(&folder, through)
    }
}

#[async_trait]
impl PacketSpools for LocalSpools {
    async fn changed(&self) -> Vec<WorkloadId> {
        loop {
            // Whoever stops waiting loses nothing: what was taken down stays until it is told.
            let listened = self.blocking(Inner::listen).await;
            let rang = std::mem::take(&mut self.inner.state().rang);
            if !rang.is_empty() {
                return rang.into_iter().collect();
            }
            match listened {
                Ok(()) => self.wait().await,
                Err(_) => self.inner.clock.sleep(LISTEN).await,
            }
        }
    }

    async fn read(
        &self,
        workload: WorkloadId,
        after: u64,
        max_bytes: usize,
    ) -> Result<Option<Spooled>, Error> {
        self.blocking(move |inner| {
            let read = inner.read(workload, after, max_bytes);
            read.map_err(|error| fault::storage("read", &inner.folder(workload), &error))
        })
        .await
    }

    async fn trim(&self, workload: WorkloadId, spool: StoreId, through: u64) -> Result<(), Error> {
        self.blocking(move |inner| {
            let trimmed = inner.trim(workload, spool, through);
            trimmed.map_err(|error| fault::storage("trim", &inner.folder(workload), &error))
        })
        .await
    }
}

#[cfg(test)]
#[path = "local_tests.rs"]
mod tests;
