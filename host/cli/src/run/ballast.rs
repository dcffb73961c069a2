//! Room kept back in the data folder for the moment when its disk is full.
//!
//! A full disk takes no commit, so not even a removal could be accepted, which would free some of it.
//! So a file of some size is given up when a commit does not fit, the commit is tried again, and the
//! file is put back when there is room for it and as much again. While it is not there the host is not
//! ready, and says why.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fleet_seam::Clock;
use fleet_store::{
    Batch, CommitError, Durable, Image, LogEntry, LogRange, Schema, StoreError, StreamRange,
};
use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::Errno;

/// Its name in the data folder.
const FILE: &str = "ballast";

/// Its size: some hundred commits.
const BYTES: u64 = 4 << 20;

/// With less than this a disk is full, whether or not a commit has failed.
const LEAST_BYTES: u64 = 1 << 20;

/// How often to look whether there is room for it again.
const LOOK: Duration = Duration::from_secs(5);

/// The unit of `st_blocks`, whatever the file system's own is: stat(2).
const BLOCK_BYTES: u64 = 512;

/// The file, there or given up.
#[derive(Debug)]
pub(super) struct Ballast {
    path: PathBuf,
    is_there: AtomicBool,
}

impl Ballast {
    /// The ballast of a data folder, put there if there is room. Where there is next to none, it is
    /// given up at once: the databases could not be opened.
    pub(super) fn open(folder: &Path) -> Self {
        let ballast = Self {
            path: folder.join(FILE),
            is_there: AtomicBool::new(false),
        };
        if free_bytes(folder).is_some_and(|free| free < LEAST_BYTES) {
            ballast.remove();
        } else {
            ballast.put();
        }
        ballast
    }

    /// Why the host is not ready, if the disk is full.
    pub(super) fn reason(&self) -> Option<String> {
        let folder = self.path.parent().unwrap_or(&self.path);
        let is_full = || free_bytes(folder).is_some_and(|free| free < LEAST_BYTES);
        (!self.is_there.load(Ordering::Acquire) || is_full()).then(|| {
            format!(
                "the disk of the data folder {} is full: free {} MiB there; `fleet-host workload rm` may do",
                folder.display(),
                (2 * BYTES) >> 20
            )
        })
    }

    /// Puts it back when there is room. Never returns.
    pub(super) async fn keep(&self, clock: &dyn Clock) {
        loop {
            clock.sleep(LOOK).await;
            self.put();
        }
    }

    /// Gives it up. Whether that made room.
    fn give_up(&self) -> bool {
        let was_there = self.is_there.swap(false, Ordering::AcqRel);
        if was_there {
            tracing::error!(
                "the disk of the data folder is full: the room that was kept back is given up"
            );
            self.remove();
        }
        was_there
    }

    fn put(&self) {
        if self.is_there.load(Ordering::Acquire) {
            return;
        }
        match make(&self.path) {
            Ok(()) => self.is_there.store(true, Ordering::Release),
            Err(error) => {
                tracing::debug!(%error, "no room is kept back on the data folder's disk");
                self.remove();
            }
        }
    }

    fn remove(&self) {
        if let Err(error) = std::fs::remove_file(&self.path)
            && error.kind() != ErrorKind::NotFound
        {
            tracing::error!(%error, "the room that was kept back cannot be given up");
        }
    }
}

/// Makes the file, with blocks of its own, if it leaves as much again free.
fn make(path: &Path) -> io::Result<()> {
    let whole = |file: &File| Ok::<_, io::Error>(file.metadata()?.blocks() * BLOCK_BYTES >= BYTES);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    if whole(&file)? {
        return Ok(());
    }
    if free_bytes(path).is_some_and(|free| free < 2 * BYTES) {
        return Err(io::Error::from(ErrorKind::StorageFull));
    }
    match fallocate(&file, FallocateFlags::empty(), 0, BYTES) {
        Ok(()) => Ok(()),
        // A file system that reserves nothing: it keeps what is written.
        Err(Errno::OPNOTSUPP) => {
            let zeros = vec![0; usize::try_from(BYTES).unwrap_or_default()];
            file.write_all(&zeros)?;
            file.sync_data()
        }
        Err(error) => Err(error.into()),
    }
}

/// How much this user may still write on a path's file system; nothing where it does not say.
fn free_bytes(path: &Path) -> Option<u64> {
    let found = statvfs(path).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}

