//! Removing a folder that a program filled as it liked.
//!
//! Every step works from an open folder and never follows a link, so nothing outside can be
//! reached, whatever is swapped meanwhile. What is mounted in it is left alone, and then the folder
//! stays. Folders without permissions are opened up. However deep the tree is, only [`DEPTH`] folders
//! are open at once: what lies deeper is moved to the top first.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::opening::{TO_CHANGE, open_folder};
use crate::workspace::mount_of;

/// How many folders of one tree are open at once.
const DEPTH: usize = 64;

/// How often a folder that something still writes to is emptied before giving up.
const PASSES: usize = 64;

/// Removes `parent/name` and all in it; fine if it is not there.
pub(crate) fn remove_folder(parent: &Path, name: &str) -> io::Result<()> {
    let parent = rustix::fs::open(
        parent,
        OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
        Mode::empty(),
    )?;
    remove_in(parent.as_fd(), &CString::new(name)?)
}

/// Removes the folder of this name in an open one and all in it; fine if it is not there.
pub(crate) fn remove_in(parent: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let top = match open_folder(parent, name, TO_CHANGE) {
        Ok(top) => top,
        Err(Errno::NOENT) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let mut removal = Removal {
        top: top.as_fd(),
        mount: mount_of(top.as_fd())?,
        moved: 0,
    };
    removal.empty(top.as_fd(), 0)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR) {
        Ok(()) | Err(Errno::NOENT) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

struct Removal<'a> {
    top: BorrowedFd<'a>,
    /// Where it is mounted, as far as the kernel tells.
    mount: Option<u64>,
    moved: u64,
}

impl Removal<'_> {
    fn empty(&mut self, folder: BorrowedFd<'_>, depth: usize) -> io::Result<()> {
        for _ in 0..PASSES {
            let entries = entries(folder)?;
            if entries.is_empty() {
                return Ok(());
            }
            for (name, kind) in entries {
                self.remove(folder, &name, kind, depth)?;
            }
        }
        Err(io::Error::other("something still writes into it"))
    }

    fn remove(
        &mut self,
        folder: BorrowedFd<'_>,
        name: &CStr,
        kind: FileType,
        depth: usize,
    ) -> io::Result<()> {
        // Some file systems do not say what an entry is; a folder is what cannot be unlinked.
        let unlinked = match kind {
            FileType::Directory => Err(Errno::ISDIR),
            _ => rustix::fs::unlinkat(folder, name, AtFlags::empty()),
        };
        match unlinked {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::ISDIR) => {}
            Err(error) => return Err(error.into()),
        }
        if depth >= DEPTH {
            // Also moves a folder that may not be entered; the top's next pass takes it.
            let place = format!(".removed-{}", self.moved);
            self.moved += 1;
            open_folder(folder, name, TO_CHANGE)?;
            return Ok(rustix::fs::renameat(folder, name, self.top, place)?);
        }
        let inner = open_folder(folder, name, TO_CHANGE)?;
        if mount_of(inner.as_fd())? != self.mount {
            return Err(Errno::BUSY.into());
        }
        self.empty(inner.as_fd(), depth + 1)?;
        match rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT | Errno::NOTEMPTY) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn entries(folder: BorrowedFd<'_>) -> io::Result<Vec<(CString, FileType)>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push((entry.file_name().to_owned(), entry.file_type()));
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn read_only_and_very_deep_folders_go_and_what_links_point_to_stays() {
        let base = tempfile::tempdir().unwrap();
        let outside = base.path().join("outside");
        fs::create_dir(&outside).unwrap();
        fs::write(outside.join("kept"), "kept").unwrap();
        let tree = base.path().join("tree");
        fs::create_dir_all(tree.join("closed/inner")).unwrap();
        fs::write(tree.join("closed/inner/file"), "x").unwrap();
        symlink(&outside, tree.join("link")).unwrap();
        symlink(&outside, tree.join("closed/link")).unwrap();
        fs::set_permissions(tree.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
        let mut deep = rustix::fs::open(&tree, OFlags::DIRECTORY, Mode::empty()).unwrap();
        for _ in 0..3_000 {
            rustix::fs::mkdirat(&deep, "d", Mode::RWXU).unwrap();
            deep = rustix::fs::openat(&deep, "d", OFlags::DIRECTORY, Mode::empty()).unwrap();
        }
        drop(deep);

        remove_folder(base.path(), "tree").unwrap();
        assert!(!tree.exists());
        assert_eq!(fs::read_to_string(outside.join("kept")).unwrap(), "kept");
        remove_folder(base.path(), "tree").unwrap();
    }

    #[test]
    fn a_link_in_place_of_the_folder_is_refused() {
        let base = tempfile::tempdir().unwrap();
        fs::create_dir(base.path().join("outside")).unwrap();
        symlink(base.path().join("outside"), base.path().join("tree")).unwrap();
        assert!(remove_folder(base.path(), "tree").is_err());
        assert!(base.path().join("outside").exists());
    }
}
