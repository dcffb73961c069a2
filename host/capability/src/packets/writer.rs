//! Writing a spool: what arrived together is one write and one sync.
//!
//! There is one writer per workload at a time. Packets are answered only when they are durable, and
//! readers take them only then: a mark follows them, so nobody hands on what a power loss could
//! still take back and give the number of to another. What a crash tore is cut off by the next
//! writer; it was answered to nobody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fleet_model::StoreId;
use fleet_seam::Entropy;

use super::limits::PacketLimits;
use super::{record, segment, spool};
use crate::durable;
use crate::process::shim::points::{ShimPoint, ShimPoints};

/// The one writer of a spool.
pub(crate) struct Writer<'a> {
    folder: PathBuf,
    limits: PacketLimits,
    entropy: &'a dyn Entropy,
    points: &'a dyn ShimPoints,
    /// Absent until it is looked at, and after a failure that left the end of the spool in doubt.
    end: Option<End>,
}

/// Where the spool goes on.
struct End {
    next: u64,
    current: Option<Segment>,
}

struct Segment {
    file: File,
    size: u64,
    is_marked: bool,
}

/// What became of some packets.
#[derive(Debug)]
pub(crate) struct Kept {
    /// The numbers of the first of them, which are durable.
    pub(crate) numbers: Vec<u64>,
    /// Why the others are not.
    pub(crate) error: Option<io::Error>,
}

impl<'a> Writer<'a> {
    /// Goes on with the spool in this folder. Touches nothing until there is something to write.
    pub(crate) fn new(
        folder: PathBuf,
        limits: PacketLimits,
        entropy: &'a dyn Entropy,
        points: &'a dyn ShimPoints,
    ) -> Self {
        Self {
            folder,
            limits,
            entropy,
            points,
            end: None,
        }
    }

    /// Brings what an earlier writer left in order. Whether there is anything.
    pub(crate) fn resume(&mut self) -> io::Result<bool> {
        if spool::id(&self.folder)?.is_none() {
            return Ok(false);
        }
        let end = resume(&self.folder)?;
        let found = end.next > 1;
        self.end = Some(end);
        Ok(found)
    }

    /// Keeps packets, in order.
    pub(crate) fn append(&mut self, at_ms: u64, packets: &[String]) -> Kept {
        let mut kept = Kept {
            numbers: Vec::new(),
            error: None,
        };
        while let Some(rest) = packets
            .get(kept.numbers.len()..)
            .filter(|rest| !rest.is_empty())
        {
            match self.part(at_ms, rest) {
                Ok(numbers) => kept.numbers.extend(numbers),
                Err(error) => {
                    kept.error = Some(error);
                    break;
                }
            }
        }
        kept
    }

    /// Lets readers have what is durable and could not be marked before.
    pub(crate) fn settle(&mut self) {
        if let Some(segment) = self.end.as_mut().and_then(|end| end.current.as_mut()) {
            segment.mark();
        }
    }

    /// Keeps as many of the packets as fit into one segment, at least one.
    fn part(&mut self, at_ms: u64, packets: &[String]) -> io::Result<std::ops::Range<u64>> {
        let mut end = match self.end.take() {
            Some(end) => end,
            None => self.begin(at_ms)?,
        };
        let first = end.next;
        let mut batch = Vec::new();
        let mut size = end.current.as_ref().map_or(0, |current| current.size);
        for (number, json) in (first..).zip(packets) {
            let before = batch.len();
            record::write(&mut batch, number, at_ms, json);
            let grown = size + (batch.len() + record::MARK.len()) as u64;
            if grown > self.limits.segment_bytes {
                if before > 0 {
                    batch.truncate(before);
                    break;
                }
                // It does not fit behind what is there, so it begins a segment, whatever its size.
                end.current = None;
                size = 0;
            }
            end.next = number + 1;
        }
        let current = match end.current.take() {
            Some(current) => current,
            None => self.begin_segment(first)?,
        };
        end.current = Some(self.write(current, &batch)?);
        let numbers = first..end.next;
        self.end = Some(end);
        Ok(numbers)
    }

