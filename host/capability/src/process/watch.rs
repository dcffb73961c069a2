//! Waiting for the end of a process without asking again and again.
//!
//! The shim holds the slot's FIFO open as long as it lives and never writes to it. Reading it ends
//! when the shim ends, at once if it has ended, whichever host asks.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::Error;
use fleet_seam::Clock;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;

use super::slot::Slot;
use crate::fault;

/// How soon to look whether a start began, and at most how late.
const LOOK_MS: (u64, u64) = (20, 250);

/// Comes back when the process has ended, or its slot is gone.
pub(crate) async fn ended(slot: Slot, clock: Arc<dyn Clock>) -> Result<(), Error> {
    // Before the claim nobody holds the FIFO, and reading it would end at once.
    let mut pause = LOOK_MS.0;
    while slot.folder().exists() && !slot.is_claimed() {
        clock.sleep(Duration::from_millis(pause)).await;
        pause = (pause * 2).min(LOOK_MS.1);
    }
    match wait(&slot).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(fault::storage("watch", &slot.end(), &error))
        }
        _ => Ok(()),
    }
}

async fn wait(slot: &Slot) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let end = rustix::fs::open(slot.end(), flags, Mode::empty())?;
    let mut byte = [0];
    // Asked once directly: the kernel reports the end of a writer, not that there never was one.
    match rustix::io::read(&end, &mut byte) {
        Ok(0) => return Ok(()),
        Ok(_) | Err(Errno::AGAIN) => {}
        Err(error) => return Err(error.into()),
    }
    let mut end = pipe::Receiver::from_owned_fd(end)?;
    while end.read(&mut byte).await? > 0 {}
    Ok(())
}
