//! Commands on their way to the program, as part of the shim's one loop.
//!
//! What arrives in one turn is one write and one sync of the journal, with the marks of those that
//! begin: where the pipe has room a command is taken and begun in one. See [`crate::input`] for what
//! is promised and why.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;

use fleet_model::{Error, Generation};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;
use rustix::pipe::fcntl_getpipe_size;

use super::control::{Control, LineId, is_passing};
use super::launch::unix_ms;
use super::points::{ShimPoint, ShimPoints};
use crate::fault;
use crate::input::book::{Book, Record, Take, Verdict};
use crate::input::journal::Journal;
use crate::input::limits::COMMAND_BYTES;
use crate::input::message::{Bytes64, Demand, Digest, Reply};
use crate::input::refusal;

/// How long to leave the journal alone after a failure.
const RETRY_MS: u64 = 500;

/// The program's end of its input, as the shim sees it.
enum Pipe {
    /// Writing never blocks.
    Open(File),
    /// The program closed its end.
    Closed,
    /// The program ended.
    Ended,
}

/// The commands of one try.
pub(super) struct Commands<'a> {
    points: &'a dyn ShimPoints,
    generation: Generation,
    control: Control,
    journal: Journal,
    book: Book,
    pipe: Pipe,
    /// What was begun and is not written yet, and how far the first is.
    outgoing: VecDeque<Vec<u8>>,
    written: usize,
    /// When the journal is tried again after a failure: milliseconds of the monotonic clock.
    not_before_ms: u64,
}

impl<'a> Commands<'a> {
    /// Commands for a try of this generation; none go out before [`Self::connect`].
    pub(super) fn new(
        control: Control,
        journal: Journal,
        book: Book,
        generation: Generation,
        points: &'a dyn ShimPoints,
    ) -> Self {
        Self {
            points,
            generation,
            control,
            journal,
            book,
            pipe: Pipe::Ended,
            outgoing: VecDeque::new(),
            written: 0,
            not_before_ms: 0,
        }
    }

    /// The program's input.
    pub(super) fn connect(&mut self, pipe: File) {
        self.pipe = Pipe::Open(pipe);
    }

    /// Drops what was meant for an older generation. It is said first: twice, if need be.
    pub(super) fn drop_outdated(&mut self, say: impl FnOnce(&[String])) {
        let outdated = self.book.outdated(self.generation);
        let numbers: Vec<u64> = outdated.iter().map(|take| take.number).collect();
        let texts: Vec<String> = outdated
            .iter()
            .map(|take| {
                format!(
                    "the command `{}` was not given to the program: it was sent to generation {}, and this is generation {}",
                    take.call, take.generation, self.generation
                )
            })
            .collect();
        if numbers.is_empty() {
            return;
        }
        say(&texts);
        // Where this fails they stay, are given to nobody, and are said again by the next try.
        let next = self.book.next();
        if self.commit(&[Record::Drop(numbers.clone())], next).is_ok() {
            self.book.apply(Record::Drop(numbers));
        }
    }

    /// The program ended: nothing more is written, and nothing more is taken.
    pub(super) fn end(&mut self) {
        self.pipe = Pipe::Ended;
        self.outgoing.clear();
        self.settle(self.not_before_ms);
    }

