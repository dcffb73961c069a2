//! Lines out of a stream: joined from its pieces, with their times, and with cursors from which a
//! reader goes on exactly.
//!
//! A cursor is a time and a number: so many entries at or after that time were read. A stream that is
//! opened again from that time gives the same entries in the same order, whatever order their times are
//! in, so leaving out that many loses nothing and repeats nothing. The time lies a little in the past,
//! because one entry may be written after another that has a later time.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use fleet_model::Error;
use jiff::Timestamp;

use super::framing::Piece;
use super::policy::TimeFormat;
use crate::log::limits::LINE_BYTES;
use crate::source::{Frame, Stream};

/// How far times may be out of order, in nanoseconds.
const SLACK_NS: i64 = 2_000_000_000;
/// The longest text that is a time.
const TIME_BYTES: usize = 64;

/// How much is asked for again: entries at or after a time, of which so many are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cursor {
    /// Unix nanoseconds.
    pub(crate) from_ns: i64,
    pub(crate) known: u64,
    /// The latest time among those. What is later is new, also where the service has thrown some of
    /// the known ones away.
    pub(crate) newest_ns: i64,
}

impl Cursor {
    /// Reads one: `FROM+NUMBER~NEWEST`, times as `seconds.nanoseconds`.
    ///
    /// # Errors
    /// `invalid` (`bad-cursor`).
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let read = || {
            let (from, rest) = text.split_once('+')?;
            let (known, newest) = rest.split_once('~')?;
            Some(Self {
                from_ns: unix(from)?,
                known: known.parse().ok()?,
                newest_ns: unix(newest)?,
            })
        };
        read().ok_or_else(|| {
            let shown: String = text.chars().take(60).collect();
            Error::invalid(
                "bad-cursor",
                format!(
                    "`{shown}` is no cursor of this stream: give one that came with a line, or none"
                ),
            )
        })
    }

    /// The time, as a service wants it.
    pub(crate) fn time(self, format: TimeFormat) -> String {
        match format {
            TimeFormat::Unix => seconds(self.from_ns),
            TimeFormat::Rfc3339 => Timestamp::from_nanosecond(self.from_ns.into())
                .map(|time| time.to_string())
                .unwrap_or_default(),
        }
    }
}

fn seconds(ns: i64) -> String {
    let (seconds, rest) = (ns.div_euclid(1_000_000_000), ns.rem_euclid(1_000_000_000));
    format!("{seconds}.{rest:09}")
}

/// `seconds` or `seconds.fraction` in nanoseconds.
pub(crate) fn unix(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    if !is_digits(whole) || !is_digits(part) || part.len() > 9 {
        return None;
    }
    let nanos = format!("{part:0<9}").parse::<i64>().ok()?;
    whole
        .parse::<i64>()
        .ok()?
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
}

fn rfc3339(text: &str) -> Option<i64> {
    let time: Timestamp = text.parse().ok()?;
    i64::try_from(time.as_nanosecond()).ok()
}

/// A time as a service writes it.
pub(crate) fn time(text: &str, format: TimeFormat) -> Option<i64> {
    match format {
        TimeFormat::Unix => unix(text),
        TimeFormat::Rfc3339 => rfc3339(text),
    }
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// With all there is, or all since a time.
    Whole { since_ns: Option<i64> },
    /// Somewhere.
    Middle,
    /// With what was known already.
    After(Cursor),
}

/// Counts entries for cursors.
#[derive(Debug)]
struct Counter {
    begin: Begin,
    /// From where on entries are counted.
    anchor: Option<i64>,
    newest: i64,
    /// The times of all entries at or after it.
    counted: VecDeque<i64>,
    /// How many still have to be left out.
    skip: u64,
}

/// What is done with an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    Known,
    New(String),
}

impl Counter {
    fn new(begin: Begin) -> Self {
        let (anchor, skip) = match begin {
            Begin::After(cursor) => (Some(cursor.from_ns), cursor.known),
            Begin::Whole { .. } | Begin::Middle => (None, 0),
        };
        Self {
            begin,
            anchor,
            newest: i64::MIN,
            counted: VecDeque::new(),
            skip,
        }
    }

    fn count(&mut self, time_ns: i64) -> Verdict {
        let begin = self.begin;
        let anchor = *self.anchor.get_or_insert_with(|| match begin {
            Begin::Whole { since_ns } => time_ns
                .saturating_sub(SLACK_NS)
                .max(since_ns.unwrap_or(i64::MIN)),
            Begin::Middle | Begin::After(_) => time_ns,
        });
        if time_ns >= anchor {
            self.counted.push_back(time_ns);
            if let Begin::After(cursor) = begin
                && self.skip > 0
            {
                self.newest = self.newest.max(time_ns);
                if time_ns <= cursor.newest_ns {
                    self.skip -= 1;
                    return Verdict::Known;
                }
                if time_ns.saturating_sub(cursor.newest_ns) > SLACK_NS {
                    self.skip = 0;
                }
            }
        } else if matches!(begin, Begin::After(cursor) if cursor.from_ns == anchor) {
            // A service that knows only whole seconds gives more than was asked for.
            return Verdict::Known;
        }
        self.newest = self.newest.max(time_ns);
        let anchor = self.advance(anchor);
        let (from, known) = (seconds(anchor), self.counted.len());
        Verdict::New(format!("{from}+{known}~{}", seconds(self.newest)))
    }

