//! A local file that is sent: read piece by piece from any place, and hashed on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};

use super::hex;
use super::upload::FileError;

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 512 * 1024;

/// A local file and how far it has been read. It may be read again from an earlier place: each byte is
/// hashed once.
pub(super) struct Source {
    file: File,
    hashed: Mutex<Hashed>,
    /// Where reading is now.
    at: AtomicU64,
    failure: Mutex<Option<FileError>>,
    progress: Box<dyn Fn(u64) + Send + Sync>,
}

#[derive(Default)]
struct Hashed {
    sha: Sha256,
    bytes: u64,
}

impl Source {
    pub(super) fn new(file: File, progress: Box<dyn Fn(u64) + Send + Sync>) -> Arc<Self> {
        Arc::new(Self {
            file,
            hashed: Mutex::default(),
            at: AtomicU64::new(0),
            failure: Mutex::default(),
            progress,
        })
    }

    /// Where reading is now.
    pub(super) fn at(&self) -> u64 {
        self.at.load(Ordering::Relaxed)
    }

    /// Why it could not be read, if it could not.
    pub(super) fn failure(&self) -> Option<FileError> {
        lock(&self.failure).take()
    }

    /// The bytes from one place to another, as the body of a request.
    pub(super) fn body(self: &Arc<Self>, from: u64, to: u64) -> reqwest::Body {
        self.at.store(from, Ordering::Relaxed);
        let pieces = futures::stream::unfold(Some((self.clone(), from)), move |state| async move {
            let (source, at) = state?;
            if at >= to {
                return None;
            }
            match read(source.clone(), at, to).await {
                Ok(piece) => {
                    let next = at + piece.len() as u64;
                    source.at.store(next, Ordering::Relaxed);
                    (source.progress)(next);
                    Some((Ok(piece), Some((source, next))))
                }
                Err(error) => {
                    *lock(&source.failure) = Some(error);
                    let broken = io::Error::other("the local file cannot be read");
                    Some((Err(broken), None))
                }
            }
        });
        reqwest::Body::wrap_stream(pieces)
    }

    /// The SHA-256 of all up to here; reads what has not been read yet.
    pub(super) async fn digest(self: &Arc<Self>, size: u64) -> Result<String, FileError> {
        loop {
            let at = lock(&self.hashed).bytes;
            if at >= size {
                return Ok(hex(&lock(&self.hashed).sha.clone().finalize()));
            }
            read(self.clone(), at, size).await?;
        }
    }

    fn read_now(&self, at: u64, to: u64) -> Result<Bytes, FileError> {
        let most = usize::try_from(PIECE_BYTES.min(to.saturating_sub(at))).unwrap_or_default();
        let mut piece = vec![0; most];
        let count = loop {
            match self.file.read_at(&mut piece, at) {
                Ok(0) => return Err(FileError::Shrunk),
                Ok(count) => break count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(FileError::Local(error)),
            }
        };
        piece.truncate(count);
        let mut hashed = lock(&self.hashed);
        let known = hashed.bytes.checked_sub(at);
        let new = known.and_then(|known| piece.get(usize::try_from(known).ok()?..));
        if let Some(new) = new.filter(|new| !new.is_empty()) {
            hashed.sha.update(new);
            hashed.bytes += new.len() as u64;
        }
        Ok(piece.into())
    }
}

async fn read(source: Arc<Source>, at: u64, to: u64) -> Result<Bytes, FileError> {
    let read = tokio::task::spawn_blocking(move || source.read_now(at, to));
    read.await
        .unwrap_or_else(|error| Err(FileError::Local(io::Error::other(error))))
}

/// Every holder leaves it whole, so a panic elsewhere does no harm.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_byte_is_hashed_once_however_often_it_is_read() {
        let mut file = tempfile::tempfile().unwrap();
        let content: Vec<u8> = (0..3_000_000_u32).map(|n| (n / 7) as u8).collect();
        io::Write::write_all(&mut file, &content).unwrap();
        let source = Source::new(file, Box::new(|_| {}));
        for at in [0, 100_000, 0, 524_288, 2_000_000] {
            read(source.clone(), at, 3_000_000).await.unwrap();
        }
        let digest = source.digest(3_000_000).await.unwrap();
        assert_eq!(digest, hex(&Sha256::digest(&content)));
        let error = source.digest(3_000_001).await.unwrap_err();
        assert!(matches!(error, FileError::Shrunk), "{error}");
    }
}
