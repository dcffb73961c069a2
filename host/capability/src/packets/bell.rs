//! The bell: how the host hears of new packets without looking at every spool.
//!
//! `ROOT/.bell` holds a file named as the workload for every workload that has something new. The
//! shim puts it there after a batch is durable; the host removes it before it reads, so a batch that
//! comes meanwhile rings again.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use fleet_model::WorkloadId;
use rustix::fd::OwnedFd;
use rustix::fs::inotify;

use crate::durable;

fn folder(root: &Path) -> PathBuf {
    root.join(".bell")
}

/// Rings for a workload, by the name of its folder. Where it cannot ring, the host finds the packets
/// a little later.
pub(crate) fn ring(root: &Path, workload: &str) {
    let path = folder(root).join(workload);
    let put = || OpenOptions::new().write(true).create_new(true).open(&path);
    if put().is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        let _ = hang(root);
        let _ = put();
    }
}

/// Tells whose bell rings. Once that is told, it rings no longer.
pub(crate) fn hear(root: &Path, mut tell: impl FnMut(WorkloadId)) -> io::Result<()> {
    for entry in fs::read_dir(folder(root))? {
        let entry = entry?;
        if let Some(workload) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            tell(workload);
        }
        match fs::remove_file(entry.path()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the folder of the bells.
pub(crate) fn hang(root: &Path) -> io::Result<()> {
    durable::make_folder(&folder(root))
}

/// A descriptor that is readable when a bell rings.
pub(crate) fn watch(root: &Path) -> io::Result<OwnedFd> {
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
    inotify::add_watch(&watch, folder(root), inotify::WatchFlags::CREATE)?;
    Ok(watch)
}

/// Makes the descriptor readable anew: by the next bell, not by those that rang.
pub(crate) fn drain(watch: &OwnedFd) {
    let mut buffer = [0; 4096];
    while rustix::io::read(watch, &mut buffer).is_ok_and(|count| count > 0) {}
}
