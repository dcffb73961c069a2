//! Writes an upload while more of it comes.

use bytes::Bytes;
use fleet_capability::workspace::{Hash, Incoming, Progress};
use fleet_model::Error;
use tokio::task::JoinHandle;

use super::room::Reserved;
use crate::files::blocking;

/// Bytes that are written at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// An upload, and the room it has where that is limited.
struct Limited {
    incoming: Incoming,
    reserved: Option<Reserved>,
}

impl Limited {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let written = self.incoming.write(bytes);
        if let Some(reserved) = &mut self.reserved {
            // Of what failed some may be there, too.
            reserved.wrote(bytes.len() as u64);
        }
        written
    }
}

/// An upload, and the pieces of it that are on their way to the disk: one is written, one is collected.
pub(super) struct Writer {
    /// Absent while it is written to.
    limited: Option<Limited>,
    writing: Option<JoinHandle<(Limited, Result<(), Error>)>>,
    collected: Vec<Bytes>,
    collected_bytes: usize,
}

impl Writer {
    pub(super) fn new(incoming: Incoming, reserved: Option<Reserved>) -> Self {
        Self {
            limited: Some(Limited { incoming, reserved }),
            writing: None,
            collected: Vec::new(),
            collected_bytes: 0,
        }
    }

    /// Takes the next bytes; fails where bytes before them could not be written.
    pub(super) async fn take(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.collected_bytes += bytes.len();
        self.collected.push(bytes);
        if self.collected_bytes < PIECE_BYTES {
            return Ok(());
        }
        self.write().await
    }

    /// There is no more to come: puts the file in place if it is whole.
    pub(super) async fn finish(mut self) -> Result<Progress, Error> {
        self.write().await?;
        let Limited { incoming, reserved } = self.idle().await?;
        let progress = blocking(move || incoming.finish()).await;
        drop(reserved);
        progress
    }

    /// Writes what there is, and lets go of it; answers what was hashed of it.
    pub(super) async fn suspend(mut self) -> Option<Hash> {
        // What cannot be written has not arrived.
        let _ = self.write().await;
        let limited = self.idle().await.ok().or(self.limited)?;
        limited.incoming.suspend().1
    }

    /// Begins to write what was collected.
    async fn write(&mut self) -> Result<(), Error> {
        let mut limited = self.idle().await?;
        let pieces = std::mem::take(&mut self.collected);
        self.collected_bytes = 0;
        self.writing = Some(tokio::task::spawn_blocking(move || {
            let written = pieces.iter().try_for_each(|piece| limited.write(piece));
            (limited, written)
        }));
        Ok(())
    }

    /// Waits until nothing is written.
    async fn idle(&mut self) -> Result<Limited, Error> {
        if let Some(writing) = self.writing.take() {
            let (limited, written) = writing.await.map_err(|_| cut_short())?;
            self.limited = Some(limited);
            if written.is_err() {
                // It would belong after what is missing now.
                self.collected.clear();
            }
            written?;
        }
        self.limited.take().ok_or_else(cut_short)
    }
}

fn cut_short() -> Error {
    Error::internal("files", "work on an upload was cut short")
}
