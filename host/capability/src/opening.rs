//! Opening a folder that a program may have closed: `chmod 000` keeps nobody out who owns it.

use std::fs::{self, Permissions};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{Mode, OFlags, fstat, openat};
use rustix::io::Errno;
use rustix::path::Arg;

/// Permissions to list a folder and to pass through it.
pub(crate) const TO_READ: u32 = 0o500;

/// Permissions to change what is in it, too.
pub(crate) const TO_CHANGE: u32 = 0o700;

/// Opens a folder, not a link to one. Where its owner lacks one of the permissions that are needed, it
/// gets them, if this user may give them.
pub(crate) fn open_folder(
    parent: impl AsFd,
    name: impl Arg,
    needed: u32,
) -> Result<OwnedFd, Errno> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let path = openat(parent, name, flags | OFlags::PATH, Mode::empty())?;
    let mode = fstat(&path)?.st_mode & 0o7777;
    if mode & needed != needed {
        // The kernel's own link to the open folder: a name could be swapped for a link.
        let link = format!("/proc/self/fd/{}", path.as_raw_fd());
        let _ = fs::set_permissions(link, Permissions::from_mode(mode | needed));
    }
    openat(&path, c".", flags | OFlags::RDONLY, Mode::empty())
}
