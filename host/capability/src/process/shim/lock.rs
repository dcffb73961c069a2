//! The lock of a keeper: one shim at a time holds a workload's sockets and writes its spools, or those
//! of a program beside it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use rustix::event::{Timespec, poll};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::keeper::monotonic_ms;
use crate::fault;

/// How long to wait for the keeper of an earlier try, which only clears up.
const PATIENCE_MS: u64 = 10_000;

/// How often to look.
const LOOK: Duration = Duration::from_millis(3);

/// Held until it is dropped, or the shim ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes it; `None` as soon as it is not wanted any more.
    pub(super) fn take(path: &Path, is_wanted: impl Fn() -> bool) -> Result<Option<Self>, Error> {
        let failed = |error: &io::Error| fault::storage("lock", path, error);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| failed(&error))?;
        let deadline = monotonic_ms() + PATIENCE_MS;
        while is_wanted() {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Self { _file: file })),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Err(failed(&error.into())),
            }
            if monotonic_ms() >= deadline {
                return Err(Error::new(
                    ErrorKind::Unavailable,
                    "try-under-way",
                    "an earlier keeper of this has not ended; end it, or ask again",
                ));
            }
            let _ = poll(&mut [], Timespec::try_from(LOOK).ok().as_ref());
        }
        Ok(None)
    }
}
