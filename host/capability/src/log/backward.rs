//! Finding where to begin: the last lines, or those since a time, without reading all the rest.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::limits::CHUNK_BYTES;
use super::segment::Place;
use super::{line, segment};
use crate::source::Stream;

/// The end of a log as it is now. A log without segments ends where its first one will begin.
pub(crate) fn end(folder: &Path) -> io::Result<Place> {
    match segment::list(folder)?.last() {
        None => Ok(Place::start_of(1)),
        Some(last) => Ok(Place {
            segment: *last,
            offset: segment::path(folder, *last).metadata()?.len(),
        }),
    }
}

/// Whether a line can begin here, as far as the segment still exists.
pub(crate) fn is_line_start(folder: &Path, place: Place) -> io::Result<bool> {
    let file = match File::open(segment::path(folder, place.segment)) {
        Ok(file) => file,
        // Gone by rotation, or not begun: only the start of the next one is known to be a place.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let next = segment::list(folder)?.last().map_or(1, |last| last + 1);
            return Ok(
                place.segment > 0 && (place.segment < next || place == Place::start_of(next))
            );
        }
        Err(error) => return Err(error),
    };
    let Some(before) = place.offset.checked_sub(1) else {
        return Ok(true);
    };
    let mut byte = [0];
    Ok(file.read_at(&mut byte, before)? == 1 && byte == [b'\n'])
}

/// A place no later than the first line at or after this time: whole segments that ended before
/// are passed over. Where such lines may be gone, that is the log's very beginning, and a reader says so.
pub(crate) fn since(folder: &Path, time_us: i64) -> io::Result<Place> {
    let segments = segment::list(folder)?;
    let begins_before =
        |number: &u64| first_time(folder, *number).is_some_and(|first| first < time_us);
    let before = segments.iter().rposition(begins_before);
    let number = before.and_then(|before| segments.get(before).copied());
    Ok(Place::start_of(number.unwrap_or(1)))
}

fn first_time(folder: &Path, number: u64) -> Option<i64> {
    let mut head = [0; 80];
    let count = File::open(segment::path(folder, number))
        .ok()?
        .read_at(&mut head, 0)
        .ok()?;
    let text = head.get(..count)?.split(|byte| *byte == b' ').next()?;
    let time: jiff::Timestamp = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(time.as_microsecond())
}

/// Where the last `count` lines before `end` begin. Parts of a line of one stream count as one
/// line; where the other stream wrote in between, the first line may begin within. Where fewer are kept,
/// that is the log's very beginning, and a reader says what is gone of it.
pub(crate) fn tail(folder: &Path, end: Place, count: u64) -> io::Result<Place> {
    let mut counter = Counter {
        left: count,
        seen: Vec::new(),
    };
    let mut place = end;
    for number in segment::list(folder)?
        .into_iter()
        .rev()
        .filter(|number| *number <= end.segment)
    {
        let file = match File::open(segment::path(folder, number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let mut upto = if number == end.segment {
            end.offset
        } else {
            file.metadata()?.len()
        };
        // What is behind the last line feed is no line yet.
        let mut later: Option<Vec<u8>> = None;
        while upto > 0 {
            let from = upto.saturating_sub(CHUNK_BYTES as u64);
            let mut chunk = vec![0; usize::try_from(upto - from).unwrap_or(CHUNK_BYTES)];
            file.read_exact_at(&mut chunk, from)?;
            while let Some(feed) = chunk.iter().rposition(|byte| *byte == b'\n') {
                let mut text = chunk.split_off(feed + 1);
                chunk.truncate(feed);
                let at = from + feed as u64 + 1;
                if let Some(rest) = later.replace(Vec::new()) {
                    text.extend_from_slice(&rest);
                    if !counter.takes(&text) {
                        return Ok(place);
                    }
                    place = Place {
                        segment: number,
                        offset: at,
                    };
                }
            }
            if let Some(rest) = later.as_mut() {
                chunk.extend_from_slice(rest);
                *rest = chunk;
                if rest.len() > 4 * CHUNK_BYTES {
                    return Ok(place);
                }
            }
            upto = from;
        }
        if let Some(text) = later {
            if !counter.takes(&text) {
                return Ok(place);
            }
            place = Place::start_of(number);
        }
    }
    Ok(if counter.left > 0 {
        Place::start_of(1)
    } else {
        place
    })
}

/// Counts lines from the last to the first.
struct Counter {
    left: u64,
    /// The streams of which a line has been counted whose beginning is still ahead.
    seen: Vec<Stream>,
}

impl Counter {
    /// Whether this line of the log is still wanted.
    fn takes(&mut self, text: &[u8]) -> bool {
        // A damaged line is shown as an event of its own.
        let (stream, complete) =
            line::parse(text).map_or((Stream::Event, true), |line| (line.stream, line.complete));
        if !complete && self.seen.contains(&stream) {
            return true;
        }
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        if !self.seen.contains(&stream) {
            self.seen.push(stream);
        }
        true
    }
}