    pub(super) fn watch<'f>(&'f self, watched: &mut Vec<PollFd<'f>>) {
        if let Pipe::Open(pipe) = &self.pipe {
            // Without a flag the end of its reader is told all the same.
            let flags = if self.has_work() && self.not_before_ms == 0 {
                PollFlags::OUT
            } else {
                PollFlags::empty()
            };
            watched.push(PollFd::from_borrowed_fd(pipe.as_fd(), flags));
        }
        self.control.watch(watched);
    }

    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        let stalled = (self.not_before_ms > 0).then(|| self.not_before_ms.saturating_sub(now_ms));
        self.control
            .wait_ms(now_ms)
            .into_iter()
            .chain(stalled)
            .min()
    }

    /// Moves everything on as far as it goes; `seen` are the flags of what [`Self::watch`] named.
    pub(super) fn turn(
        &mut self,
        seen: &mut impl Iterator<Item = PollFlags>,
        buffer: &mut [u8],
        now_ms: u64,
    ) {
        if matches!(self.pipe, Pipe::Open(_))
            && seen
                .next()
                .is_some_and(|flags| flags.contains(PollFlags::ERR))
        {
            self.close();
        }
        if now_ms >= self.not_before_ms {
            self.not_before_ms = 0;
        }
        let demands = self.control.turn(seen, buffer, now_ms);
        let mut taken = Taken::default();
        for (from, demand) in demands {
            let answer = match demand {
                Ok(Demand::Send { call, bytes }) => self.consider(call, bytes, &mut taken),
                Err(error) => Err(Error::invalid(
                    "bad-demand",
                    format!("the keeper does not understand its host: {error}"),
                )),
            };
            taken.answers.push((from, answer));
        }
        self.advance(taken, now_ms);
        self.settle(now_ms);
        self.control.settle();
    }

    fn has_work(&self) -> bool {
        !self.outgoing.is_empty() || self.book.has_due(self.generation)
    }

    fn close(&mut self) {
        self.pipe = Pipe::Closed;
        self.outgoing.clear();
    }

    /// What to answer once all of this turn is durable.
    fn consider(&mut self, call: String, bytes: Bytes64, taken: &mut Taken) -> Result<(), Error> {
        let digest = Digest::of(&bytes.0);
        let verdict = self.book.judge(&call, &digest, bytes.0.len());
        match (verdict, &self.pipe) {
            (Verdict::Known, _) => return Ok(()),
            (Verdict::Reused, _) => return Err(refusal::call_reused(&call)),
            (_, Pipe::Closed) => return Err(refusal::stdin_closed()),
            (_, Pipe::Ended) => return Err(refusal::not_running()),
            _ if bytes.0.len() > COMMAND_BYTES => {
                return Err(refusal::too_large(bytes.0.len()));
            }
            (Verdict::Full, _) => return Err(refusal::input_full()),
            (Verdict::Take, Pipe::Open(_)) => {}
        }
        let take = Take {
            number: self.book.next(),
            call,
            digest,
            generation: self.generation,
            at_ms: unix_ms(),
            bytes: Some(bytes),
        };
        taken.records.push(Record::Take(take.clone()));
        taken.numbers.push(take.number);
        self.book.apply(Record::Take(take));
        Ok(())
    }

    /// Makes what was taken durable, begins what there is room for, answers and writes.
    fn advance(&mut self, mut taken: Taken, now_ms: u64) {
        let is_free = self.outgoing.is_empty() && self.not_before_ms == 0;
        let due = match &self.pipe {
            Pipe::Open(pipe) if is_free && self.has_work() => {
                room(pipe).map_or(Vec::new(), |room| self.book.due(self.generation, room))
            }
            _ => Vec::new(),
        };
        if !taken.records.is_empty() {
            self.points.reach(ShimPoint::BeforeAccept);
        }
        if !due.is_empty() {
            self.points.reach(ShimPoint::BeforeBegun);
            taken.records.push(Record::Begin(due.clone()));
        }
        if !taken.records.is_empty() {
            let first = taken.numbers.first().copied();
            let first = first.unwrap_or_else(|| self.book.next());
            match self.commit(&taken.records, first) {
                Ok(()) => self.begin(&taken, due),
                Err(error) => {
                    self.not_before_ms = now_ms + RETRY_MS;
                    self.undo(&mut taken, &error);
                }
            }
        }
        for (from, answer) in taken.answers {
            let reply = match answer {
                Ok(()) => Reply::Taken,
                Err(error) => Reply::Refused { error },
            };
            self.control.answer(from, &reply);
        }
        self.write();
    }

    fn begin(&mut self, taken: &Taken, due: Vec<u64>) {
        if !taken.numbers.is_empty() {
            self.points.reach(ShimPoint::AfterAccept);
        }
        if !due.is_empty() {
            self.points.reach(ShimPoint::AfterBegun);
        }
        for number in due {
            self.outgoing.extend(self.book.settle(number));
        }
    }

    fn undo(&mut self, taken: &mut Taken, error: &io::Error) {
        for number in &taken.numbers {
            self.book.undo(*number);
        }
        for (_, answer) in &mut taken.answers {
            // One that was known from before is durable; it may ask once more.
            if answer.is_ok() {
                *answer = Err(fault::storage("write", self.journal.folder(), error));
            }
        }
    }

    /// Adds records to the journal, in place anew if need be. What is taken only now, from the number
    /// `first` on, comes with the records and no earlier: if they fail, nothing of it is there.
    fn commit(&mut self, records: &[Record], first: u64) -> io::Result<()> {
        if self.journal.is_worn(&self.book) {
            self.book.forget(unix_ms());
            self.points.reach(ShimPoint::BeforeRewrite);
            self.journal.rewrite(self.book.records_before(first))?;
            self.points.reach(ShimPoint::AfterRewrite);
        }
        self.journal.append(records)
    }

    /// Clears away what was refused and is in the journal all the same.
    fn settle(&mut self, now_ms: u64) {
        if self.journal.is_in_doubt()
            && now_ms >= self.not_before_ms
            && self.journal.rewrite(self.book.records()).is_err()
        {
            self.not_before_ms = now_ms + RETRY_MS;
        }
    }

    /// Writes what was begun, as far as the pipe takes it.
    fn write(&mut self) {
        let Pipe::Open(pipe) = &mut self.pipe else {
            return;
        };
        while let Some(command) = self.outgoing.front() {
            let rest = command.get(self.written..).unwrap_or_default();
            if rest.is_empty() {
                self.outgoing.pop_front();
                self.written = 0;
                self.points.reach(ShimPoint::AfterPipeWrite);
                continue;
            }
            match pipe.write(rest) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_passing(&error) => return,
                Err(_) => {
                    self.close();
                    return;
                }
            }
        }
    }
}

/// What one turn brought.
#[derive(Default)]
struct Taken {
    records: Vec<Record>,
    numbers: Vec<u64>,
    answers: Vec<(LineId, Result<(), Error>)>,
}

/// How much the pipe takes now, roughly; `None` if nothing.
fn room(pipe: &File) -> Option<usize> {
    let mut watched = [PollFd::new(pipe, PollFlags::OUT)];
    poll(&mut watched, Some(&Timespec::default())).ok()?;
    let [watched] = watched;
    if watched.revents() != PollFlags::OUT {
        return None;
    }
    let held = usize::try_from(ioctl_fionread(pipe).ok()?).ok()?;
    Some(fcntl_getpipe_size(pipe).ok()?.saturating_sub(held))
}
