//! Keeping a program beside a process, until nobody needs anything of it.
//!
//! One loop, one `poll`, as that of a process's keeper.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::driver::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, wait};

use super::ends::{Ends, read_once};
use super::intake::Intake;
use super::plan::{Audience, Children, Next, Pipes, Sight};
use super::ring::{self, Ring};
use super::serve::Served;
use super::vitals::Vitals;
use crate::cgroup::Placement;
use crate::process::exec::record::ExecExit;
use crate::process::exec::slot::ExecSlot;
use crate::process::launcher::ResolvedProgram;
use crate::process::shim::control::Control;
use crate::process::shim::keeper::{HUNT_MS, READ_BYTES, RECORD_MS, UNSEEN, exit_of, monotonic_ms};
use crate::process::shim::launch::unix_ms;
use crate::process::shim::lock::Lock;
use crate::process::shim::points::{ShimPoint, ShimPoints};
use crate::process::shim::waiting::Waiting;
use crate::process::{end, tree};

/// What a start has made.
pub(super) struct Held {
    pub(super) slot: ExecSlot,
    pub(super) placement: Placement,
    pub(super) waiting: Waiting,
    pub(super) ends: Ends,
    pub(super) intake: Intake,
    pub(super) control: Control,
    pub(super) vitals: Vitals,
    pub(super) children: UnixStream,
    pub(super) lock: Lock,
}

