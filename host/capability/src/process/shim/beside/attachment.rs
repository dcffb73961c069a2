//! Who reads a program's output and writes its input, as the shim sees them.
//!
//! Frames are made as the connection takes them, from what is true then, so nothing piles up here.
//! Output goes out of the ring itself.

use std::io::{self, IoSlice, Read, Write};
use std::ops::Range;
use std::os::unix::net::UnixStream;

use fleet_model::Error;
use rustix::event::PollFlags;

use super::intake::Intake;
use super::ring::Ring;
use crate::process::exec::limits::{CHUNK_BYTES, WINDOW_BYTES};
use crate::process::exec::wire::{self, HEAD_BYTES, Inward, Outward};
use crate::process::shim::control::is_passing;

/// How long who was sent away may take to hear it.
const FAREWELL_MS: u64 = 2_000;

/// What there is to tell.
#[derive(Clone, Copy)]
pub(super) struct News<'a> {
    pub(super) ring: &'a Ring,
    pub(super) intake: &'a Intake,
    pub(super) course: Course,
}

/// Whether more output may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    Running,
    /// The program ended, its output is in the ring, and its exit is recorded.
    Over,
}

/// What the other side said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    Seen(u64),
    InputEnd,
}

/// One connection that is attached.
pub(super) struct Attachment {
    stream: UnixStream,
    /// A frame that has not come whole.
    held: Vec<u8>,
    /// What is on its way: a frame but for its output, and that.
    head: Vec<u8>,
    written: usize,
    body: Range<u64>,
    /// Where output goes on, and up to where it may.
    next: u64,
    window: u64,
    told: Option<wire::Intake>,
    has_told_end: bool,
}

impl Attachment {
    /// One that knows the output up to `after`.
    pub(super) fn new(stream: UnixStream, after: u64) -> Self {
        Self {
            stream,
            held: Vec::new(),
            head: Vec::new(),
            written: 0,
            body: after..after,
            next: after,
            window: after.saturating_add(WINDOW_BYTES),
            told: None,
            has_told_end: false,
        }
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// What to wait for on its connection.
    pub(super) fn flags(&self, news: News<'_>) -> PollFlags {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, self.is_writing() || self.has_news(news));
        flags
    }

    /// Whether it has all there is, and the end.
    pub(super) fn has_all(&self) -> bool {
        self.has_told_end && !self.is_writing()
    }

    /// Takes what it says.
    ///
    /// # Errors
    /// Where it is gone, or talks nonsense; then there is nothing more to say to it.
    pub(super) fn hear(
        &mut self,
        buffer: &mut [u8],
        intake: &mut Intake,
    ) -> io::Result<Vec<Heard>> {
        match self.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => self
                .held
                .extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_passing(&error) => {}
            Err(error) => return Err(error),
        }
        let mut heard = Vec::new();
        let mut rest = self.held.as_slice();
        while let Some((kind, length)) = wire::head(rest)? {
            let Some((frame, after)) = rest.split_at_checked(HEAD_BYTES + length) else {
                break;
            };
            match Inward::decode(kind, frame.get(HEAD_BYTES..).unwrap_or_default())? {
                Inward::Input(offset, bytes) => {
                    intake.take(offset, bytes).map_err(io::Error::other)?;
                }
                Inward::InputEnd => heard.push(Heard::InputEnd),
                Inward::Seen(offset) => heard.push(Heard::Seen(offset.min(self.next))),
                Inward::Window(offset) => self.window = self.window.max(offset),
            }
            rest = after;
        }
        let used = self.held.len() - rest.len();
        self.held.drain(..used);
        Ok(heard)
    }

    /// Tells what is new, as far as the connection takes it.
    ///
    /// # Errors
    /// Where it is gone.
    pub(super) fn tell(&mut self, news: News<'_>) -> io::Result<()> {
        loop {
            while self.is_writing() {
                if !self.write(news.ring)? {
                    return Ok(());
                }
            }
            if !self.next_frame(news) {
                return Ok(());
            }
        }
    }

