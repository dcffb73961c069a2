//! The newest output of a program, with the stream of each byte and one offset over both streams.
//!
//! Memory comes in segments as it is needed. Who fills it says from where on nothing may be dropped;
//! what lies before that is kept as long as there is room.

use std::collections::VecDeque;
use std::ops::Range;

use crate::process::exec::limits::{CHUNK_BYTES, KEPT_BYTES};
use crate::source::Stream;

/// The size of a segment, and how much goes at once when room is needed.
const SEGMENT: usize = CHUNK_BYTES;
const STEP: u64 = SEGMENT as u64;

/// How much may be held.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    bytes: u64,
    /// How often the stream may change in it: many small pieces take more room than their bytes.
    runs: usize,
}

/// What is kept while the program runs.
pub(crate) const KEPT: Limit = Limit {
    bytes: KEPT_BYTES,
    runs: 32 * 1024,
};

/// The same, with what may be in the pipes when the program ends: that is taken though nobody reads.
pub(crate) const ALL: Limit = Limit {
    bytes: KEPT_BYTES + 4 * 1024 * 1024,
    runs: 1024 * 1024,
};

/// Bytes of one stream, up to this offset.
struct Run {
    stream: Stream,
    end: u64,
}

/// What is kept.
#[derive(Default)]
pub(crate) struct Ring {
    segments: VecDeque<Box<[u8]>>,
    /// The offset at which the first segment begins.
    base: u64,
    first: u64,
    end: u64,
    runs: VecDeque<Run>,
    /// One that was emptied, for the next.
    spare: Option<Box<[u8]>>,
}

impl Ring {
    /// The offset of the oldest byte that is kept.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// The offset after the newest byte.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Whether more fits, if all before `floor` is dropped for it.
    pub(crate) fn has_room(&self, limit: Limit, floor: u64) -> bool {
        let held = self.end - self.first.max(floor.min(self.end));
        let is_fine =
            self.runs.len() < limit.runs || self.runs.front().is_some_and(|run| run.end <= floor);
        held < limit.bytes && is_fine
    }

    /// Where the next bytes go; drops what it must, of what is before `floor`. Empty where there is
    /// no room.
    pub(crate) fn space(&mut self, limit: Limit, floor: u64) -> &mut [u8] {
        while self.runs.len() >= limit.runs
            && let Some(end) = self.runs.front().map(|run| run.end)
            && end <= floor
        {
            self.drop_to(end);
        }
        if self.end - self.first >= limit.bytes {
            let wanted = self.end.saturating_sub(limit.bytes - STEP);
            self.drop_to(wanted.min(floor));
        }
        if self.runs.len() >= limit.runs {
            return &mut [];
        }
        let room = limit.bytes.saturating_sub(self.end - self.first);
        let (segment, offset) = self.place(self.end);
        if segment == self.segments.len() && room > 0 {
            let fresh = self.spare.take();
            let fresh = fresh.unwrap_or_else(|| vec![0; SEGMENT].into_boxed_slice());
            self.segments.push_back(fresh);
        }
        let room = usize::try_from(room).unwrap_or(usize::MAX);
        let end = SEGMENT.min(offset.saturating_add(room));
        self.segments
            .get_mut(segment)
            .and_then(|segment| segment.get_mut(offset..end))
            .unwrap_or_default()
    }

    /// The first `count` bytes of that space were filled.
    pub(crate) fn filled(&mut self, stream: Stream, count: usize) {
        self.end += count as u64;
        match self.runs.back_mut() {
            _ if count == 0 => {}
            Some(run) if run.stream == stream => run.end = self.end,
            _ => self.runs.push_back(Run {
                stream,
                end: self.end,
            }),
        }
    }

    /// Bytes of one stream that lie in one piece: from this offset on, which must be kept.
    pub(crate) fn piece(&self, from: u64) -> Option<(Stream, &[u8])> {
        let run = self.runs.partition_point(|run| run.end <= from);
        let run = self.runs.get(run).filter(|_| from >= self.first)?;
        let (_, offset) = self.place(from);
        let left = (SEGMENT - offset) as u64;
        let end = run.end.min(from + left);
        Some((run.stream, self.bytes(from..end)))
    }

    /// The bytes of a part of a piece.
    pub(crate) fn bytes(&self, part: Range<u64>) -> &[u8] {
        let (segment, offset) = self.place(part.start);
        let count = usize::try_from(part.end - part.start).unwrap_or_default();
        self.segments
            .get(segment)
            .and_then(|segment| segment.get(offset..offset + count))
            .unwrap_or_default()
    }

    /// Keeps nothing any more.
    pub(crate) fn clear(&mut self) {
        self.drop_to(self.end);
        self.segments.clear();
        self.base = self.end - self.end % STEP;
        self.spare = None;
    }

