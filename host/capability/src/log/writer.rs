//! Writing a log: whole lines, in as few writes as there are moments.
//!
//! There is one writer per workload at a time. A line that a power loss tore stays at the end of
//! its segment, without a line feed, and is not read: the next writer begins a new segment. What
//! cannot be written is counted and said as soon as it can be: the program is never held up.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::limits::LogLimits;
use super::{line, segment};
use crate::source::Stream;

/// Lines are handed to the kernel when this many bytes have gathered, and at the end of each batch.
const GATHER_BYTES: usize = 64 * 1024;

/// The one writer of a log.
#[derive(Debug)]
pub(crate) struct Writer {
    folder: PathBuf,
    limits: LogLimits,
    number: u64,
    file: File,
    size: u64,
    gathered: Vec<u8>,
    /// Output that could not be written, in bytes, and why.
    lost: Option<(u64, String)>,
}

impl Writer {
    /// Goes on with the log in this folder.
    pub(crate) fn open(folder: &Path, limits: LogLimits) -> io::Result<Self> {
        let last = segment::list(folder)?.last().copied();
        let (number, file, size) = match last {
            None => begin(folder, 1)?,
            Some(number) => {
                let file = File::open(segment::path(folder, number))?;
                let size = file.metadata()?.len();
                let mut end = [b'\n'];
                if size > 0 {
                    file.read_exact_at(&mut end, size - 1)?;
                }
                begin(folder, if end == [b'\n'] { number } else { number + 1 })?
            }
        };
        Ok(Self { folder: folder.to_owned(), limits, number, file, size, gathered: Vec::new(), lost: None })
    }

    /// Adds a line, or a part of one.
    pub(crate) fn add(&mut self, time: &str, stream: Stream, complete: bool, bytes: &[u8]) {
        line::write(&mut self.gathered, time, stream, complete, bytes);
        if self.gathered.len() >= GATHER_BYTES {
            self.flush(time);
        }
    }

    /// Hands everything to the kernel.
    pub(crate) fn flush(&mut self, time: &str) {
        if self.gathered.is_empty() {
            return;
        }
        let batch = std::mem::take(&mut self.gathered);
        let event = self.lost.as_ref().map(|(bytes, why)| {
            let text = format!("about {bytes} bytes of output are missing here: the log could not be written: {why}");
            let mut event = Vec::new();
            line::write(&mut event, time, Stream::Event, true, text.as_bytes());
            event
        });
        let written = match event {
            Some(mut all) => {
                all.extend_from_slice(&batch);
                self.write(&all)
            }
            None => self.write(&batch),
        };
        match written {
            Ok(()) => self.lost = None,
            Err(error) => {
                let before = self.lost.as_ref().map_or(0, |(bytes, _)| *bytes);
                self.lost = Some((before + batch.len() as u64, error.to_string()));
            }
        }
        self.gathered = batch;
        self.gathered.clear();
        self.gathered.shrink_to(2 * GATHER_BYTES);
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if self.size > 0 && self.size + batch.len() as u64 > self.limits.segment_bytes {
            self.rotate()?;
        }
        match self.file.write_all(batch) {
            Ok(()) => {
                self.size += batch.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Readers take whole lines only, so a torn end may go; if it cannot, a new
                // segment leaves it behind.
                if self.file.set_len(self.size).is_err() {
                    self.rotate()?;
                }
                Err(error)
            }
        }
    }

    fn rotate(&mut self) -> io::Result<()> {
        (self.number, self.file, self.size) = begin(&self.folder, self.number + 1)?;
        let keep = self.limits.segments.max(1);
        for old in segment::list(&self.folder)? {
            if old + keep <= self.number {
                fs::remove_file(segment::path(&self.folder, old))?;
            }
        }
        Ok(())
    }

    /// Puts all that was written on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn begin(folder: &Path, number: u64) -> io::Result<(u64, File, u64)> {
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(segment::path(folder, number))?;
    let size = file.metadata()?.len();
    Ok((number, file, size))
}

/// The time of a batch, as text.
pub(crate) fn now() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let nanos = i32::try_from(now.tv_nsec).unwrap_or_default();
    line::time_text(Timestamp::new(now.tv_sec, nanos).unwrap_or_default())
}
