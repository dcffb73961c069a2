//! The folder of compiled components.
//!
//! An entry is the code followed by a SHA-256 over its key and the code. It is written under
//! another name and renamed, so two hosts may share the folder and a crash leaves no half entry;
//! one that does not match its own seal counts as absent. The folder belongs to this user and is
//! closed to everybody else, because what is in it runs as this process.

use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet_seam::Clock;
use tempfile::NamedTempFile;

use super::code::Trusted;
use crate::digest::Digest;

/// What the folder may hold; the entries used last are kept.
const MAX_BYTES: u64 = 2 << 30;
/// After which time a file that was never renamed belongs to nobody.
const SCRATCH_AGE: Duration = Duration::from_hours(1);
const SEAL: usize = 32;

/// The folder.
#[derive(Clone)]
pub(crate) struct Cache {
    folder: PathBuf,
    clock: Arc<dyn Clock>,
}

/// An entry whose seal was right.
pub(crate) struct Entry(Vec<u8>);

impl Entry {
    /// The code in it.
    pub(crate) fn trusted(&self) -> Trusted<'_> {
        Trusted::sealed(self)
    }

    /// The code's bytes.
    pub(super) fn code(&self) -> &[u8] {
        self.0
            .get(..self.0.len().saturating_sub(SEAL))
            .unwrap_or_default()
    }
}

impl Cache {
    /// Makes or closes the folder and throws out what is too much.
    ///
    /// # Errors
    /// When it cannot be made, or belongs to somebody else.
    pub(crate) fn open(folder: PathBuf, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let failed = |error: std::io::Error| {
            format!("cannot use the compile cache {}: {error}", folder.display())
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(failed)?;
        let metadata = fs::metadata(&folder).map_err(failed)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(format!(
                "the compile cache {} belongs to user {}: code from it would run as this process; choose another folder",
                folder.display(),
                metadata.uid()
            ));
        }
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(&folder, Permissions::from_mode(0o700)).map_err(failed)?;
        }
        let cache = Self { folder, clock };
        cache.prune(MAX_BYTES);
        Ok(cache)
    }

    /// Where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A file for a child to write to, removed when dropped.
    pub(crate) fn scratch(&self) -> Result<NamedTempFile, String> {
        tempfile::Builder::new()
            .prefix("scratch-")
            .tempfile_in(&self.folder)
            .map_err(|error| {
                format!(
                    "cannot write to the compile cache {}: {error}",
                    self.folder.display()
                )
            })
    }

    /// The entry with this key.
    ///
    /// # Errors
    /// When it is there and cannot be read or its seal is wrong.
    pub(crate) fn get(&self, key: Digest) -> Result<Option<Entry>, String> {
        let path = self.path(key);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
        };
        let sound = bytes
            .split_at_checked(bytes.len().saturating_sub(SEAL))
            .is_some_and(|(code, seal)| {
                !code.is_empty() && Digest::of_parts(&[key.as_bytes(), code]).as_bytes() == seal
            });
        if !sound {
            return Err(format!("{} does not match its checksum", path.display()));
        }
        // Its age decides what is thrown out first. A folder that cannot be written does not matter here.
        let _ = File::open(&path).and_then(|file| file.set_modified(self.now()));
        Ok(Some(Entry(bytes)))
    }

    /// Keeps an entry.
    pub(crate) fn put(&self, key: Digest, code: &[u8]) -> Result<(), String> {
        let mut file = self.scratch()?;
        file.write_all(code)
            .and_then(|()| file.write_all(Digest::of_parts(&[key.as_bytes(), code]).as_bytes()))
            .map_err(|error| {
                format!(
                    "cannot write to the compile cache {}: {error}",
                    self.folder.display()
                )
            })?;
        file.persist(self.path(key)).map_err(|error| {
            format!(
                "cannot write to the compile cache {}: {error}",
                self.folder.display()
            )
        })?;
        self.prune(MAX_BYTES);
        Ok(())
    }

    fn path(&self, key: Digest) -> PathBuf {
        self.folder.join(format!("{key}.cwasm"))
    }

    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.clock.unix_ms())
    }

    /// Removes what a crash left, and the oldest entries over `most` bytes. A failure changes
    /// nothing but the space that is used, and another host may be doing the same.
    fn prune(&self, most: u64) {
        let Ok(files) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut entries = Vec::new();
        for file in files.flatten() {
            let Ok(metadata) = file.metadata() else {
                continue;
            };
            let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
            let name = file.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".cwasm") {
                entries.push((modified, metadata.len(), file.path()));
            } else if name.starts_with("scratch-")
                && self
                    .now()
                    .duration_since(modified)
                    .is_ok_and(|age| age > SCRATCH_AGE)
            {
                let _ = fs::remove_file(file.path());
            }
        }
        let mut total: u64 = entries.iter().map(|(_, bytes, _)| bytes).sum();
        entries.sort();
        for (_, bytes, path) in entries {
            if total <= most {
                return;
            }
            if fs::remove_file(path).is_ok() {
                total = total.saturating_sub(bytes);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_seam::SystemClock;

    use super::*;

    fn cache(folder: &Path) -> Cache {
        Cache::open(folder.join("cache"), Arc::new(SystemClock)).unwrap()
    }

    #[test]
    fn an_entry_reads_back_and_the_folder_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let key = Digest::of(b"key");
        assert!(cache.get(key).unwrap().is_none());
        cache.put(key, b"code").unwrap();
        assert_eq!(cache.get(key).unwrap().unwrap().code(), b"code");
        assert_eq!(
            fs::metadata(cache.folder()).unwrap().permissions().mode() & 0o777,
            0o700
        );
    }

    #[test]
    fn a_changed_a_short_and_a_swapped_entry_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let (key, other) = (Digest::of(b"key"), Digest::of(b"other"));
        cache.put(key, b"code").unwrap();
        fs::copy(cache.path(key), cache.path(other)).unwrap();
        assert!(cache.get(other).is_err(), "an entry under another's key");
        let mut bytes = fs::read(cache.path(key)).unwrap();
        bytes[0] ^= 1;
        fs::write(cache.path(key), &bytes).unwrap();
        assert!(cache.get(key).is_err(), "a changed entry");
        for length in [0, 5, SEAL] {
            fs::write(cache.path(key), vec![0; length]).unwrap();
            assert!(cache.get(key).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn the_entries_used_last_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        let keys: Vec<_> = (0_u8..4).map(|n| Digest::of(&[n])).collect();
        for (age, key) in (0_u64..).zip(&keys) {
            cache.put(*key, &[0; 1_000]).unwrap();
            let file = File::open(cache.path(*key)).unwrap();
            file.set_modified(cache.now() - Duration::from_secs(100 - age))
                .unwrap();
        }
        assert!(
            cache.get(keys[0]).unwrap().is_some(),
            "and is the one used last now"
        );
        cache.prune(2 * (1_000 + SEAL as u64));
        let left: Vec<_> = keys.iter().map(|key| cache.path(*key).exists()).collect();
        assert_eq!(left, [true, false, false, true]);
    }

    #[test]
    fn what_a_crash_left_is_removed_once_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let cache = cache(folder.path());
        for (name, age) in [("scratch-old", 7_200), ("scratch-new", 60)] {
            let file = File::create(cache.folder().join(name)).unwrap();
            file.set_modified(cache.now() - Duration::from_secs(age))
                .unwrap();
        }
        cache.prune(MAX_BYTES);
        assert!(!cache.folder().join("scratch-old").exists());
        assert!(cache.folder().join("scratch-new").exists());
    }
}
