//! The way into a program beside a process.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_model::Error;
use tokio::sync::watch;

use super::limits::CHUNK_BYTES;
use super::link::Link;
use super::wire::{InputState, Intake};
use crate::source::Input;

/// The input of one that is attached.
pub(super) struct BesideInput {
    link: Arc<Link>,
    intake: watch::Receiver<Intake>,
    /// The place after what was given.
    next: u64,
}

impl BesideInput {
    pub(super) fn new(link: Arc<Link>, taken: u64) -> Self {
        Self {
            intake: link.intake.clone(),
            link,
            next: taken,
        }
    }

    /// Waits until this is so.
    async fn until(&mut self, is_so: impl FnMut(&Intake) -> bool) -> Result<Intake, Error> {
        match self.intake.wait_for(is_so).await {
            Ok(intake) => Ok(*intake),
            Err(_) => Err(Error::unavailable(
                "keeper-lost",
                "the program's keeper went away: attach again to go on, if it is still there",
            )),
        }
    }
}

#[async_trait]
impl Input for BesideInput {
    fn taken(&self) -> u64 {
        self.intake.borrow().taken
    }

    async fn give(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        while !bytes.is_empty() {
            let chunk = bytes.split_to(bytes.len().min(CHUNK_BYTES));
            let (from, end) = (self.next, self.next + chunk.len() as u64);
            let allowed = |intake: &Intake| {
                intake.state != InputState::Open || (intake.allowed >= end && intake.taken >= from)
            };
            let intake = self.until(allowed).await?;
            if intake.state != InputState::Open {
                return Err(closed());
            }
            self.link.leave(|outbox| outbox.input = Some((from, chunk)));
            self.next = end;
            // A chunk at a time: there is one place for it.
            let taken = |intake: &Intake| intake.taken >= end || intake.state != InputState::Open;
            if self.until(taken).await?.taken < end {
                return Err(closed());
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Error> {
        self.link.leave(|outbox| outbox.has_input_end = true);
        let over = |intake: &Intake| intake.state != InputState::Open;
        self.until(over).await.map(drop)
    }

    async fn seen(&mut self, offset: u64) -> Result<(), Error> {
        self.link.seen(offset);
        Ok(())
    }
}

impl Drop for BesideInput {
    fn drop(&mut self) {
        self.link.input_dropped();
    }
}

/// The input of one that is over.
pub(super) struct NoInput {
    pub(super) taken: u64,
}

#[async_trait]
impl Input for NoInput {
    fn taken(&self) -> u64 {
        self.taken
    }

    async fn give(&mut self, bytes: Bytes) -> Result<(), Error> {
        if bytes.is_empty() {
            return Ok(());
        }
        Err(closed())
    }

    async fn end(&mut self) -> Result<(), Error> {
        Ok(())
    }

    async fn seen(&mut self, _offset: u64) -> Result<(), Error> {
        Ok(())
    }
}

fn closed() -> Error {
    Error::conflict(
        "input-closed",
        "the program reads no more: it has closed its input, or ended, or was told that nothing more comes",
    )
}
