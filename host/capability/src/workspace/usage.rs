//! How much of the disk a workload takes.
//!
//! Counted are the blocks the file system gave out, a file of several names once, and no link is
//! followed. One folder is open at a time, however deep the tree is: the walk goes up by `..` and
//! checks that it comes out where it went in. A tree that changes meanwhile is counted as it is
//! met. A folder that its program has closed is opened up where the host may do that; what could not
//! be seen is said.

use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::OwnedFd;

use fleet_model::{Error, WorkloadId};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::Workspaces;
use crate::fault;
use crate::opening::{TO_READ, open_folder};

/// How many files and folders one call looks at: about a second's work.
pub const MOST_ENTRIES: u64 = 500_000;

/// The unit of `st_blocks`, whatever the file system's own is: stat(2).
pub(super) const BLOCK_BYTES: u64 = 512;

/// What a workload takes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its workspace, in bytes.
    pub workspace_bytes: u64,
    /// Its captured output, in bytes.
    pub logs_bytes: u64,
    /// Files on their way into its workspace, in bytes.
    pub uploads_bytes: u64,
    /// Folders that could not be looked into, or not to their end: closed ones, ones that were
    /// moved meanwhile, those beyond [`MOST_ENTRIES`]. Where there are any, the workload takes at
    /// least what is said.
    pub unseen: u64,
    /// How many of these are closed, and this user may not open them.
    pub closed: u64,
}

impl Usage {
    /// What counts against a limit of its disk: its files, also those on their way in.
    #[must_use]
    pub fn limited_bytes(&self) -> u64 {
        self.workspace_bytes.saturating_add(self.uploads_bytes)
    }
}

impl Workspaces {
    /// What a workload takes on the disk; nothing where it has no folder. Looks at
    /// [`MOST_ENTRIES`] files and folders at most. Blocks on the disk: call it where blocking is
    /// allowed, and not more often than every few seconds.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn usage(&self, workload: WorkloadId) -> Result<Usage, Error> {
        let mut walk = Walk::new(MOST_ENTRIES);
        let mut measure = |part| {
            let before = walk.bytes;
            match self.open_part(workload, part) {
                Ok(top) => walk.measure(top)?,
                Err(error) if is_gone(&error) => {}
                Err(error) => return Err(error),
            }
            Ok::<_, io::Error>(walk.bytes - before)
        };
        let folder = self.folder(workload);
        let fault = |error: io::Error| fault::storage("measure", &folder, &error);
        // Logs and uploads are few: counted first, they are always counted whole.
        let logs_bytes = measure("logs").map_err(fault)?;
        let uploads_bytes = measure("uploads").map_err(fault)?;
        let workspace_bytes = measure("workspace").map_err(fault)?;
        Ok(Usage {
            workspace_bytes,
            logs_bytes,
            uploads_bytes,
            unseen: walk.unseen,
            closed: walk.closed,
        })
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

struct Walk {
    bytes: u64,
    unseen: u64,
    closed: u64,
    /// What is given back to a folder's owner where it is missing; nothing to who needs none of it.
    needed: u32,
    /// How many entries may still be looked at.
    left: u64,
    /// Files with several names that were counted.
    linked: BTreeSet<Identity>,
}

/// Device and number.
type Identity = (u64, u64);

/// A folder on the way down, and what is still to be visited in it.
struct Level {
    identity: Identity,
    waiting: Vec<CString>,
}

impl Walk {
    fn new(most: u64) -> Self {
        Self {
            bytes: 0,
            unseen: 0,
            closed: 0,
            needed: if geteuid().is_root() { 0 } else { TO_READ },
            left: most,
            linked: BTreeSet::new(),
        }
    }

    fn measure(&mut self, top: OwnedFd) -> io::Result<()> {
        let stat = fstat(&top)?;
        let device = identity(&stat).0;
        self.count(&stat);
        let mut here = top;
        let mut levels = vec![self.enter(&here, &stat)];
        while let Some(level) = levels.last_mut() {
            if let Some(name) = level.waiting.pop() {
                match self.open(&here, &name) {
                    // What is mounted there is not the workload's.
                    Ok((_, stat)) if identity(&stat).0 != device => {}
                    Ok((inner, stat)) => {
                        levels.push(self.enter(&inner, &stat));
                        here = inner;
                    }
                    Err(Errno::NOENT | Errno::NOTDIR) => {}
                    Err(error) => self.missed(error),
                }
                continue;
            }
            levels.pop();
            let Some(above) = levels.last() else { break };
            let above = above.identity;
            match self.open(&here, c"..") {
                Ok((outer, stat)) if identity(&stat) == above => here = outer,
                // It was moved: the way back is lost, with what was still waiting there.
                _ => {
                    self.unseen += 1;
                    break;
                }
            }
        }
        Ok(())
    }

    /// Counts what is in a folder, and says which folders are in it.
    fn enter(&mut self, folder: &OwnedFd, stat: &Stat) -> Level {
        let mut waiting = Vec::new();
        if let Err(error) = self.list(folder, &mut waiting) {
            self.missed(error);
        }
        Level {
            identity: identity(stat),
            waiting,
        }
    }

    fn list(&mut self, folder: &OwnedFd, waiting: &mut Vec<CString>) -> Result<(), Errno> {
        for entry in Dir::read_from(folder)? {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let Some(left) = self.left.checked_sub(1) else {
                return Err(Errno::TOOBIG);
            };
            self.left = left;
            match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => {
                    self.count(&stat);
                    if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                        waiting.push(name.to_owned());
                    }
                }
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn missed(&mut self, why: Errno) {
        self.unseen += 1;
        if why == Errno::ACCESS {
            self.closed += 1;
        }
    }

    /// Opens a folder, and no link to one.
    fn open(&self, parent: &OwnedFd, name: &CStr) -> Result<(OwnedFd, Stat), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let opened = openat(parent, name, flags, Mode::empty());
        let is_closed = |folder: &OwnedFd| {
            fstat(folder).is_ok_and(|stat| stat.st_mode & self.needed != self.needed)
        };
        let folder = match opened {
            Ok(folder) if !is_closed(&folder) => folder,
            Ok(_) | Err(Errno::ACCESS) => open_folder(parent, name, self.needed)?,
            Err(error) => return Err(error),
        };
        let stat = fstat(&folder)?;
        Ok((folder, stat))
    }

    fn count(&mut self, stat: &Stat) {
        let is_folder = FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
        if is_folder || stat.st_nlink == 1 || self.linked.insert(identity(stat)) {
            let blocks = u64::try_from(stat.st_blocks).unwrap_or(0);
            self.bytes = self
                .bytes
                .saturating_add(blocks.saturating_mul(BLOCK_BYTES));
        }
    }
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}
