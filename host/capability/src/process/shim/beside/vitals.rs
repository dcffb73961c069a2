//! Whether the process that a program is beside still has its shim.
//!
//! That shim holds its slot's FIFO open as long as it lives and never writes to it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};

use crate::process::slot::Slot;

/// The FIFO of a process that was seen to live.
pub(super) struct Vitals {
    end: OwnedFd,
}

impl Vitals {
    /// Those of this process; `None` when its shim is gone.
    pub(super) fn of(process: &Slot) -> io::Result<Option<Self>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let vitals = Self {
            end: rustix::fs::open(process.end(), flags, Mode::empty())?,
        };
        Ok(vitals.is_there().then_some(vitals))
    }

    /// Whether that shim lives.
    pub(super) fn is_there(&self) -> bool {
        !matches!(rustix::io::read(&self.end, &mut [0; 1]), Ok(0))
    }

    /// It hangs up when that shim ends; nothing ever comes.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }
}