/// A disk that tries a commit again when the ballast has made room for it.
pub(super) struct Ballasted<D> {
    pub(super) disk: D,
    pub(super) ballast: Arc<Ballast>,
}

#[async_trait]
impl<D: Durable> Durable for Ballasted<D> {
    fn schema(&self) -> &Schema {
        self.disk.schema()
    }

    fn place(&self) -> String {
        self.disk.place()
    }

    async fn load(&self) -> Result<Image, StoreError> {
        self.disk.load().await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        match self.disk.commit(batch).await {
            Err(CommitError::Full(_)) if self.ballast.give_up() => self.disk.commit(batch).await,
            outcome => outcome,
        }
    }

    async fn read_log(
        &self,
        log: &'static str,
        range: LogRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.disk.read_log(log, range).await
    }

    async fn read_stream(
        &self,
        stream: &'static str,
        key: &str,
        range: StreamRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.disk.read_stream(stream, key, range).await
    }

    async fn close(&self) {
        self.disk.close().await;
    }
}

#[cfg(test)]
mod tests {
    use fleet_controller::ControllerState;
    use fleet_store::sim::SimDisk;

    use super::*;

    fn blocks(ballast: &Ballast) -> Option<u64> {
        let found = ballast.path.metadata().ok()?;
        Some(found.blocks() * BLOCK_BYTES)
    }

    #[test]
    fn it_takes_room_is_taken_over_and_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Ballast::open(folder.path());
        assert!(blocks(&ballast) >= Some(BYTES));
        assert_eq!(ballast.reason(), None);
        let inode = || ballast.path.metadata().unwrap().ino();
        let first = inode();
        assert_eq!(Ballast::open(folder.path()).reason(), None);
        assert_eq!(inode(), first);

        assert!(ballast.give_up());
        assert_eq!(blocks(&ballast), None);
        assert!(ballast.reason().unwrap().contains("is full"));
        assert!(!ballast.give_up(), "it makes room once");
        ballast.put();
        assert!(blocks(&ballast) >= Some(BYTES));
        assert_eq!(ballast.reason(), None);
    }

    /// A disk that is full until the ballast is gone.
    struct Full {
        disk: Arc<dyn Durable>,
        ballast: Arc<Ballast>,
    }

    #[async_trait]
    impl Durable for Full {
        fn schema(&self) -> &Schema {
            self.disk.schema()
        }

        fn place(&self) -> String {
            self.disk.place()
        }

        async fn load(&self) -> Result<Image, StoreError> {
            self.disk.load().await
        }

        async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
            if blocks(&self.ballast).is_some() {
                let full = io::Error::from(ErrorKind::StorageFull);
                return Err(CommitError::Full(Arc::new(full)));
            }
            self.disk.commit(batch).await
        }

        async fn read_log(
            &self,
            _: &'static str,
            _: LogRange,
        ) -> Result<Vec<LogEntry>, StoreError> {
            Ok(Vec::new())
        }

        async fn read_stream(
            &self,
            _: &'static str,
            _: &str,
            _: StreamRange,
        ) -> Result<Vec<LogEntry>, StoreError> {
            Ok(Vec::new())
        }

        async fn close(&self) {
            self.disk.close().await;
        }
    }

    #[tokio::test]
    async fn a_commit_that_does_not_fit_has_its_room() {
        let folder = tempfile::tempdir().unwrap();
        let ballast = Arc::new(Ballast::open(folder.path()));
        let disk = SimDisk::new::<ControllerState>("st_00000000000000000000000001", 7).unwrap();
        let full = Full {
            disk: disk.mount(),
            ballast: ballast.clone(),
        };
        let batch = Batch {
            commit: 1,
            ..Batch::default()
        };
        assert!(matches!(
            full.commit(&batch).await,
            Err(CommitError::Full(_))
        ));
        let ballasted = Ballasted {
            disk: full,
            ballast: ballast.clone(),
        };
        ballasted.commit(&batch).await.unwrap();
        assert!(ballast.reason().is_some());
        // With nothing to give up, a full disk is a full disk.
        std::fs::write(&ballast.path, "in the way").unwrap();
        assert!(matches!(
            ballasted.commit(&batch).await,
            Err(CommitError::Full(_))
        ));
    }
}