    fn drop_to(&mut self, offset: u64) {
        self.first = self.first.max(offset);
        while self.runs.front().is_some_and(|run| run.end <= self.first) {
            self.runs.pop_front();
        }
        while self.base + STEP <= self.first {
            self.base += STEP;
            self.spare = self.segments.pop_front().or(self.spare.take());
        }
    }

    /// The segment and the place in it of an offset.
    fn place(&self, offset: u64) -> (usize, usize) {
        let place = usize::try_from(offset.saturating_sub(self.base)).unwrap_or(usize::MAX);
        (place / SEGMENT, place % SEGMENT)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SMALL: Limit = Limit {
        bytes: 3 * STEP,
        runs: 8,
    };

    /// Fills in as much of this as there is room for.
    fn put(ring: &mut Ring, limit: Limit, floor: u64, stream: Stream, bytes: &[u8]) -> usize {
        let mut rest = bytes;
        while !rest.is_empty() {
            let has_room = ring.has_room(limit, floor);
            let space = ring.space(limit, floor);
            assert_eq!(space.is_empty(), !has_room);
            let count = space.len().min(rest.len());
            if count == 0 {
                break;
            }
            space[..count].copy_from_slice(&rest[..count]);
            ring.filled(stream, count);
            rest = &rest[count..];
        }
        bytes.len() - rest.len()
    }

    fn all(ring: &Ring, mut from: u64) -> Vec<(Stream, u8)> {
        let mut found = Vec::new();
        while let Some((stream, bytes)) = ring.piece(from) {
            assert!(!bytes.is_empty());
            from += bytes.len() as u64;
            found.extend(bytes.iter().map(|byte| (stream, *byte)));
        }
        assert_eq!(from, ring.end());
        found
    }

    #[test]
    fn what_must_not_be_dropped_stops_the_filling_and_the_rest_goes_when_there_is_need() {
        let mut ring = Ring::default();
        let large = vec![b'x'; 10 * SEGMENT];
        let limit = 3 * SEGMENT;
        assert_eq!(put(&mut ring, SMALL, 0, Stream::Stdout, &large), limit);
        assert_eq!((ring.first(), ring.end()), (0, limit as u64));
        // All before this was seen; it is kept until there is need.
        let seen = STEP / 2;
        assert!(ring.has_room(SMALL, seen));
        assert_eq!(ring.first(), 0);
        let half = SEGMENT / 2;
        assert_eq!(put(&mut ring, SMALL, seen, Stream::Stderr, &large), half);
        assert_eq!(ring.first(), seen);
        // Nobody reads: the oldest go, a step at a time.
        assert_eq!(
            put(&mut ring, SMALL, u64::MAX, Stream::Stdout, &large),
            large.len()
        );
        let kept = ring.end() - ring.first();
        assert!((SMALL.bytes - STEP..=SMALL.bytes).contains(&kept), "{kept}");
        assert!(ring.segments.len() <= 4);
        ring.clear();
        assert_eq!((ring.piece(ring.end()), ring.segments.len()), (None, 0));
        assert_eq!(put(&mut ring, SMALL, 0, Stream::Stderr, b"more"), 4);
        assert_eq!(all(&ring, ring.first()).len(), 4);
    }

    #[test]
    fn many_changes_of_the_stream_take_room_too() {
        let mut ring = Ring::default();
        let streams = [Stream::Stdout, Stream::Stderr];
        let fill = |ring: &mut Ring, floor| {
            (0..100)
                .take_while(|turn| put(ring, SMALL, floor, streams[turn % 2], b"x") == 1)
                .count()
        };
        assert_eq!(fill(&mut ring, 0), SMALL.runs);
        assert!(!ring.has_room(SMALL, 0));
        assert_eq!(fill(&mut ring, u64::MAX), 100);
        assert!(ring.runs.len() <= SMALL.runs);
    }

    proptest! {
        #[test]
        fn what_is_kept_is_what_was_put_in(
            parts in prop::collection::vec((any::<bool>(), 0..SEGMENT * 2, any::<bool>()), 1..20)
        ) {
            let mut ring = Ring::default();
            let mut model = Vec::new();
            let mut next = 0_u8;
            for (is_err, count, is_read) in parts {
                let stream = if is_err { Stream::Stderr } else { Stream::Stdout };
                let bytes: Vec<u8> = (0..count).map(|_| { next = next.wrapping_add(7); next }).collect();
                let floor = if is_read { u64::MAX } else { ring.first() };
                let put = put(&mut ring, SMALL, floor, stream, &bytes);
                model.extend(bytes[..put].iter().map(|byte| (stream, *byte)));
                prop_assert_eq!(ring.end(), model.len() as u64);
                let first = usize::try_from(ring.first()).unwrap();
                prop_assert!(model.len() - first <= 3 * SEGMENT);
                prop_assert!(all(&ring, ring.first()) == model[first..]);
            }
        }
    }
}
