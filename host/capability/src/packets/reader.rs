//! Reading a spool. Blocking: it is called where blocking is allowed.

use std::io;
use std::path::Path;

use super::{SpooledPacket, record, segment};

/// The packets after a number, at least one if there is one, then up to `max_bytes` of them.
pub(crate) fn read(folder: &Path, after: u64, max_bytes: usize) -> io::Result<Vec<SpooledPacket>> {
    let segments = segment::list(folder)?;
    let from = segments
        .iter()
        .rposition(|first| *first <= after.saturating_add(1))
        .unwrap_or(0);
    let mut found: Vec<SpooledPacket> = Vec::new();
    let (mut last, mut bytes) = (after, 0);
    for first in segments.into_iter().skip(from) {
        // One that is gone meanwhile is a gap like any other.
        let content = segment::content(folder, first)?.unwrap_or_default();
        let lines = record::durable(&content).split(|byte| *byte == b'\n');
        for packet in lines.filter_map(record::parse) {
            if packet.seq <= last {
                continue;
            }
            bytes += packet.json.len();
            if !found.is_empty() && bytes > max_bytes {
                return Ok(found);
            }
            last = packet.seq;
            found.push(packet);
        }
    }
    Ok(found)
}

/// Removes the segments of which all packets have numbers up to `through`, except the last: by its
/// name the numbers go on.
pub(crate) fn trim(folder: &Path, through: u64) -> io::Result<()> {
    let segments = segment::list(folder)?;
    for (first, next) in segments.iter().zip(segments.iter().skip(1)) {
        if *next <= through.saturating_add(1) {
            match std::fs::remove_file(segment::path(folder, *first)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
    }
    Ok(())
}
