//! Writing a spool: what arrived together is one write and one sync.
//!
//! There is one writer per workload at a time. Packets are answered only when they are durable, and
//! readers take them only then: a mark follows them, so nobody hands on what a power loss could
//! still take back and give the number of to another. What a crash tore is cut off by the next
//! writer; it was answered to nobody. What was refused is cut off too: at once or, where the disk
//! refuses even that, before anything else is written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fleet_model::StoreId;
use fleet_seam::Entropy;

use super::limits::PacketLimits;
use super::{record, segment, spool};
use crate::durable::{self, NotAppended, Rest};
use crate::process::shim::points::{ShimPoint, ShimPoints};

/// The one writer of a spool.
pub(crate) struct Writer<'a> {
    folder: PathBuf,
    limits: PacketLimits,
    entropy: &'a dyn Entropy,
    points: &'a dyn ShimPoints,
    /// Absent until it is looked at, and after a failure that left the end of the spool in doubt.
    end: Option<End>,
    /// The segment, and how much of it is good, behind which something stands that must go first.
    torn: Option<(PathBuf, u64)>,
}

/// Where the spool goes on.
struct End {
    next: u64,
    current: Option<Segment>,
}

struct Segment {
    path: PathBuf,
    file: File,
    size: u64,
    is_marked: bool,
    /// What is behind `size`.
    rest: Rest,
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
            torn: None,
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
        if self.torn.is_some() {
            self.end = self.look_anew().ok();
        }
        if let Some(segment) = self.end.as_mut().and_then(|end| end.current.as_mut()) {
            segment.mark();
        }
        self.distrust();
    }

    /// Lets go of a segment behind whose end something stands.
    fn distrust(&mut self) {
        let segment = self.end.as_ref().and_then(|end| end.current.as_ref());
        if let Some(segment) = segment.filter(|segment| segment.rest == Rest::Unknown) {
            self.torn = Some((segment.path.clone(), segment.size));
            self.end = None;
        }
    }

    /// Finds the end of the spool, without what was refused.
    fn look_anew(&mut self) -> io::Result<End> {
        if let Some((path, size)) = &self.torn {
            durable::cut(path, *size)?;
            self.torn = None;
        }
        resume(&self.folder)
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
        self.distrust();
        Ok(numbers)
    }

    /// Writes and syncs. After a failure nothing of the batch is left, or it goes before anything else
    /// is written; and the spool is looked at anew.
    fn write(&mut self, mut segment: Segment, batch: &[u8]) -> io::Result<Segment> {
        let written = || self.points.reach(ShimPoint::BeforePacketSync);
        let appended = durable::append(&mut segment.file, segment.size, batch, written);
        if let Err(NotAppended { error, rest }) = appended {
            if rest == Rest::Unknown {
                self.torn = Some((segment.path, segment.size));
            }
            return Err(error);
        }
        self.points.reach(ShimPoint::AfterPacketSync);
        segment.size += batch.len() as u64;
        segment.is_marked = false;
        segment.mark();
        Ok(segment)
    }

    fn begin(&mut self, at_ms: u64) -> io::Result<End> {
        if spool::id(&self.folder)?.is_none() {
            spool::create(&self.folder, StoreId::new(at_ms, self.entropy.bits()))?;
            self.points.reach(ShimPoint::AfterSpool);
        }
        self.look_anew()
    }

    /// A new segment, and room for it.
    fn begin_segment(&self, first: u64) -> io::Result<Segment> {
        let path = segment::path(&self.folder, first);
        let file = open(&path)?;
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
            path,
            file,
            size: 0,
            is_marked: true,
            rest: Rest::Nothing,
        })
    }
}

impl Segment {
    /// Where it fails the packets stay durable and unread until it succeeds.
    fn mark(&mut self) {
        if self.is_marked || self.rest == Rest::Unknown {
            return;
        }
        if self.file.write_all(record::MARK).is_ok() {
            self.size += record::MARK.len() as u64;
            self.is_marked = true;
        } else if self.file.set_len(self.size).is_err() {
            self.rest = Rest::Unknown;
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
    let path = segment::path(folder, first);
    let file = open(&path)?;
    if size < content.len() as u64 {
        file.set_len(size)?;
    }
    // What a writer left that was killed before its sync is marked only once it is durable.
    file.sync_data()?;
    let mut segment = Segment {
        path,
        file,
        size,
        is_marked,
        rest: Rest::Nothing,
    };
    segment.mark();
    Ok(End {
        next,
        current: Some(segment),
    })
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
