//! Packets from the program's connections to the spool, as part of the shim's one loop.
//!
//! What arrives in one turn is one batch: one write, one sync, one bell, and then the answers.
//! See [`crate::packets`] for what is promised.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use rustix::event::{PollFd, PollFlags};

use super::bound::Bound;
use super::control::is_passing;
use super::launch::unix_ms;
use super::points::{ShimPoint, ShimPoints};
use crate::packets::lines::{Lines, Said};
use crate::packets::refusals::Refusals;
use crate::packets::writer::Writer;
use crate::packets::{bell, check};

/// How many connections are served at once.
const EMITTERS: usize = 64;

/// How many bytes of answers are held for a connection that does not read them.
const ANSWER_BYTES: usize = 16 * 1024;

/// All that emits packets of one workload.
pub(super) struct Emitters<'a> {
    points: &'a dyn ShimPoints,
    socket: Bound,
    emitters: Vec<Emitter>,
    writer: Writer<'a>,
    refusals: Refusals,
    /// The folder of all workloads, and this one's name in it.
    root: PathBuf,
    workload: String,
}

/// One connection.
struct Emitter {
    stream: UnixStream,
    lines: Lines,
    state: State,
    /// What becomes of its lines of this turn.
    outcomes: Vec<Outcome>,
    /// Answers it has not taken yet.
    answers: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// More may come, any time.
    Open,
    /// Its other end is closed; what is still in it comes.
    HungUp,
    /// Nothing more comes.
    Over,
}

enum Outcome {
    /// It is the packet of this place in the batch.
    Packet(usize),
    Refused(String),
}

impl<'a> Emitters<'a> {
    pub(super) fn new(
        socket: Bound,
        writer: Writer<'a>,
        root: PathBuf,
        workload: String,
        points: &'a dyn ShimPoints,
    ) -> Self {
        Self {
            points,
            socket,
            emitters: Vec::new(),
            writer,
            refusals: Refusals::default(),
            root,
            workload,
        }
    }

    /// Lets the host have what an earlier try left.
    pub(super) fn resume(&mut self) {
        // Where it fails, the first packet tries again and is refused if it must be.
        if self.writer.resume().unwrap_or(false) {
            bell::ring(&self.root, &self.workload);
        }
    }

    pub(super) fn watch<'f>(&'f self, watched: &mut Vec<PollFd<'f>>) {
        for emitter in &self.emitters {
            let mut flags = PollFlags::IN;
            flags.set(PollFlags::OUT, !emitter.answers.is_empty());
            watched.push(PollFd::from_borrowed_fd(emitter.stream.as_fd(), flags));
        }
        let flags = if self.emitters.len() < EMITTERS {
            PollFlags::IN
        } else {
            PollFlags::empty()
        };
        watched.push(PollFd::from_borrowed_fd(self.socket.as_fd(), flags));
    }

    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        self.refusals.wait_ms(now_ms)
    }

    /// Takes what came; `seen` are the flags of what [`Self::watch`] named, in order. Gives what is
    /// to be said in the log.
    pub(super) fn turn(
        &mut self,
        seen: &mut impl Iterator<Item = PollFlags>,
        buffer: &mut [u8],
        now_ms: u64,
    ) -> Option<String> {
        let mut batch = Vec::new();
        for emitter in &mut self.emitters {
            let flags = seen.next().unwrap_or(PollFlags::empty());
            if flags.contains(PollFlags::HUP) && emitter.state == State::Open {
                emitter.state = State::HungUp;
            }
            if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                emitter.read(buffer, &mut batch, &mut self.refusals);
            }
        }
        if seen.next().is_some_and(|flags| !flags.is_empty()) {
            self.accept();
        }
        let mut numbers = Vec::new();
        let mut why = String::new();
        if !batch.is_empty() {
            let kept = self.writer.append(unix_ms(), &batch);
            if !kept.numbers.is_empty() {
                self.points.reach(ShimPoint::BeforeBell);
                bell::ring(&self.root, &self.workload);
                self.points.reach(ShimPoint::AfterBell);
            }
            if let Some(error) = kept.error {
                why = format!("it cannot be kept now: {error}");
                for _ in kept.numbers.len()..batch.len() {
                    self.refusals.note(&why);
                }
            }
            numbers = kept.numbers;
        }
        for emitter in &mut self.emitters {
            emitter.answer(&numbers, &why);
        }
        self.emitters.retain(|emitter| emitter.state != State::Over);
        self.refusals.due(now_ms)
    }

    /// Whether connections are open of which more may come, also if nobody is left who could say it.
    pub(super) fn has_open(&mut self) -> bool {
        self.accept();
        !self.emitters.is_empty()
    }

    /// Whether connections hold what was said before they were closed.
    pub(super) fn has_rest(&self) -> bool {
        let mut emitters = self.emitters.iter();
        emitters.any(|emitter| emitter.state == State::HungUp)
    }

    /// Ends it. Gives what is still to be said in the log.
    pub(super) fn finish(&mut self) -> Option<String> {
        self.writer.settle();
        self.refusals.rest()
    }

    fn accept(&mut self) {
        while self.emitters.len() < EMITTERS
            && let Some(stream) = self.socket.accept()
        {
            self.emitters.push(Emitter {
                stream,
                lines: Lines::default(),
                state: State::Open,
                outcomes: Vec::new(),
                answers: Vec::new(),
            });
        }
    }
}

impl Emitter {
    fn read(&mut self, buffer: &mut [u8], batch: &mut Vec<String>, refusals: &mut Refusals) {
        let outcomes = &mut self.outcomes;
        let emit = |said: Said<'_>| {
            let packet = match said {
                Said::Line(line) => check::check(line),
                Said::TooLarge => Err(check::too_large()),
            };
            outcomes.push(match packet {
                Ok(packet) => {
                    batch.push(packet.to_owned());
                    Outcome::Packet(batch.len() - 1)
                }
                Err(why) => {
                    refusals.note(&why);
                    Outcome::Refused(why)
                }
            });
        };
        match self.stream.read(buffer) {
            Ok(count) if count > 0 => {
                self.lines
                    .feed(buffer.get(..count).unwrap_or_default(), emit);
            }
            Err(error) if is_passing(&error) => {}
            // Whoever closes with answers unread resets the connection; what it said came before.
            Ok(_) | Err(_) => {
                self.lines.finish(emit);
                self.state = State::Over;
            }
        }
    }

    /// Says what became of this turn's lines: `numbers` are those of the batch's packets, as far as
    /// they were kept, and `why` is why the others were not.
    fn answer(&mut self, numbers: &[u64], why: &str) {
        for outcome in self.outcomes.drain(..) {
            let line = match outcome {
                Outcome::Packet(place) => match numbers.get(place) {
                    Some(number) => format!("{{\"seq\":{number}}}\n"),
                    None => refusal(why),
                },
                Outcome::Refused(why) => refusal(&why),
            };
            if self.answers.len() + line.len() <= ANSWER_BYTES {
                self.answers.extend_from_slice(line.as_bytes());
            }
        }
        while !self.answers.is_empty() {
            match self.stream.write(&self.answers) {
                Ok(count) => {
                    self.answers.drain(..count);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if is_passing(&error) => return,
                Err(_) => self.answers.clear(),
            }
        }
    }
}

fn refusal(why: &str) -> String {
    let mut line = serde_json::json!({ "error": why }).to_string();
    line.push('\n');
    line
}
