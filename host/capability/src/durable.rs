//! Files that are there whole or not at all, also after a power loss.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Puts `value` at `folder/name` in place of what is there. When this returns it is durable.
pub(crate) fn replace(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<()> {
    let temporary = write_temporary(folder, name, value)?;
    let renamed = fs::rename(&temporary, folder.join(name));
    if renamed.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    renamed?;
    sync_folder(folder)
}

/// Puts `value` at `folder/name` unless something is there: of many at once exactly one gets
/// `true`. It is durable when this returns, whoever wrote it.
pub(crate) fn create(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<bool> {
    let temporary = write_temporary(folder, name, value)?;
    // A link fails where the name is taken, so the file appears complete and only once.
    let linked = fs::hard_link(&temporary, folder.join(name));
    let _ = fs::remove_file(&temporary);
    let created = match linked {
        Ok(()) => true,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => false,
        Err(error) => return Err(error),
    };
    sync_folder(folder)?;
    Ok(created)
}

/// Reads what [`replace`] or [`create`] wrote; `None` where nothing is.
pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a folder that only this user may enter; fine if it is there.
pub(crate) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Makes what was created, renamed or removed in a folder durable.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

fn write_temporary(folder: &Path, name: &str, value: &impl Serialize) -> io::Result<PathBuf> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let unique = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = folder.join(format!(".{name}.{}.{unique}", std::process::id()));
    // One that a crash left under this name belongs to a process that is gone.
    let _ = fs::remove_file(&path);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    let mut bytes = serde_json::to_vec_pretty(value)?;
    bytes.push(b'\n');
    let written = file.write_all(&bytes).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(&path);
    }
    written.map(|()| path)
}
