//! The content store: a copy of every component and manifest that is in use or may be again, by its
//! digest.
//!
//! The plugin folder is a mailbox whose files change under the host's hands; all work is done on
//! the copy, which never changes. A copy is durable before anything is written down that needs it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use crate::digest::Digest;
use crate::refused::{Code, Refused};

/// After which time a file that was never renamed belongs to nobody.
const SCRATCH_AGE: Duration = Duration::from_hours(1);

/// The folder of copies.
#[derive(Debug, Clone)]
pub(crate) struct ContentStore {
    folder: PathBuf,
    pinned: Arc<Mutex<BTreeMap<Digest, usize>>>,
}

/// What a copy is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    Component,
    Manifest,
}

impl Content {
    fn extension(self) -> &'static str {
        match self {
            Self::Component => "wasm",
            Self::Manifest => "toml",
        }
    }
}

/// A copy that is not thrown out, until this is dropped.
#[derive(Debug)]
pub(crate) struct Pin {
    digest: Digest,
    pinned: Arc<Mutex<BTreeMap<Digest, usize>>>,
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
        Ok(Self {
            folder,
            pinned: Arc::default(),
        })
    }

    /// Where the copy of a component with this digest is.
    pub(crate) fn path(&self, digest: Digest) -> PathBuf {
        self.file(Content::Component, digest)
    }

    /// Keeps a copy, for as long as the answer is held or it is in use; one that is there and is not
    /// right is replaced.
    ///
    /// # Errors
    /// `disk-full`, `storage`.
    pub(crate) fn keep(
        &self,
        content: Content,
        digest: Digest,
        bytes: &[u8],
    ) -> Result<Pin, Refused> {
        let pin = self.pin(digest);
        let path = self.file(content, digest);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == bytes.len() as u64)
            && fs::read(&path).is_ok_and(|copy| copy == bytes)
        {
            return Ok(pin);
        }
        let failed = |error: std::io::Error| Refused::storage("write", &path, &error);
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        File::open(&self.folder)
            .and_then(|folder| folder.sync_all())
            .map_err(failed)?;
        Ok(pin)
    }

    /// A file without a name on the same disk.
    ///
    /// # Errors
    /// `disk-full`, `storage`.
    pub(crate) fn spool(&self) -> Result<File, Refused> {
        tempfile::tempfile_in(&self.folder)
            .map_err(|error| Refused::storage("make a file in", &self.folder, &error))
    }

    /// The copy with this digest.
    ///
    /// # Errors
    /// `storage` when it is not there or is not what it was.
    pub(crate) fn read(&self, content: Content, digest: Digest) -> Result<Vec<u8>, Refused> {
        let path = self.file(content, digest);
        let bytes = fs::read(&path).map_err(|error| Refused::storage("read", &path, &error))?;
        if Digest::of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(Code::Storage.because(format!(
                "{} is damaged: it is not what its name says",
                path.display()
            )))
        }
    }

    /// Removes the copies whose digest is neither held nor among `used`, and what a crash left. A
    /// failure changes nothing but the space that is used. `used` is asked after this has begun, so
    /// that what came into use before is among it.
    pub(crate) fn prune(&self, used: impl FnOnce() -> BTreeSet<Digest>, now_ms: u64) {
        let held: BTreeSet<Digest> = self.pins().keys().copied().collect();
        let used = used();
        let Ok(files) = fs::read_dir(&self.folder) else {
            return;
        };
        let now = UNIX_EPOCH + Duration::from_millis(now_ms);
        for file in files.flatten() {
            let (path, name) = (file.path(), file.file_name());
            match digest_of(&path) {
                Some(digest) if held.contains(&digest) || used.contains(&digest) => {}
                Some(digest) => {
                    let pins = self.pins();
                    // Somebody may have begun to use it meanwhile.
                    if !pins.contains_key(&digest) && fs::remove_file(&path).is_ok() {
                        tracing::debug!(file = ?name, "a copy nobody uses is removed");
                    }
                }
                // One that is being written, by another host perhaps, is young.
                None => {
                    let modified = file.metadata().and_then(|metadata| metadata.modified());
                    let is_old = modified.is_ok_and(|modified| {
                        now.duration_since(modified)
                            .is_ok_and(|age| age > SCRATCH_AGE)
                    });
                    if is_old && fs::remove_file(&path).is_ok() {
                        tracing::debug!(file = ?name, "what a crash left is removed");
                    }
                }
            }
        }
    }

    fn pin(&self, digest: Digest) -> Pin {
        *self.pins().entry(digest).or_default() += 1;
        Pin {
            digest,
            pinned: self.pinned.clone(),
        }
    }

    fn pins(&self) -> MutexGuard<'_, BTreeMap<Digest, usize>> {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, content: Content, digest: Digest) -> PathBuf {
        self.folder
            .join(format!("{digest}.{}", content.extension()))
    }
}