    fn advance(&mut self, anchor: i64) -> i64 {
        if self.skip > 0 || self.newest.saturating_sub(anchor) <= 2 * SLACK_NS {
            return anchor;
        }
        let anchor = self.newest.saturating_sub(SLACK_NS);
        self.counted.retain(|time| *time >= anchor);
        self.anchor = Some(anchor);
        anchor
    }
}

/// Where times stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    /// Nowhere.
    None,
    /// At the begin of each frame.
    PerFrame,
    /// At the begin of each line.
    PerLine,
}

/// Makes lines.
#[derive(Debug)]
pub(crate) struct Joiner {
    times: Times,
    counter: Counter,
    out: Lane,
    err: Lane,
}

/// One stream's part of it.
#[derive(Debug, Default)]
struct Lane {
    held: BytesMut,
    /// Whether what comes next is a time.
    wants_time: bool,
    time_ns: Option<i64>,
    cursor: Option<String>,
    is_known: bool,
}

impl Joiner {
    pub(crate) fn new(times: Times, begin: Begin) -> Self {
        let lane = || Lane {
            wants_time: times == Times::PerLine,
            ..Lane::default()
        };
        Self {
            times,
            counter: Counter::new(begin),
            out: lane(),
            err: lane(),
        }
    }

    /// The lines that are whole with this.
    pub(crate) fn take(&mut self, piece: &Piece) -> Vec<Frame> {
        let lane = match piece.stream {
            Stream::Stderr => &mut self.err,
            Stream::Stdout | Stream::Event => &mut self.out,
        };
        let mut frames = Vec::new();
        if self.times == Times::PerFrame && piece.is_first {
            lane.wants_time = true;
        }
        lane.held.extend_from_slice(&piece.bytes);
        loop {
            if lane.wants_time {
                let end = lane
                    .held
                    .iter()
                    .take(TIME_BYTES)
                    .position(|byte| *byte == b' ');
                let is_unfinished =
                    end.is_none() && lane.held.len() < TIME_BYTES && !lane.held.contains(&b'\n');
                if is_unfinished && !(self.times == Times::PerFrame && piece.is_last) {
                    break;
                }
                lane.begin(end, &mut self.counter);
            }
            if !lane.line(piece.stream, self.times, &mut frames) {
                break;
            }
        }
        if self.times == Times::PerFrame && piece.is_last {
            lane.flush(piece.stream, &mut frames);
        }
        frames
    }

    /// What is left when the stream ends.
    pub(crate) fn finish(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (stream, lane) in [
            (Stream::Stdout, &mut self.out),
            (Stream::Stderr, &mut self.err),
        ] {
            if lane.wants_time && !lane.held.is_empty() {
                lane.begin(None, &mut self.counter);
            }
            lane.flush(stream, &mut frames);
        }
        frames
    }
}

impl Lane {
    /// An entry begins, with a time that ends at `end`.
    fn begin(&mut self, end: Option<usize>, counter: &mut Counter) {
        self.wants_time = false;
        let text = end.and_then(|end| self.held.get(..end));
        let time = text
            .and_then(|text| std::str::from_utf8(text).ok())
            .and_then(rfc3339);
        self.time_ns = time;
        (self.cursor, self.is_known) = match time.map(|time| counter.count(time)) {
            None => (None, false),
            Some(Verdict::Known) => (None, true),
            Some(Verdict::New(cursor)) => (Some(cursor), false),
        };
        if let (Some(_), Some(end)) = (time, end) {
            let _ = self.held.split_to(end + 1);
        }
    }

    /// Takes a line or a part of one, if there is one.
    fn line(&mut self, stream: Stream, times: Times, frames: &mut Vec<Frame>) -> bool {
        let end = self
            .held
            .iter()
            .take(LINE_BYTES + 1)
            .position(|byte| *byte == b'\n');
        match end {
            Some(end) => {
                let bytes = self.held.split_to(end + 1).freeze();
                let is_last = times != Times::PerFrame || self.held.is_empty();
                self.give(stream, bytes.slice(..end), true, is_last, frames);
                self.wants_time = times == Times::PerLine;
                true
            }
            None if self.held.len() > LINE_BYTES => {
                let bytes = self.held.split_to(LINE_BYTES).freeze();
                self.give(stream, bytes, false, false, frames);
                true
            }
            None => false,
        }
    }

    fn flush(&mut self, stream: Stream, frames: &mut Vec<Frame>) {
        if !self.held.is_empty() {
            let bytes = self.held.split().freeze();
            self.give(stream, bytes, false, true, frames);
        }
    }

    fn give(
        &self,
        stream: Stream,
        bytes: Bytes,
        complete: bool,
        is_last: bool,
        frames: &mut Vec<Frame>,
    ) {
        if !self.is_known {
            frames.push(Frame {
                stream,
                time_us: self.time_ns.and_then(|ns| u64::try_from(ns / 1_000).ok()),
                bytes,
                complete,
                cursor: self.cursor.clone().filter(|_| is_last),
            });
        }
    }
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
