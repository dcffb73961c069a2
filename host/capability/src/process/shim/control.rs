//! The slot's control socket: where the host's demands come in.
//!
//! A connection brings one line, and is answered with one or taken over by who serves it on. Nobody
//! on it is waited for: whoever is silent for [`SILENCE_MS`] is cut off, and while all places are
//! taken the others queue up.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bound::Bound;
use crate::input::message::LINE_BYTES;

/// How many connections are served at once.
const LINES: usize = 8;

/// How long a connection may take to say its line and to hear the answer.
const SILENCE_MS: u64 = 2_000;

/// The control socket and who is on it.
pub(super) struct Control {
    socket: Bound,
    lines: Vec<Line>,
}

/// One connection.
struct Line {
    stream: UnixStream,
    until_ms: u64,
    state: State,
}

enum State {
    /// What it has said so far.
    Hearing(Vec<u8>),
    /// It is being served.
    Heard,
    /// What it has not taken yet of its answer.
    Telling(Vec<u8>),
    Over,
}

/// Which connection a demand came on.
#[derive(Debug, Clone, Copy)]
pub(super) struct LineId(usize);

impl Control {
    pub(super) fn new(socket: Bound) -> Self {
        Self {
            socket,
            lines: Vec::new(),
        }
    }

    pub(super) fn watch<'f>(&'f self, watched: &mut Vec<PollFd<'f>>) {
        for line in &self.lines {
            let flags = match line.state {
                State::Telling(_) => PollFlags::OUT,
                _ => PollFlags::IN,
            };
            watched.push(PollFd::from_borrowed_fd(line.stream.as_fd(), flags));
        }
        let flags = if self.lines.len() < LINES {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        watched.push(PollFd::from_borrowed_fd(self.socket.as_fd(), flags));
    }

    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        let waits = self.lines.iter();
        waits.map(|line| line.until_ms.saturating_sub(now_ms)).min()
    }

    /// Takes what came; `seen` are the flags of what [`Self::watch`] named, in order.
    pub(super) fn turn<D: DeserializeOwned>(
        &mut self,
        seen: &mut impl Iterator<Item = PollFlags>,
        buffer: &mut [u8],
        now_ms: u64,
    ) -> Vec<(LineId, io::Result<D>)> {
        let mut demands = Vec::new();
        for (place, line) in self.lines.iter_mut().enumerate() {
            if !seen.next().unwrap_or(PollFlags::empty()).is_empty() {
                demands.extend(line.turn(buffer).map(|demand| (LineId(place), demand)));
            }
            if now_ms >= line.until_ms && !matches!(line.state, State::Heard) {
                line.state = State::Over;
            }
        }
        if seen.next().is_some_and(|flags| !flags.is_empty()) {
            while self.lines.len() < LINES
                && let Some(stream) = self.socket.accept()
            {
                self.lines.push(Line {
                    stream,
                    until_ms: now_ms + SILENCE_MS,
                    state: State::Hearing(Vec::new()),
                });
            }
        }
        demands
    }

    /// Answers a demand of this turn.
    pub(super) fn answer(&mut self, from: LineId, reply: &impl Serialize) {
        if let Some(line) = self.lines.get_mut(from.0) {
            let mut text = serde_json::to_vec(reply).unwrap_or_default();
            text.push(b'\n');
            line.tell(text);
        }
    }

    /// Hands out the connection of a demand of this turn; it is no longer served here.
    pub(super) fn take(&mut self, from: LineId) -> io::Result<UnixStream> {
        let line = self.lines.get_mut(from.0);
        let line = line.ok_or(io::ErrorKind::NotConnected)?;
        line.state = State::Over;
        line.stream.try_clone()
    }

    /// Ends the turn: connections that are over go.
    pub(super) fn settle(&mut self) {
        self.lines.retain(|line| !matches!(line.state, State::Over));
    }
}

impl Line {
    fn turn<D: DeserializeOwned>(&mut self, buffer: &mut [u8]) -> Option<io::Result<D>> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Hearing(held) => self.hear(held, buffer),
            State::Telling(rest) => {
                self.tell(rest);
                None
            }
            State::Heard | State::Over => None,
        }
    }

    fn hear<D: DeserializeOwned>(
        &mut self,
        mut held: Vec<u8>,
        buffer: &mut [u8],
    ) -> Option<io::Result<D>> {
        match self.stream.read(buffer) {
            Ok(0) => return None,
            Ok(count) => held.extend_from_slice(buffer.get(..count).unwrap_or_default()),
            Err(error) if is_passing(&error) => {}
            Err(_) => return None,
        }
        if held.last() == Some(&b'\n') {
            self.state = State::Heard;
            return Some(serde_json::from_slice(&held).map_err(io::Error::from));
        }
        if held.len() <= LINE_BYTES {
            self.state = State::Hearing(held);
        }
        None
    }

    fn tell(&mut self, mut rest: Vec<u8>) {
        match self.stream.write(&rest) {
            Ok(count) if count == rest.len() => self.state = State::Over,
            Ok(count) => {
                rest.drain(..count);
                self.state = State::Telling(rest);
            }
            Err(error) if is_passing(&error) => self.state = State::Telling(rest),
            Err(_) => self.state = State::Over,
        }
    }
}

/// Whether the same may succeed later.
pub(super) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}
