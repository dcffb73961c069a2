//! The content store: a copy of every component that is in use or was found at the last start, by
//! its digest.
//!
//! The plugin folder is a mailbox whose files change under the host's hands; all work is done on
//! the copy, which never changes.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use crate::digest::Digest;

/// After which time a file that was never renamed belongs to nobody.
const SCRATCH_AGE: Duration = Duration::from_hours(1);

/// The folder of copies.
#[derive(Debug, Clone)]
pub(crate) struct ContentStore {
    folder: PathBuf,
}

impl ContentStore {
    /// Makes the folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn open(folder: PathBuf) -> Result<Self, String> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&folder)
            .map_err(|error| format!("cannot make the folder {}: {error}", folder.display()))?;
        Ok(Self { folder })
    }

    /// Where the copy with this digest is.
    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    /// Keeps a copy; one that is there and is not right is replaced.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep(&self, digest: Digest, bytes: &[u8]) -> Result<(), String> {
        let path = self.path(digest);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == bytes.len() as u64)
            && fs::read(&path).is_ok_and(|copy| copy == bytes)
        {
            return Ok(());
        }
        let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}

impl ContentStore {
    /// Removes the copies whose digest is not among `used`, and what a crash left. A failure
    /// changes nothing but the space that is used.
    pub(crate) fn prune(&self, used: &BTreeSet<String>, now_ms: u64) {
        let Ok(files) = fs::read_dir(&self.folder) else {
            return;
        };
        let now = UNIX_EPOCH + Duration::from_millis(now_ms);
        for file in files.flatten() {
            let name = file.file_name();
            let name = name.to_string_lossy();
            let is_useless = match name.strip_suffix(".wasm") {
                Some(digest) => !used.contains(digest),
                // One that is being written, by another host perhaps, is young.
                None => file
                    .metadata()
                    .and_then(|metadata| metadata.modified())
                    .is_ok_and(|modified| {
                        now.duration_since(modified)
                            .is_ok_and(|age| age > SCRATCH_AGE)
                    }),
            };
            if is_useless && fs::remove_file(file.path()).is_ok() {
                tracing::debug!(file = %name, "a copy nobody uses is removed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_nobody_uses_and_old_scraps_are_thrown_out() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let (used, unused) = (Digest::of(b"used"), Digest::of(b"unused"));
        store.keep(used, b"used").unwrap();
        store.keep(unused, b"unused").unwrap();
        let scrap = folder.path().join("store/.tmpabc");
        fs::write(&scrap, "half").unwrap();
        let written = fs::metadata(&scrap).unwrap().modified().unwrap();
        let written_ms = written.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let written_ms = u64::try_from(written_ms).unwrap();

        let keep = BTreeSet::from([used.to_string()]);
        store.prune(&keep, written_ms + 1_000);
        assert!(store.path(used).exists() && !store.path(unused).exists());
        assert!(scrap.exists());
        store.prune(&keep, written_ms + 3_700_000);
        assert!(store.path(used).exists() && !scrap.exists());
    }

    #[test]
    fn a_copy_is_kept_once_and_mended_when_it_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        let digest = Digest::of(b"abc");
        for before in [None, Some("abc"), Some("xyz"), Some("ab")] {
            if let Some(text) = before {
                fs::write(store.path(digest), text).unwrap();
            }
            store.keep(digest, b"abc").unwrap();
            assert_eq!(fs::read(store.path(digest)).unwrap(), b"abc");
        }
        assert_eq!(
            fs::read_dir(folder.path().join("store")).unwrap().count(),
            1
        );
    }
}
