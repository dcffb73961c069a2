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

/// A file that grows at its end.
pub(crate) trait Tail {
    /// Writes all of it behind what is there.
    fn add(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes what is there durable.
    fn sync(&mut self) -> io::Result<()>;
    /// Takes away what is behind the first `size` bytes.
    fn cut(&mut self, size: u64) -> io::Result<()>;
}

impl Tail for File {
    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.sync_data()
    }

    fn cut(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }
}

/// Why something was not appended, and what is left of it.
#[derive(Debug)]
pub(crate) struct NotAppended {
    pub(crate) error: io::Error,
    pub(crate) rest: Rest,
}

/// What is left of an append that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rest {
    /// Nothing, durably.
    Nothing,
    /// A part or all of it: the disk refused to take it away too.
    Unknown,
}

/// Puts `bytes` behind the first `size` bytes, which are all there is, and makes them durable;
/// `written` is called in between. Where that fails, what came there is taken away again: whoever is
/// told that it failed must not find it there later.
pub(crate) fn append(
    file: &mut impl Tail,
    size: u64,
    bytes: &[u8],
    written: impl FnOnce(),
) -> Result<(), NotAppended> {
    let appended = file.add(bytes).and_then(|()| {
        written();
        file.sync()
    });
    appended.map_err(|error| {
        let rest = match file.cut(size).and_then(|()| file.sync()) {
            Ok(()) => Rest::Nothing,
            Err(_) => Rest::Unknown,
        };
        NotAppended { error, rest }
    })
}

/// Takes away what is behind the first `size` bytes of a file, durably; fine if it is gone.
pub(crate) fn cut(path: &Path, size: u64) -> io::Result<()> {
    match OpenOptions::new().write(true).open(path) {
        Ok(file) => {
            if file.metadata()?.len() > size {
                file.set_len(size)?;
            }
            file.sync_data()
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A file in memory on a disk that refuses some steps.
    struct Faulty {
        bytes: Vec<u8>,
        /// How much still fits.
        room: usize,
        failing_syncs: u32,
        cuts: Result<(), ()>,
    }

    impl Tail for Faulty {
        fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
            let fitting = bytes.len().min(self.room);
            self.bytes.extend_from_slice(&bytes[..fitting]);
            self.room -= fitting;
            if fitting < bytes.len() {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        }

        fn sync(&mut self) -> io::Result<()> {
            if self.failing_syncs == 0 {
                return Ok(());
            }
            self.failing_syncs -= 1;
            Err(io::Error::other("sync"))
        }

        fn cut(&mut self, size: u64) -> io::Result<()> {
            self.cuts.map_err(|()| io::Error::other("cut"))?;
            self.bytes.truncate(usize::try_from(size).unwrap());
            Ok(())
        }
    }

    #[test]
    fn what_was_not_appended_leaves_nothing_or_says_so() {
        for (room, failing_syncs, cuts, rest, left) in [
            (9, 0, Ok(()), None, "kept\nnew\n"),
            (0, 0, Ok(()), Some(Rest::Nothing), "kept\n"),
            (2, 0, Ok(()), Some(Rest::Nothing), "kept\n"),
            (9, 1, Ok(()), Some(Rest::Nothing), "kept\n"),
            (2, 0, Err(()), Some(Rest::Unknown), "kept\nne"),
            (9, 1, Err(()), Some(Rest::Unknown), "kept\nnew\n"),
            (9, 2, Ok(()), Some(Rest::Unknown), "kept\n"),
        ] {
            let mut file = Faulty {
                bytes: b"kept\n".to_vec(),
                room,
                failing_syncs,
                cuts,
            };
            let mut reached = false;
            let appended = append(&mut file, 5, b"new\n", || reached = true);
            let case = (room, failing_syncs, cuts);
            assert_eq!(appended.err().map(|not| not.rest), rest, "{case:?}");
            assert_eq!(file.bytes, left.as_bytes(), "{case:?}");
            assert_eq!(reached, room >= 4, "{case:?}");
        }
    }

    #[test]
    fn a_file_is_cut_and_one_that_is_gone_needs_no_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "kept, refused").unwrap();
        cut(&path, 4).unwrap();
        cut(&path, 9).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"kept");
        fs::remove_file(&path).unwrap();
        cut(&path, 4).unwrap();
        assert!(!path.exists());
    }
}
