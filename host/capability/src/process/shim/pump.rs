//! One output of the program, from its pipe to the log.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::log::limits::PAUSE_MS;
use crate::log::split::Splitter;
use crate::log::writer::Writer;
use crate::source::Stream;

/// One output of the program.
pub(super) struct Pump {
    stream: Stream,
    /// `None` after its end.
    pipe: Option<File>,
    splitter: Splitter,
    /// When the part of a line that is held is shown: milliseconds of the monotonic clock.
    show_at_ms: u64,
}

impl Pump {
    pub(super) fn new(stream: Stream, pipe: Option<OwnedFd>) -> Self {
        Self {
            stream,
            pipe: pipe.map(File::from),
            splitter: Splitter::default(),
            show_at_ms: 0,
        }
    }

    pub(super) fn pipe(&self) -> Option<BorrowedFd<'_>> {
        self.pipe.as_ref().map(AsFd::as_fd)
    }

    /// How long until a held part is due.
    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        self.splitter
            .is_holding()
            .then(|| self.show_at_ms.saturating_sub(now_ms))
    }

    /// Takes what the pipe has; it must be readable.
    pub(super) fn read(&mut self, buffer: &mut [u8], writer: &mut Writer, time: &str, now_ms: u64) {
        let Some(pipe) = &mut self.pipe else { return };
        let count = match pipe.read(buffer) {
            Ok(count) => count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => return,
            Err(_) => 0,
        };
        if count == 0 {
            self.pipe = None;
            return;
        }
        let stream = self.stream;
        self.splitter
            .feed(buffer.get(..count).unwrap_or_default(), |part, complete| {
                writer.add(time, stream, complete, part);
            });
        self.show_at_ms = now_ms + PAUSE_MS;
    }

    /// Shows a held part that is due, or any at the `end`.
    pub(super) fn show(&mut self, writer: &mut Writer, time: &str, now_ms: u64) {
        if now_ms >= self.show_at_ms
            && let Some(part) = self.splitter.take()
        {
            writer.add(time, self.stream, false, &part);
        }
    }

    /// Shows whatever is held: nothing follows.
    pub(super) fn finish(&mut self, writer: &mut Writer, time: &str) {
        self.show(writer, time, u64::MAX);
    }
}