/// A program, and all that is held for it.
pub(in crate::process::shim) struct Keeper<'a> {
    points: &'a dyn ShimPoints,
    slot: ExecSlot,
    placement: Placement,
    waiting: Waiting,
    children: UnixStream,
    /// `None` when the process it is beside is over.
    vitals: Option<Vitals>,
    ends: Ends,
    ring: Ring,
    intake: Intake,
    /// `None` when nobody can attach any more.
    served: Option<Served>,
    buffer: Vec<u8>,
    /// The program, until it was collected.
    program: Option<Pid>,
    has_children: bool,
    exit: Option<Exit>,
    exited_ms: Option<u64>,
    recorded_ms: Option<u64>,
    ending_ms: Option<u64>,
    hunt_ms: u64,
    /// When to try again what failed.
    retry_ms: u64,
    _lock: Lock,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(held: Held, points: &'a dyn ShimPoints) -> Self {
        Self {
            points,
            program: Some(Pid::from_child(&held.waiting.child)),
            slot: held.slot,
            placement: held.placement,
            waiting: held.waiting,
            children: held.children,
            vitals: Some(held.vitals),
            ends: held.ends,
            ring: Ring::default(),
            intake: held.intake,
            served: Some(Served::new(held.control)),
            buffer: vec![0; READ_BYTES],
            has_children: true,
            exit: None,
            exited_ms: None,
            recorded_ms: None,
            ending_ms: None,
            hunt_ms: HUNT_MS.0,
            retry_ms: 0,
            _lock: held.lock,
        }
    }

    /// Lets the program go. Where it cannot be executed that is recorded, so that the same op asked
    /// for again has the same answer.
    pub(super) fn release(mut self, program: &ResolvedProgram) -> Result<Self, Error> {
        match self.waiting.release(program) {
            Ok(()) => {
                self.points.reach(ShimPoint::AfterRelease);
                // Where the disk is full, those who ask find the program's mark instead.
                let _ = self.slot.slot.mark_executed();
                self.points.reach(ShimPoint::AfterExecutedMark);
                Ok(self)
            }
            Err(error) => {
                let code = if error.code == "program-missing" {
                    127
                } else {
                    126
                };
                self.exit = Some(Exit {
                    code,
                    signal: None,
                    at_ms: Some(unix_ms()),
                });
                while self.record(Some(&error)).is_err() {
                    let _ = poll(&mut [], timespec(RECORD_MS).as_ref());
                }
                self.placement.leave_shims();
                Err(error)
            }
        }
    }

    /// Comes back when nothing of it is needed any more.
    pub(in crate::process::shim) fn keep(mut self) {
        loop {
            let now_ms = monotonic_ms();
            let sight = self.sight(now_ms);
            let mut wait_ms = self.hunt(&sight);
            match sight.next() {
                Next::Leave => break,
                Next::Retire => self.retire(),
                Next::Record if now_ms >= self.retry_ms => {
                    self.retry_ms = now_ms + RECORD_MS;
                    if self.record(None).is_ok() {
                        self.recorded_ms = Some(now_ms);
                        continue;
                    }
                    wait_ms = Some(RECORD_MS);
                }
                Next::Record => wait_ms = Some(self.retry_ms - now_ms),
                Next::Wait(limit) => wait_ms = wait_ms.into_iter().chain(limit).min(),
            }
            self.turn(wait_ms);
        }
        if self.vitals.is_none() {
            // Its cgroup is gone, but where a start of this program came late.
            let _ = self.placement.remove();
        }
        self.placement.leave_shims();
    }

    fn sight(&self, now_ms: u64) -> Sight {
        Sight {
            now_ms,
            exited_ms: self.exited_ms,
            recorded_ms: self.recorded_ms,
            ending_ms: self.ending_ms,
            pipes: if self.ends.has_outputs() {
                Pipes::Open
            } else {
                Pipes::Closed
            },
            children: if self.has_children {
                Children::Some
            } else {
                Children::None
            },
            audience: self
                .served
                .as_ref()
                .map_or(Audience::Satisfied, |served| served.audience(&self.ring)),
        }
    }

    /// Ends what is to be ended; how soon to look again.
    fn hunt(&mut self, sight: &Sight) -> Option<u64> {
        if !sight.is_hunting() {
            return None;
        }
        if let Some(program) = self.program {
            let _ = end::signal_group(program, Signal::KILL);
        }
        if let Ok(found) = tree::descendants(std::process::id()) {
            tree::kill_all(&found);
        }
        let pause = self.hunt_ms;
        self.hunt_ms = (pause * 2).min(HUNT_MS.1);
        Some(pause)
    }

    fn record(&mut self, start_error: Option<&Error>) -> io::Result<()> {
        self.ends.close_outputs();
        let exit = self.exit.clone().unwrap_or(Exit {
            code: UNSEEN,
            ..Exit::default()
        });
        self.points.reach(ShimPoint::BeforeExitRecord);
        let recorded = self.slot.record_exit(&ExecExit {
            exit,
            start_error: start_error.cloned(),
            produced: self.ring.end(),
            taken: self.intake.told().taken,
        });
        match recorded {
            // A full disk passes; a slot that was removed does not come back.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.points.reach(ShimPoint::AfterExitRecord);
        Ok(())
    }

    fn retire(&mut self) {
        self.served = None;
        self.ring.clear();
    }

    /// Waits for anything to come, at most `limit_ms`, and moves on what came.
    fn turn(&mut self, limit_ms: Option<u64>) {
        let now_ms = monotonic_ms();
        let news = Served::news(&self.ring, &self.intake, self.recorded_ms);
        let (limit, floor) = self.room();
        let has_room = self.ring.has_room(limit, floor);
        let mut watched = vec![PollFd::new(&self.children, PollFlags::IN)];
        if let Some(vitals) = &self.vitals {
            watched.push(PollFd::from_borrowed_fd(vitals.as_fd(), PollFlags::empty()));
        }
        let has_input = self.ends.input().filter(|_| self.wants_input());
        if let Some(input) = has_input {
            let flags = if self.intake.waiting().is_empty() {
                // Without a flag the end of its reader is told all the same.
                PollFlags::empty()
            } else {
                PollFlags::OUT
            };
            watched.push(PollFd::from_borrowed_fd(input, flags));
        }
        let outputs = watched.len();
        if has_room {
            let outputs = self.ends.outputs();
            watched.extend(outputs.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)));
        }
        let served = watched.len();
        let mut due_ms = limit_ms;
        if let Some(all) = &self.served {
            all.watch(news, &mut watched);
            due_ms = due_ms.into_iter().chain(all.wait_ms(now_ms)).min();
        }
        let polled = poll(&mut watched, due_ms.and_then(timespec).as_ref());
        let seen: Vec<PollFlags> = watched
            .iter()
            .map(|fd| match polled {
                Ok(_) => fd.revents(),
                Err(_) => PollFlags::empty(),
            })
            .collect();
        let has_input = has_input.is_some();
        drop(watched);
        let (first, last) = seen.split_at(served);
        let (first, readable) = first.split_at(outputs);
        let mut first = first.iter().copied();

        if first.next().is_some_and(|flags| !flags.is_empty()) {
            self.collect();
        }
        if self.vitals.is_some() && first.next().is_some_and(|flags| !flags.is_empty()) {
            self.vitals = None;
            self.ending_ms.get_or_insert(monotonic_ms());
        }
        if has_input
            && first
                .next()
                .is_some_and(|flags| flags.contains(PollFlags::ERR))
        {
            self.ends.close_input(&mut self.intake);
        }
        let readable: Vec<bool> = readable.iter().map(|flags| !flags.is_empty()).collect();
        self.read(&readable, limit, floor);
        self.serve(last);
        self.ends.write(&mut self.intake);
        if let Some(served) = &mut self.served {
            let news = Served::news(&self.ring, &self.intake, self.recorded_ms);
            served.tell(news, monotonic_ms());
        }
    }

    /// A terminal without a program would wake this loop for ever.
    fn wants_input(&self) -> bool {
        !self.ends.has_terminal() || !self.intake.waiting().is_empty()
    }

    /// How much output is held, and from where on none of it may be dropped.
    fn room(&self) -> (ring::Limit, u64) {
        let limit = if self.exit.is_some() {
            ring::ALL
        } else {
            ring::KEPT
        };
        let floor = self.served.as_ref().and_then(Served::floor);
        (limit, floor.unwrap_or(u64::MAX))
    }

    fn read(&mut self, readable: &[bool], limit: ring::Limit, floor: u64) {
        let ring = &mut self.ring;
        self.ends.read(readable, |stream, file: &mut File| {
            let count = read_once(file, ring.space(limit, floor))?;
            ring.filled(stream, count.unwrap_or_default());
            Ok(count)
        });
        if self.ends.has_terminal() && !self.ends.has_outputs() {
            self.ends.close_input(&mut self.intake);
        }
    }

    fn serve(&mut self, seen: &[PollFlags]) {
        let Some(served) = &mut self.served else {
            return;
        };
        let program = self.program;
        let is_ended = served.turn(
            seen,
            &mut self.buffer,
            &self.ring,
            &mut self.intake,
            &self.ends,
            program,
        );
        if is_ended {
            self.ending_ms.get_or_insert(monotonic_ms());
        }
    }

    /// Collects what ended.
    fn collect(&mut self) {
        let mut bytes = [0; 64];
        while (&self.children)
            .read(&mut bytes)
            .is_ok_and(|count| count == bytes.len())
        {}
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.program => {
                    self.program_ended(exit_of(status));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return,
                Err(_) => {
                    self.has_children = false;
                    if self.program.is_some() {
                        // It is neither there nor collected: it ended in a way nobody saw.
                        self.program_ended(Exit {
                            code: UNSEEN,
                            ..Exit::default()
                        });
                    }
                    return;
                }
            }
        }
    }

    fn program_ended(&mut self, exit: Exit) {
        self.program = None;
        self.exit.get_or_insert(exit);
        self.exited_ms.get_or_insert(monotonic_ms());
        self.ends.close_input(&mut self.intake);
    }
}

fn timespec(ms: u64) -> Option<Timespec> {
    Timespec::try_from(Duration::from_millis(ms)).ok()
}
