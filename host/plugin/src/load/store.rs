//! The content store: a copy of every component that was ever loaded, by its digest.
//!
//! The plugin folder is a mailbox whose files change under the host's hands; all work is done on
//! the copy, which never changes.

use std::fs;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

use crate::digest::Digest;

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

#[cfg(test)]
mod tests {
    use super::*;

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