    /// What it still has to hear, when another takes its place: the rest of a frame, and why.
    pub(super) fn dismiss(self, ring: &Ring, why: Error, now_ms: u64) -> Farewell {
        let mut bytes = self.head.get(self.written..).unwrap_or_default().to_vec();
        bytes.extend_from_slice(ring.bytes(self.body));
        Farewell::after(self.stream, bytes, why, now_ms)
    }

    fn is_writing(&self) -> bool {
        self.written < self.head.len() || !self.body.is_empty()
    }

    fn has_news(&self, news: News<'_>) -> bool {
        let News {
            ring,
            intake,
            course,
        } = news;
        self.told.is_none_or(|told| intake.is_news(told))
            || self.next < ring.first()
            || self.next < ring.end().min(self.window)
            || (course == Course::Over && self.next == ring.end() && !self.has_told_end)
    }

    /// Makes the next frame, if there is one to make.
    fn next_frame(&mut self, news: News<'_>) -> bool {
        if !self.has_news(news) {
            return false;
        }
        let ring = news.ring;
        self.head.clear();
        self.written = 0;
        let now = news.intake.told();
        match self.told {
            None => Outward::Begin(now).encode(&mut self.head),
            Some(told) if news.intake.is_news(told) => Outward::Intake(now).encode(&mut self.head),
            _ if self.next < ring.first() => {
                self.next = ring.first();
                // What was never sent need not be asked for.
                self.window = self.window.max(self.next.saturating_add(WINDOW_BYTES));
                Outward::Gap(self.next).encode(&mut self.head);
                return true;
            }
            _ if self.next < ring.end() => return self.next_output(ring),
            _ => {
                self.has_told_end = true;
                Outward::Ended.encode(&mut self.head);
                return true;
            }
        }
        self.told = Some(now);
        true
    }

    fn next_output(&mut self, ring: &Ring) -> bool {
        let Some((stream, bytes)) = ring.piece(self.next) else {
            return false;
        };
        let allowed = usize::try_from(self.window - self.next).unwrap_or(usize::MAX);
        let count = bytes.len().min(CHUNK_BYTES).min(allowed);
        let end = self.next + count as u64;
        wire::output_head(stream, end, count, &mut self.head);
        self.body = self.next..end;
        self.next = end;
        true
    }

    /// Writes once; `false` where it takes no more now.
    fn write(&mut self, ring: &Ring) -> io::Result<bool> {
        let head = self.head.get(self.written..).unwrap_or_default();
        let parts = [
            IoSlice::new(head),
            IoSlice::new(ring.bytes(self.body.clone())),
        ];
        match (&self.stream).write_vectored(&parts) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                let of_head = count.min(head.len());
                self.written += of_head;
                self.body.start += (count - of_head) as u64;
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) if is_passing(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A connection that is told why it is cut off.
pub(super) struct Farewell {
    stream: UnixStream,
    bytes: Vec<u8>,
    pub(super) until_ms: u64,
}

impl Farewell {
    /// For one to which nothing was said.
    pub(super) fn new(stream: UnixStream, why: Error, now_ms: u64) -> Self {
        Self::after(stream, Vec::new(), why, now_ms)
    }

    fn after(stream: UnixStream, mut bytes: Vec<u8>, why: Error, now_ms: u64) -> Self {
        Outward::Failed(why).encode(&mut bytes);
        Self {
            stream,
            bytes,
            until_ms: now_ms + FAREWELL_MS,
        }
    }

    pub(super) fn stream(&self) -> &UnixStream {
        &self.stream
    }

    /// Says what it takes; whether anything is left to say.
    pub(super) fn say(&mut self, now_ms: u64) -> bool {
        match (&self.stream).write(&self.bytes) {
            Ok(count) => {
                self.bytes.drain(..count);
            }
            Err(error) if is_passing(&error) => {}
            Err(_) => self.bytes.clear(),
        }
        !self.bytes.is_empty() && now_ms < self.until_ms
    }
}
