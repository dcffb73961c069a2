//! Why something in a workspace cannot be read or changed. The one place where what the system says
//! becomes an error with a code.

use std::io;
use std::path::Path;

use fleet_model::{Error, ErrorKind};
use rustix::io::Errno;

use crate::fault;

/// The longest path in a message, in characters.
const SHOWN: usize = 80;

/// What the system said about a path.
pub(super) fn refused(path: &str, error: &io::Error) -> Error {
    let Some(number) = error.raw_os_error() else {
        // `cap-std` refuses what leads outside with an error of its own.
        return match error.kind() {
            io::ErrorKind::PermissionDenied => outside(path),
            _ => fault::storage("reach", Path::new(&shown(path)), error),
        };
    };
    let shown = shown(path);
    let error = match Errno::from_raw_os_error(number) {
        Errno::XDEV => return outside(path),
        Errno::NOENT => Error::not_found(
            "no-such-file",
            format!("there is no `{shown}` in the workspace"),
        ),
        Errno::NOTDIR | Errno::EXIST => Error::conflict(
            "not-a-folder",
            format!(
                "`{shown}` leads through something that is no folder: move that out of the way, or choose another path"
            ),
        ),
        Errno::ISDIR => return folder(path),
        Errno::LOOP => Error::invalid(
            "link-loop",
            format!("`{shown}` leads through links that do not end: name the file itself"),
        ),
        Errno::NAMETOOLONG => Error::invalid(
            "bad-path",
            format!("`{shown}` is longer than the file system takes: choose a shorter one"),
        ),
        Errno::NOTEMPTY => Error::conflict(
            "folder-not-empty",
            format!(
                "the folder `{shown}` is not empty: empty it first, or remove all of it (`--recursive`, over the API `recursive=true`)"
            ),
        ),
        _ => return fault::storage("reach", Path::new(&shown), error),
    };
    error.with("path", path)
}

/// The workload has no folder here.
pub(super) fn no_workspace() -> Error {
    Error::not_found(
        "no-workspace",
        "it has no folder on its node: it was never made there, or its backend keeps none",
    )
}

/// It is not in the workspace, or leads out of it.
pub(super) fn outside(path: &str) -> Error {
    Error::invalid(
        "outside-workspace",
        format!(
            "`{}` is not in the workspace, or leads out of it: a path begins in the workspace, as in `conf/app.toml`, \
             without `..`, and no link or mount on it leads elsewhere",
            shown(path)
        ),
    )
    .with("path", path)
}

/// It is a folder, and should not be.
pub(super) fn folder(path: &str) -> Error {
    Error::conflict(
        "is-a-folder",
        format!(
            "`{}` is a folder: name a file in it, or remove the folder first",
            shown(path)
        ),
    )
    .with("path", path)
}

/// It is no file, so it is not opened.
pub(super) fn not_a_file(path: &str) -> Error {
    Error::conflict(
        "not-a-file",
        format!(
            "`{}` is a fifo, a socket or a device, which are never opened: name a file",
            shown(path)
        ),
    )
    .with("path", path)
}

/// It is no folder, and should be one.
pub(super) fn not_a_folder(path: &str) -> Error {
    Error::conflict("not-a-folder", format!("`{}` is no folder", shown(path))).with("path", path)
}

/// Something is there already.
pub(super) fn taken(path: &str) -> Error {
    Error::conflict(
        "file-in-the-way",
        format!(
            "there is something at `{}` already: remove it, choose another path, or have a file replaced (`--replace`, over the API `replace=true`)",
            shown(path)
        ),
    )
    .with("path", path)
}

/// The file ends before the place that was asked for.
pub(super) fn beyond(path: &str, offset: u64, size: u64) -> Error {
    Error::invalid(
        "beyond-end",
        format!(
            "`{}` has {size} bytes, and byte {offset} was asked for: it may have become shorter",
            shown(path)
        ),
    )
    .with("size", size)
}

/// The disk would be full.
pub(super) fn no_room(needed: u64, free: u64) -> Error {
    Error::new(
        ErrorKind::Exhausted,
        "disk-full",
        format!(
            "{} MiB more are needed and the node's disk has {} MiB to give: free some space there, or send less",
            needed.div_ceil(1 << 20),
            free >> 20
        ),
    )
    .with("free_bytes", free)
}

/// A path for people: short, and without what moves a cursor.
pub(super) fn shown(path: &str) -> String {
    let short: String = path.chars().take(SHOWN).collect();
    short.escape_debug().to_string()
}
