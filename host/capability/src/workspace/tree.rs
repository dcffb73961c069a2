//! A workload's workspace, open: the one way to what is in it.
//!
//! Every path is resolved from the open folder by `cap-std`, which never leaves it: the kernel itself
//! refuses `..` above it, absolute links and links that lead outside, however quickly a program swaps
//! them meanwhile (`openat2`, `RESOLVE_BENEATH`). What is done to a name is then done in the open
//! folder that holds it and never follows a link. What is mounted in a workspace is not the workload's,
//! and counts as outside.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use fleet_model::path::check_path;
use fleet_model::{Error, WorkloadId};
use rustix::fs::{AtFlags, Mode, OFlags, Statx, StatxFlags, mkdirat, openat, statx};
use rustix::io::Errno;
use rustix::path::Arg;

use super::Workspaces;
use super::refusal::{no_workspace, outside, refused};
use crate::fault;

/// A workload's workspace, open. It stays the same one, also if the workload is removed meanwhile.
#[derive(Debug)]
pub struct Tree {
    root: Dir,
    /// Where it is mounted, as far as the kernel tells.
    mount: Option<u64>,
    /// The workload's own folder, in which the workspace is.
    folder: OwnedFd,
}

/// A name in an open folder of the workspace.
pub(super) struct Place<'a> {
    pub(super) parent: Dir,
    pub(super) name: &'a str,
}

impl Place<'_> {
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.parent.as_fd()
    }

    /// What is there; a link is not followed.
    pub(super) fn stat(&self) -> io::Result<Statx> {
        look(self.folder(), self.name, AtFlags::SYMLINK_NOFOLLOW)
    }
}

impl Workspaces {
    /// Opens a workload's workspace. Blocks on the disk.
    ///
    /// # Errors
    /// `not-found` (`no-workspace`) where it has none; where the disk refuses.
    pub fn tree(&self, workload: WorkloadId) -> Result<Tree, Error> {
        let open = || {
            let folder = self.open_folder(workload)?;
            let root = openat(&folder, "workspace", FOLDER, Mode::empty())?;
            let mount = mount_of(root.as_fd())?;
            Ok::<_, io::Error>(Tree {
                root: Dir::from(root),
                mount,
                folder,
            })
        };
        open().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => no_workspace(),
            _ => fault::storage("open", &self.path(workload), &error),
        })
    }
}

/// How a folder is opened that is to be read, and no link in its place.
pub(super) const FOLDER: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Tree {
    /// The workload's own folder.
    pub(super) fn folder(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }

    /// The folder that holds this path, which must be there, and the name in it.
    pub(super) fn place<'a>(&self, path: &'a str) -> Result<Place<'a>, Error> {
        check(path)?;
        let (parent, name) = split(path);
        let parent = self.open_parent(parent).map_err(|e| refused(path, &e))?;
        self.own(parent.as_fd(), path)?;
        Ok(Place { parent, name })
    }

    /// The same; folders that are missing are made, and are durable.
    pub(super) fn place_making<'a>(&self, path: &'a str) -> Result<Place<'a>, Error> {
        check(path)?;
        let (parent, name) = split(path);
        let parent = match parent {
            Some(parent) => self.make(parent)?,
            None => self.open_parent(None).map_err(|e| refused(path, &e))?,
        };
        Ok(Place { parent, name })
    }

    /// Makes a folder with those above it, durably; fine where they are there. Nothing is made in what is
    /// mounted in the workspace: each folder is looked at before one is made in it.
    pub(super) fn make(&self, path: &str) -> Result<Dir, Error> {
        let (mut folder, missing) = self.deepest(path)?;
        for name in missing {
            let made = make_in(folder.as_fd(), name).map_err(|error| refused(path, &error))?;
            self.own(made.as_fd(), path)?;
            folder = Dir::from(made);
        }
        Ok(folder)
    }

    /// The deepest folder on the way to this one that is there, and the names that are missing below it.
    pub(super) fn deepest<'a>(&self, path: &'a str) -> Result<(Dir, Vec<&'a str>), Error> {
        let (mut above, mut missing) = (Some(path), Vec::new());
        loop {
            match (self.open_parent(above), above) {
                (Ok(folder), _) => {
                    self.own(folder.as_fd(), path)?;
                    missing.reverse();
                    return Ok((folder, missing));
                }
                (Err(error), Some(there)) if error.kind() == io::ErrorKind::NotFound => {
                    let (up, name) = split(there);
                    missing.push(name);
                    above = up;
                }
                (Err(error), _) => return Err(refused(path, &error)),
            }
        }
    }

    /// What is at this path, without opening it: a handle that only names it. A link that stays inside
    /// is followed. The empty path is the workspace itself.
    pub(super) fn find(&self, path: &str) -> Result<OwnedFd, Error> {
        let inside = if path.is_empty() {
            "."
        } else {
            check(path)?;
            path
        };
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(NAMED);
        let found = self.root.open_with(inside, &options);
        let found = OwnedFd::from(found.map_err(|e| refused(path, &e))?.into_std());
        self.own(found.as_fd(), path)?;
        Ok(found)
    }

    fn open_parent(&self, parent: Option<&str>) -> io::Result<Dir> {
        match parent {
            Some(parent) => self.root.open_dir(parent),
            None => self.root.try_clone(),
        }
    }

    /// Refuses what is mounted in the workspace.
    fn own(&self, found: BorrowedFd<'_>, path: &str) -> Result<(), Error> {
        if mount_of(found).map_err(|error| refused(path, &error))? == self.mount {
            Ok(())
        } else {
            Err(outside(path))
        }
    }
}