    /// Writes and syncs. After a failure the batch is cut off, or the segment's end is in doubt and
    /// the spool is looked at anew.
    fn write(&mut self, mut segment: Segment, batch: &[u8]) -> io::Result<Segment> {
        let written = segment.file.write_all(batch).and_then(|()| {
            self.points.reach(ShimPoint::BeforePacketSync);
            segment.file.sync_data()
        });
        if let Err(error) = written {
            let _ = segment.file.set_len(segment.size);
            return Err(error);
        }
        self.points.reach(ShimPoint::AfterPacketSync);
        segment.size += batch.len() as u64;
        segment.is_marked = false;
        segment.mark();
        Ok(segment)
    }

    fn begin(&self, at_ms: u64) -> io::Result<End> {
        if spool::id(&self.folder)?.is_none() {
            spool::create(&self.folder, StoreId::new(at_ms, self.entropy.bits()))?;
            self.points.reach(ShimPoint::AfterSpool);
        }
        resume(&self.folder)
    }

    /// A new segment, and room for it.
    fn begin_segment(&self, first: u64) -> io::Result<Segment> {
        let file = open(&self.folder, first)?;
        file.set_len(0)?;
        durable::sync_folder(&self.folder)?;
        self.points.reach(ShimPoint::AfterSegment);
        let old = segment::list(&self.folder)?
            .into_iter()
            .filter(|old| *old < first);
        let sized = old.map(|old| {
            let path = segment::path(&self.folder, old);
            let size = path.metadata().map_or(0, |metadata| metadata.len());
            (path, size)
        });
        let old: Vec<(PathBuf, u64)> = sized.collect();
        let mut total: u64 = old.iter().map(|(_, size)| size).sum();
        for (path, size) in old {
            if total + self.limits.segment_bytes <= self.limits.total_bytes {
                break;
            }
            // One that cannot be removed now is tried again at the next turn.
            let _ = fs::remove_file(path);
            total -= size;
        }
        Ok(Segment {
            file,
            size: 0,
            is_marked: true,
        })
    }
}

impl Segment {
    /// Where it fails the packets stay durable and unread until it succeeds.
    fn mark(&mut self) {
        if self.is_marked {
            return;
        }
        if self.file.write_all(record::MARK).is_ok() {
            self.size += record::MARK.len() as u64;
            self.is_marked = true;
        } else {
            let _ = self.file.set_len(self.size);
        }
    }
}

/// Finds the end, and cuts off what is torn there.
fn resume(folder: &Path) -> io::Result<End> {
    let floor = spool::acked(folder)?.saturating_add(1);
    let last = segment::list(folder)?.last().copied();
    let content = match last {
        Some(first) => segment::content(folder, first)?.map(|content| (first, content)),
        None => None,
    };
    let Some((first, content)) = content else {
        return Ok(End {
            next: floor,
            current: None,
        });
    };
    let (mut next, mut size, mut is_marked) = (first, 0, true);
    for line in content.split_inclusive(|byte| *byte == b'\n') {
        let is_mark = line == record::MARK;
        if !is_mark {
            let packet = line.strip_suffix(b"\n").and_then(record::parse);
            match packet.filter(|packet| packet.seq >= next) {
                Some(packet) => next = packet.seq + 1,
                None => break,
            }
        }
        is_marked = is_mark;
        size += line.len() as u64;
    }
    if next < floor {
        // The disk has gone back behind what others have stored: those numbers are taken.
        return Ok(End {
            next: floor,
            current: None,
        });
    }
    let file = open(folder, first)?;
    if size < content.len() as u64 {
        file.set_len(size)?;
    }
    // What a writer left that was killed before its sync is marked only once it is durable.
    file.sync_data()?;
    let mut segment = Segment {
        file,
        size,
        is_marked,
    };
    segment.mark();
    Ok(End {
        next,
        current: Some(segment),
    })
}

fn open(folder: &Path, first: u64) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(segment::path(folder, first))
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
