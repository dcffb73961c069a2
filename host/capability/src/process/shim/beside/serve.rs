//! All who ask something of a program's shim: who is attached, who was, and who has one demand.

use std::io;
use std::os::fd::AsFd;

use fleet_model::Error;
use rustix::event::{PollFd, PollFlags};
use rustix::process::Pid;

use super::attachment::{Attachment, Course, Farewell, Heard, News};
use super::ends::Ends;
use super::intake::Intake;
use super::plan::Audience;
use super::ring::Ring;
use crate::process::exec::wire::{Demand, Reply};
use crate::process::shim::control::{Control, LineId};
use crate::process::shim::keeper::monotonic_ms;
use crate::process::{end, signals};

/// How many calls of signals are remembered.
const CALLS: usize = 256;

/// How many that were sent away are waited for.
const FAREWELLS: usize = 8;

/// Everybody.
pub(super) struct Served {
    control: Control,
    attached: Option<Attachment>,
    leaving: Vec<Farewell>,
    /// Output up to here was seen.
    seen: u64,
    /// The calls of signals that were sent, the oldest first.
    calls: Vec<String>,
}

impl Served {
    pub(super) fn new(control: Control) -> Self {
        Self {
            control,
            attached: None,
            leaving: Vec::new(),
            seen: 0,
            calls: Vec::new(),
        }
    }

    pub(super) fn news<'n>(
        ring: &'n Ring,
        intake: &'n Intake,
        recorded_ms: Option<u64>,
    ) -> News<'n> {
        News {
            ring,
            intake,
            course: match recorded_ms {
                Some(_) => Course::Over,
                None => Course::Running,
            },
        }
    }

    /// From where on output must be kept; `None` while nobody is attached.
    pub(super) fn floor(&self) -> Option<u64> {
        self.attached.as_ref().map(|_| self.seen)
    }

    pub(super) fn audience(&self, ring: &Ring) -> Audience {
        let is_seen = self.seen >= ring.end();
        match &self.attached {
            Some(attached) if !attached.has_all() => Audience::Waiting,
            Some(_) if is_seen => Audience::Satisfied,
            Some(_) => Audience::Told,
            None if is_seen => Audience::Satisfied,
            None => Audience::Away,
        }
    }

    pub(super) fn watch<'f>(&'f self, news: News<'_>, watched: &mut Vec<PollFd<'f>>) {
        if let Some(attached) = &self.attached {
            watched.push(PollFd::from_borrowed_fd(
                attached.stream().as_fd(),
                attached.flags(news),
            ));
        }
        for farewell in &self.leaving {
            watched.push(PollFd::from_borrowed_fd(
                farewell.stream().as_fd(),
                PollFlags::OUT,
            ));
        }
        self.control.watch(watched);
    }

    pub(super) fn wait_ms(&self, now_ms: u64) -> Option<u64> {
        let leaving = self.leaving.iter();
        leaving
            .map(|farewell| farewell.until_ms.saturating_sub(now_ms))
            .chain(self.control.wait_ms(now_ms))
            .min()
    }

    /// Takes what came; `seen` are the flags of what [`Self::watch`] named, in order. Whether all is
    /// to end.
    pub(super) fn turn(
        &mut self,
        seen: &[PollFlags],
        buffer: &mut [u8],
        ring: &Ring,
        intake: &mut Intake,
        ends: &Ends,
        program: Option<Pid>,
    ) -> bool {
        let now_ms = monotonic_ms();
        let mut seen = seen.iter().copied();
        if self.attached.is_some() {
            let flags = seen.next().unwrap_or(PollFlags::empty());
            if flags.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
                self.hear(buffer, intake, ends);
            }
        }
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain_mut(|farewell| {
            seen.next();
            farewell.say(now_ms)
        });
        self.leaving = leaving;
        let mut is_ended = false;
        for (from, demand) in self.control.turn::<Demand>(&mut seen, buffer, now_ms) {
            let answer = match demand {
                Ok(Demand::Attach { after }) => {
                    self.attach(from, after, ring, now_ms);
                    continue;
                }
                Ok(Demand::Resize { size }) => match (ends.has_terminal(), program) {
                    (false, _) => Err(no_terminal()),
                    (_, None) => Err(ended()),
                    _ => ends.resize(size).map_err(|error| failed("resize", &error)),
                },
                Ok(Demand::Signal { call, name }) => self.signal(call, &name, ends, program),
                Ok(Demand::End) => {
                    is_ended = true;
                    Ok(())
                }
                Err(error) => Err(Error::invalid(
                    "bad-demand",
                    format!("the keeper does not understand its host: {error}"),
                )),
            };
            let reply = match answer {
                Ok(()) => Reply::Done,
                Err(error) => Reply::Refused { error },
            };
            self.control.answer(from, &reply);
        }
        self.control.settle();
        is_ended
    }

    /// Tells who is attached what is new.
    pub(super) fn tell(&mut self, news: News<'_>, now_ms: u64) {
        if let Some(attached) = &mut self.attached
            && attached.tell(news).is_err()
        {
            self.attached = None;
        }
        self.leaving.retain_mut(|farewell| farewell.say(now_ms));
    }

    fn hear(&mut self, buffer: &mut [u8], intake: &mut Intake, ends: &Ends) {
        let Some(attached) = &mut self.attached else {
            return;
        };
        match attached.hear(buffer, intake) {
            Ok(heard) => {
                for heard in heard {
                    match heard {
                        Heard::Seen(offset) => self.seen = self.seen.max(offset),
                        Heard::InputEnd => intake.end(&ends.farewell(intake.last())),
                    }
                }
            }
            Err(_) => self.attached = None,
        }
    }

    /// The newcomer takes the place of who is attached.
    fn attach(&mut self, from: LineId, after: u64, ring: &Ring, now_ms: u64) {
        let Ok(stream) = self.control.take(from) else {
            return;
        };
        if after > ring.end() {
            let why = Error::invalid(
                "bad-cursor",
                format!(
                    "the output has not come to {after}: it is {} bytes long",
                    ring.end()
                ),
            );
            self.leaving.push(Farewell::new(stream, why, now_ms));
            return;
        }
        if let Some(before) = self.attached.take() {
            let why = Error::conflict(
                "attached-elsewhere",
                "somebody else has attached to it: attach again to have it back",
            );
            self.leaving.push(before.dismiss(ring, why, now_ms));
        }
        let surplus = self.leaving.len().saturating_sub(FAREWELLS);
        self.leaving.drain(..surplus);
        self.seen = after;
        self.attached = Some(Attachment::new(stream, after));
    }

    fn signal(
        &mut self,
        call: String,
        name: &str,
        ends: &Ends,
        program: Option<Pid>,
    ) -> Result<(), Error> {
        let signal = signals::by_name(name)?;
        if !call.is_empty() && self.calls.contains(&call) {
            return Ok(());
        }
        let program = program.ok_or_else(ended)?;
        let group = ends.foreground().unwrap_or(program);
        end::signal_group(group, signal).map_err(|error| failed("signal", &error.into()))?;
        let surplus = (self.calls.len() + 1).saturating_sub(CALLS);
        self.calls.drain(..surplus);
        self.calls.push(call);
        Ok(())
    }
}

fn ended() -> Error {
    Error::not_found("exec-ended", "the program has ended")
}

fn no_terminal() -> Error {
    Error::invalid(
        "no-terminal",
        "the program has no terminal whose size could change",
    )
}

fn failed(doing: &str, error: &io::Error) -> Error {
    Error::unavailable("keeper", format!("the keeper cannot {doing} it: {error}"))
}