/// The digest that a copy is named by.
fn digest_of(path: &Path) -> Option<Digest> {
    let extension = path.extension()?;
    let is_copy = [Content::Component, Content::Manifest]
        .iter()
        .any(|content| extension == content.extension());
    if !is_copy {
        return None;
    }
    path.file_stem()?.to_str()?.parse().ok()
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut pins = self.pinned.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = pins.get_mut(&self.digest) {
            *count -= 1;
            if *count == 0 {
                pins.remove(&self.digest);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, ContentStore) {
        let folder = tempfile::tempdir().unwrap();
        let store = ContentStore::open(folder.path().join("store")).unwrap();
        (folder, store)
    }

    #[test]
    fn copies_nobody_uses_and_old_scraps_are_thrown_out() {
        let (folder, store) = store();
        let (used, unused, held) = (
            Digest::of(b"used"),
            Digest::of(b"unused"),
            Digest::of(b"held"),
        );
        drop(store.keep(Content::Component, used, b"used").unwrap());
        drop(store.keep(Content::Manifest, unused, b"unused").unwrap());
        let pin = store.keep(Content::Component, held, b"held").unwrap();
        let scrap = folder.path().join("store/.tmpabc");
        fs::write(&scrap, "half").unwrap();
        let written = fs::metadata(&scrap).unwrap().modified().unwrap();
        let written_ms = written.duration_since(UNIX_EPOCH).unwrap().as_millis();
        let written_ms = u64::try_from(written_ms).unwrap();

        let keep = || BTreeSet::from([used]);
        store.prune(keep, written_ms + 1_000);
        assert!(store.path(used).exists() && store.path(held).exists());
        assert!(!store.file(Content::Manifest, unused).exists());
        assert!(scrap.exists());
        drop(pin);
        store.prune(keep, written_ms + 3_700_000);
        assert!(store.path(used).exists() && !store.path(held).exists());
        assert!(!scrap.exists());
    }

    #[test]
    fn what_comes_into_use_while_it_is_thrown_out_stays() {
        let (_folder, store) = store();
        let digest = Digest::of(b"abc");
        drop(store.keep(Content::Component, digest, b"abc").unwrap());
        let mut pin = None;
        let nothing = || {
            pin = Some(store.keep(Content::Component, digest, b"abc").unwrap());
            BTreeSet::new()
        };
        store.prune(nothing, 0);
        assert!(store.path(digest).exists());
    }

    #[test]
    fn a_copy_is_kept_once_and_mended_when_it_is_wrong() {
        let (folder, store) = store();
        let digest = Digest::of(b"abc");
        for before in [None, Some("abc"), Some("xyz"), Some("ab")] {
            if let Some(text) = before {
                fs::write(store.path(digest), text).unwrap();
                let is_right = store.read(Content::Component, digest).is_ok();
                assert_eq!(is_right, text == "abc", "{text}");
            }
            drop(store.keep(Content::Component, digest, b"abc").unwrap());
            assert_eq!(store.read(Content::Component, digest).unwrap(), b"abc");
        }
        assert_eq!(
            fs::read_dir(folder.path().join("store")).unwrap().count(),
            1
        );
    }
}
