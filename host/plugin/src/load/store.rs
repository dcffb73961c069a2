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

    /// Keeps a copy. One that is there with this length is taken to be right: it was renamed to
    /// this name when it was complete, and [`verified`](Self::verified) looks before it counts.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn keep(&self, digest: Digest, bytes: &[u8]) -> Result<(), String> {
        let path = self.path(digest);
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() == bytes.len() as u64) {
            return Ok(());
        }
        let failed = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
        let mut file = tempfile::NamedTempFile::new_in(&self.folder).map_err(failed)?;
        file.write_all(bytes).map_err(failed)?;
        file.persist(&path).map_err(|error| failed(error.error))?;
        Ok(())
    }
}
