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
    /// Opened by the first write.
    current: Option<Segment>,
    gathered: Vec<u8>,
    /// Output that could not be written, in bytes, and why.
    lost: Option<(u64, String)>,
}

#[derive(Debug)]
struct Segment {
    number: u64,
    file: File,
    size: u64,
}

impl Writer {
    /// Goes on with the log in this folder. Touches nothing until there is something to write.
    pub(crate) fn new(folder: &Path, limits: LogLimits) -> Self {
        Self {
            folder: folder.to_owned(),
            limits,
            current: None,
            gathered: Vec::new(),
            lost: None,
        }
    }

    /// Adds a line, or a part of one.
    pub(crate) fn add(&mut self, time: &str, stream: Stream, complete: bool, bytes: &[u8]) {
        line::write(&mut self.gathered, time, stream, complete, bytes);
        if self.gathered.len() >= self.limits.gather_bytes(GATHER_BYTES) {
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
        let current = match self.current.take() {
            Some(current) => current,
            None => resume(&self.folder)?,
        };
        let is_full =
            current.size > 0 && current.size + batch.len() as u64 > self.limits.segment_bytes;
        let current = if is_full {
            self.rotate(current)?
        } else {
            current
        };
        let Segment {
            number,
            mut file,
            size,
        } = current;
        match file.write_all(batch) {
            Ok(()) => {
                self.current = Some(Segment {
                    number,
                    file,
                    size: size + batch.len() as u64,
                });
                Ok(())
            }
            Err(error) => {
                // Readers take whole lines only, so a torn end may go. If it cannot, the next
                // write finds it and leaves it behind in this segment.
                if file.set_len(size).is_ok() {
                    self.current = Some(Segment { number, file, size });
                }
                Err(error)
            }
        }
    }

    fn rotate(&mut self, full: Segment) -> io::Result<Segment> {
        let next = match begin(&self.folder, full.number + 1) {
            Ok(next) => next,
            Err(error) => {
                self.current = Some(full);
                return Err(error);
            }
        };
        for number in self.too_many(next.number) {
            // One that cannot be removed now is tried again at the next turn; no output waits for it.
            let _ = fs::remove_file(segment::path(&self.folder, number));
        }
        Ok(next)
    }

    /// The segments to remove when this one begins. Those of a try that had a higher limit may be
    /// larger than this one's.
    fn too_many(&self, next: u64) -> Vec<u64> {
        let mut old = segment::list(&self.folder).unwrap_or_default();
        old.retain(|number| *number < next);
        let mut count = 1;
        let mut total = self.limits.segment_bytes;
        while let Some(number) = old.last() {
            let path = segment::path(&self.folder, *number);
            let size = fs::metadata(path).map_or(0, |metadata| metadata.len());
            count += 1;
            total = total.saturating_add(size);
            if count > self.limits.segments.max(1) || total > self.limits.total_bytes() {
                break;
            }
            old.pop();
        }
        old
    }

    /// Puts all that was written on the disk.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.current
            .as_ref()
            .map_or(Ok(()), |current| current.file.sync_data())
    }
}

/// The last segment, or the one after it if a line is torn at its end.
fn resume(folder: &Path) -> io::Result<Segment> {
    let Some(number) = segment::list(folder)?.last().copied() else {
        return begin(folder, 1);
    };
    let file = File::open(segment::path(folder, number))?;
    let mut last = [b'\n'];
    if let Some(end) = file.metadata()?.len().checked_sub(1) {
        file.read_exact_at(&mut last, end)?;
    }
    begin(folder, if last == [b'\n'] { number } else { number + 1 })
}

fn begin(folder: &Path, number: u64) -> io::Result<Segment> {
    let file = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(segment::path(folder, number))?;
    let size = file.metadata()?.len();
    Ok(Segment { number, file, size })
}

/// The time of a batch, as text.
pub(crate) fn now() -> String {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let nanos = i32::try_from(now.tv_nsec).unwrap_or_default();
    line::time_text(Timestamp::new(now.tv_sec, nanos).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-01-31T12:00:00.000000000Z";

    fn say(writer: &mut Writer, text: &str) {
        writer.add(TIME, Stream::Stdout, true, text.as_bytes());
        writer.flush(TIME);
    }

    #[test]
    fn output_that_a_full_disk_refused_is_missed_aloud() {
        let folder = tempfile::tempdir().unwrap();
        let first = segment::path(folder.path(), 1);
        std::os::unix::fs::symlink("/dev/full", &first).unwrap();
        let mut writer = Writer::new(folder.path(), LogLimits::default());
        say(&mut writer, "refused");
        say(&mut writer, "refused too");
        fs::remove_file(&first).unwrap();
        say(&mut writer, "kept");
        let log = fs::read_to_string(&first).unwrap();
        let lines: Vec<&str> = log.lines().collect();
        assert_eq!(lines.len(), 2, "{log}");
        assert!(
            lines[0].contains(" event F about ") && lines[0].contains("No space left"),
            "{log}"
        );
        assert!(lines[1].ends_with(" stdout F kept"), "{log}");
    }

    #[test]
    fn segments_follow_each_other_and_only_the_newest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let limits = LogLimits {
            segment_bytes: 100,
            segments: 3,
        };
        let mut writer = Writer::new(folder.path(), limits);
        for number in 0..20 {
            say(&mut writer, &format!("line {number}"));
        }
        // Two lines of 45 bytes fit into each.
        assert_eq!(segment::list(folder.path()).unwrap(), [8, 9, 10]);
        drop(writer);
        say(&mut Writer::new(folder.path(), limits), "next");
        assert_eq!(segment::list(folder.path()).unwrap(), [9, 10, 11]);
    }

    #[test]
    fn a_log_stays_below_its_limit_whatever_is_written_and_was_there() {
        let folder = tempfile::tempdir().unwrap();
        let limit = LogLimits::LEAST;
        let size = || -> u64 {
            let sizes = segment::list(folder.path()).unwrap().into_iter();
            sizes
                .map(|number| {
                    fs::metadata(segment::path(folder.path(), number))
                        .unwrap()
                        .len()
                })
                .sum()
        };
        // What a try with a higher limit left.
        fs::write(segment::path(folder.path(), 1), vec![b'\n'; 4 << 20]).unwrap();
        let mut writer = Writer::new(folder.path(), LogLimits::within(limit));
        let long = [b'x'; crate::log::limits::LINE_BYTES];
        for turn in 0..200_usize {
            for _ in 0..turn % 7 {
                writer.add(TIME, Stream::Stdout, true, &long[..long.len() - turn]);
            }
            writer.flush(TIME);
            assert!(
                turn == 0 || size() <= limit.as_bytes(),
                "{turn}: {}",
                size()
            );
        }
        assert!(size() > limit.as_bytes() / 2);
    }
}