/// Makes a folder of this name, durably, and opens it; fine where it is there. A link in its place is in
/// the way, wherever it leads.
fn make_in(folder: BorrowedFd<'_>, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(folder, name, Mode::from_raw_mode(0o777)) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    sync(folder)?;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(folder, name, flags, Mode::empty()) {
        Err(Errno::LOOP) => Err(Errno::NOTDIR.into()),
        opened => Ok(opened?),
    }
}

/// A handle that names something without opening it (`O_PATH`, open(2)).
const NAMED: i32 = OFlags::PATH.bits().cast_signed();

/// Opens what a handle names; only what cannot be swapped for something else by now.
pub(super) fn open_named(named: &OwnedFd, flags: OFlags) -> io::Result<File> {
    use std::os::fd::AsRawFd as _;
    // The kernel's own link to what is named: a name could be swapped for another file.
    let link = format!("/proc/self/fd/{}", named.as_raw_fd());
    let opened = rustix::fs::open(link, flags | OFlags::CLOEXEC, Mode::empty())?;
    Ok(File::from(opened))
}

/// What something is.
pub(super) fn look(folder: BorrowedFd<'_>, name: impl Arg, flags: AtFlags) -> io::Result<Statx> {
    let wanted = StatxFlags::BASIC_STATS | StatxFlags::MNT_ID;
    Ok(statx(folder, name, flags, wanted)?)
}

/// Which mount something open is on: told by Linux 5.8 and later.
pub(crate) fn mount_of(open: BorrowedFd<'_>) -> io::Result<Option<u64>> {
    let stat = look(open, "", AtFlags::EMPTY_PATH)?;
    let told = StatxFlags::from_bits_retain(stat.stx_mask).contains(StatxFlags::MNT_ID);
    Ok(told.then_some(stat.stx_mnt_id))
}

/// Makes what was created, renamed or removed in a folder durable.
pub(super) fn sync(folder: BorrowedFd<'_>) -> io::Result<()> {
    // A folder opened to walk through cannot be synced.
    let readable = match openat(folder, ".", FOLDER, Mode::empty()) {
        // One that may be written and not read has nothing to be synced through.
        Err(Errno::ACCESS) => return Ok(()),
        opened => opened?,
    };
    Ok(rustix::fs::fsync(readable)?)
}

/// Whether this is a path of something below a workspace.
///
/// # Errors
/// `invalid`: `outside-workspace`, `bad-path`.
fn check(path: &str) -> Result<(), Error> {
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(outside(path));
    }
    check_path(path)
}

/// The path of the folder it is in, unless that is the workspace itself, and its name there.
fn split(path: &str) -> (Option<&str>, &str) {
    match path.rsplit_once('/') {
        Some((parent, name)) => (Some(parent), name),
        None => (None, path),
    }
}
