//! Files that the host puts into a workspace.
//!
//! A program may have planted anything there: links, devices, folders in the way. The parent folder
//! is reached by `cap-std`, which never leaves the workspace; in it the file is made under a name of
//! its own and renamed into place, so that nothing that was there is opened for writing, and whoever
//! looks sees the old file or the new one, whole.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cap_std::fs::Dir;
use fleet_model::path::check_path;
use fleet_model::{Error, WorkloadId};
use rustix::fs::{AtFlags, Mode, OFlags, openat, renameat, unlinkat};
use rustix::io::Errno;

use super::Workspaces;
use super::tree::FOLDER;
use crate::fault;
use crate::opening::{TO_CHANGE, open_folder};
use crate::secret::SecretValue;

/// The name a file has until it is whole. What a crash left under it is removed.
const NEW: &str = ".fleet-host.new";

/// The permission bits that can be asked for.
const MODE: u32 = 0o777;

/// A file to put into a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceFile {
    /// Where, in the workspace: as [`check_path`] takes it.
    pub path: String,
    /// What is in it; often a secret, so it is handled as one.
    pub bytes: SecretValue,
    /// Its permission bits.
    pub mode: u32,
}

impl Workspaces {
    /// Puts these files into a workload's workspace, which is made if it is not there, and makes
    /// them durable. One that is there with the same content is not written again, so that its time
    /// stays. Folders on the way are made. Blocks on the disk.
    ///
    /// # Errors
    /// `invalid` (`bad-path`), before anything is written; `conflict` (`file-in-the-way`) where
    /// something is in its place that is no file, or on the way to it that is no folder of the
    /// workspace; and where the disk refuses.
    pub fn write_files(&self, workload: WorkloadId, files: &[WorkspaceFile]) -> Result<(), Error> {
        for file in files {
            check_path(&file.path)?;
        }
        let folder = self.path(workload);
        if !folder.exists() {
            self.create(workload)?;
        }
        let workspace = self
            .open_part(workload, "workspace")
            .map_err(|error| fault::storage("open", &folder, &error))?;
        let workspace = Dir::from(workspace);
        for file in files {
            write(&workspace, file).map_err(|error| refused(&folder, &file.path, &error))?;
        }
        Ok(())
    }

    /// Opens a part of a workload's folder, also one its program has closed, and no link in its place.
    pub(super) fn open_part(&self, workload: WorkloadId, part: &str) -> io::Result<OwnedFd> {
        let folder = self.open_folder(workload)?;
        Ok(open_folder(&folder, part, TO_CHANGE)?)
    }

    /// Opens a workload's folder, also one its program has closed, and no link in its place.
    pub(super) fn open_folder(&self, workload: WorkloadId) -> io::Result<OwnedFd> {
        let root = rustix::fs::open(&self.root, FOLDER, Mode::empty())?;
        Ok(open_folder(&root, workload.to_string(), TO_CHANGE)?)
    }
}

fn write(workspace: &Dir, file: &WorkspaceFile) -> io::Result<()> {
    let (parent, name) = match file.path.rsplit_once('/') {
        Some((parent, name)) => {
            workspace.create_dir_all(parent)?;
            (workspace.open_dir(parent)?, name)
        }
        None => (workspace.try_clone()?, file.path.as_str()),
    };
    let parent = parent.as_fd();
    let mode = file.mode & MODE;
    if let Some(there) = same(parent, name, file.bytes.expose())? {
        if there.metadata()?.mode() & MODE != mode {
            there.set_permissions(Permissions::from_mode(mode))?;
        }
        return Ok(());
    }
    match unlinkat(parent, NEW, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut new = File::from(openat(parent, NEW, flags, Mode::RUSR | Mode::WUSR)?);
    let written = new
        .write_all(file.bytes.expose())
        .and_then(|()| new.set_permissions(Permissions::from_mode(mode)))
        .and_then(|()| new.sync_all())
        .and_then(|()| Ok(renameat(parent, NEW, parent, name)?));
    if written.is_err() {
        let _ = unlinkat(parent, NEW, AtFlags::empty());
    }
    written?;
    // A folder opened to walk through cannot be synced.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::fsync(openat(
        parent,
        ".",
        flags,
        Mode::empty(),
    )?)?)
}

/// The file of this name, if it is a plain one with this content and no other name.
fn same(parent: BorrowedFd<'_>, name: &str, bytes: &[u8]) -> io::Result<Option<File>> {
    // Opening a FIFO must not wait, nor opening a link follow it.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let Ok(there) = openat(parent, name, flags, Mode::empty()) else {
        return Ok(None);
    };
    let there = File::from(there);
    let metadata = there.metadata()?;
    let is_plain = metadata.is_file() && metadata.nlink() == 1;
    if !is_plain || metadata.len() != bytes.len() as u64 {
        return Ok(None);
    }
    let mut rest = bytes;
    let mut buffer = [0; 16 * 1024];
    loop {
        let count = (&there).read(&mut buffer)?;
        let read = buffer.get(..count).unwrap_or_default();
        match rest.strip_prefix(read) {
            Some(after) if count > 0 => rest = after,
            Some(_) => return Ok(rest.is_empty().then_some(there)),
            None => return Ok(None),
        }
    }
}

fn refused(workspace: &Path, path: &str, error: &io::Error) -> Error {
    let number = error.raw_os_error().map(Errno::from_raw_os_error);
    let in_the_way = [
        Errno::NOTDIR,
        Errno::ISDIR,
        Errno::LOOP,
        Errno::EXIST,
        Errno::XDEV,
    ];
    // `cap-std` refuses what leads outside with an error of its own.
    if number.is_some_and(|number| !in_the_way.contains(&number)) {
        return fault::storage("write", &workspace.join(path), error);
    }
    Error::conflict(
        "file-in-the-way",
        format!(
            "`{path}` cannot be put into the workspace {}: a folder is in its place, or on the way to it a file or a link that leads outside; remove that, or choose another path",
            workspace.display()
        ),
    )
    .with("path", path)
}
