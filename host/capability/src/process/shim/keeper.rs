//! Keeping the program until nothing of it is left.
//!
//! One loop, one `poll`: output goes to the log as it comes, commands and packets go their ways
//! (`channels.rs`), children are collected as they end. When the program has ended, all that descends
//! from it is ended too. As reaper of orphans the shim has no child left exactly when it has no
//! descendant left; then the pipes and the packet connections are emptied, the exit is recorded, and
//! the shim ends. So whoever reads an exit knows that nothing runs and all it said is taken.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::driver::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::channels::Channels;
use super::launch::{Launched, unix_ms};
use super::points::{ShimPoint, ShimPoints};
use super::pump::Pump;
use crate::cgroup::Placement;
use crate::log::writer::{self, Writer};
use crate::process::launcher::ResolvedProgram;
use crate::process::record::ExitRecord;
use crate::process::slot::Slot;
use crate::process::{signals, tree};
use crate::source::Stream;

/// How much is read from a pipe at once: what a pipe holds.
pub(super) const READ_BYTES: usize = 64 * 1024;

/// How long to wait for output when nothing runs any more that could write it: somebody else may
/// hold the pipe.
pub(super) const DRAIN_MS: u64 = 2_000;

/// How soon to look again for descendants that would not end, and at most how late.
pub(super) const HUNT_MS: (u64, u64) = (5, 250);

/// How long to wait before trying again to record an exit.
pub(super) const RECORD_MS: u64 = 500;

/// Said where a program ended by itself and something of it still ran.
const LEFT_BEHIND: &str = "what it left behind in the background was ended with it: to keep a program, run it in the foreground";

/// Said where a limit kept a program from having another process.
const REFUSED_FORK: &str =
    "it was refused another process at its limit: raise `processes` in its [limits]";

/// The code of an end that was not seen.
pub(super) const UNSEEN: i32 = 255;

/// A program and all that is held for it.
pub(super) struct Keeper<'a> {
    points: &'a dyn ShimPoints,
    slot: Slot,
    placement: Placement,
    launched: Launched,
    program: Option<Pid>,
    children: UnixStream,
    pumps: [Pump; 2],
    writer: Writer,
    /// Closed before the exit is recorded.
    channels: Option<Channels<'a>>,
    buffer: Vec<u8>,
    exit: Option<Exit>,
}

impl<'a> Keeper<'a> {
    pub(super) fn new(
        slot: Slot,
        placement: Placement,
        mut launched: Launched,
        mut channels: Channels<'a>,
        mut writer: Writer,
        children: UnixStream,
        points: &'a dyn ShimPoints,
    ) -> Self {
        channels.connect(launched.commands.take(), &mut writer, &writer::now());
        let stdout = Pump::new(
            Stream::Stdout,
            launched.waiting.child.stdout.take().map(OwnedFd::from),
        );
        let stderr = Pump::new(
            Stream::Stderr,
            launched.waiting.child.stderr.take().map(OwnedFd::from),
        );
        let program = Some(Pid::from_child(&launched.waiting.child));
        let buffer = vec![0; READ_BYTES];
        Self {
            points,
            slot,
            placement,
            launched,
            program,
            children,
            pumps: [stdout, stderr],
            writer,
            channels: Some(channels),
            buffer,
            exit: None,
        }
    }

    /// Lets the program go. Where it cannot be executed that is recorded, so that the same start
    /// asked for again has the same answer.
    pub(super) fn release(mut self, program: &ResolvedProgram) -> Result<Self, Error> {
        match self.launched.waiting.release(program) {
            Ok(()) => {
                self.points.reach(ShimPoint::AfterRelease);
                // Where the disk is full, those who ask find the program's mark instead.
                let _ = self.slot.mark_executed();
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
                self.finish(Some(error.clone()));
                Err(error)
            }
        }
    }

    /// Comes back when nothing of the program is left and its exit is recorded.
    pub(super) fn keep(mut self) {
        while self.exit.is_none() {
            self.wait(None);
            self.collect();
        }
        self.finish(None);
        let placement = self.placement;
        // Whoever waits for the end need not wait for this.
        drop(self.launched);
        placement.leave_shims();
    }

    fn finish(&mut self, start_error: Option<Error>) {
        if let Some(channels) = &mut self.channels {
            channels.end_commands();
        }
        let ended_by_itself = |exit: &Exit| start_error.is_none() && exit.signal.is_none();
        let left_behind = self.exit.as_ref().is_some_and(ended_by_itself) && self.collect();
        self.end_descendants();
        self.drain();
        let time = writer::now();
        for pump in &mut self.pumps {
            pump.finish(&mut self.writer, &time);
        }
        for (is_so, text) in [
            (left_behind, LEFT_BEHIND),
            (self.placement.saw_refused_fork(), REFUSED_FORK),
        ] {
            if is_so {
                self.writer.add(&time, Stream::Event, true, text.as_bytes());
            }
        }
        if let Some(channels) = self.channels.take() {
            channels.close(&mut self.writer, &time);
        }
        self.writer.flush(&time);
        let _ = self.writer.sync();
        let oom = self.placement.saw_oom_kill();
        let _ = self.placement.remove();
        let exit = self.exit.take().unwrap_or(Exit {
            code: UNSEEN,
            ..Exit::default()
        });
        let record = ExitRecord {
            exit,
            start_error,
            oom,
        };
        self.points.reach(ShimPoint::BeforeExitRecord);
        while let Err(error) = self.slot.record_exit(&record) {
            // A full disk passes; a slot that was removed does not come back.
            if error.kind() == std::io::ErrorKind::NotFound {
                break;
            }
            self.wait(Some(RECORD_MS));
        }
        self.points.reach(ShimPoint::AfterExitRecord);
    }

    fn end_descendants(&mut self) {
        let mut pause = HUNT_MS.0;
        // Programs beside it descend from keepers of their own, and are in its cgroup.
        while self.collect() || self.has_members() {
            let _ = self.placement.kill();
            if let Ok(found) = tree::descendants(std::process::id()) {
                tree::kill_all(&found);
            }
            self.wait(Some(pause));
            pause = (pause * 2).min(HUNT_MS.1);
        }
    }

    fn has_members(&self) -> bool {
        self.placement
            .processes()
            .is_ok_and(|members| !members.is_empty())
    }

    fn drain(&mut self) {
        let deadline = monotonic_ms() + DRAIN_MS;
        while self.has_more() {
            let now = monotonic_ms();
            // What was said on a connection that is closed by now comes however long it takes.
            let has_rest = self.channels.as_ref().is_some_and(Channels::has_rest);
            if now >= deadline && !has_rest {
                break;
            }
            self.wait(Some(deadline.saturating_sub(now)));
        }
    }

    /// Whether anything is open through which more may come.
    fn has_more(&mut self) -> bool {
        let has_open = self.channels.as_mut().is_some_and(Channels::has_open);
        has_open || self.pumps.iter().any(|pump| pump.pipe().is_some())
    }

    /// Collects what ended. Whether any child is left.
    fn collect(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if Some(pid) == self.program => {
                    self.program = None;
                    self.exit.get_or_insert_with(|| exit_of(status));
                }
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return true,
                Err(_) => {
                    // A program that is neither there nor collected ended in a way nobody saw.
                    self.exit.get_or_insert_with(|| Exit {
                        code: UNSEEN,
                        ..Exit::default()
                    });
                    return false;
                }
            }
        }
    }

    /// Waits for anything to come or the end of a child, at most `limit_ms`, and moves on what came.
    fn wait(&mut self, limit_ms: Option<u64>) {
        let now = monotonic_ms();
        let channels = self.channels.as_ref();
        let due = self
            .pumps
            .iter()
            .filter_map(|pump| pump.wait_ms(now))
            .chain(channels.and_then(|channels| channels.wait_ms(now)))
            .chain(limit_ms)
            .min();
        let due = due.and_then(|ms| Timespec::try_from(Duration::from_millis(ms)).ok());
        let pipes = self.pumps.each_ref().map(Pump::pipe);
        let mut watched = vec![PollFd::from_borrowed_fd(
            self.children.as_fd(),
            PollFlags::IN,
        )];
        watched.extend(
            pipes
                .iter()
                .flatten()
                .map(|pipe| PollFd::from_borrowed_fd(*pipe, PollFlags::IN)),
        );
        if let Some(channels) = channels {
            channels.watch(&mut watched);
        }
        let polled = poll(&mut watched, due.as_ref());
        let seen: Vec<PollFlags> = watched
            .iter()
            .map(|fd| match polled {
                Ok(_) => fd.revents(),
                Err(_) => PollFlags::empty(),
            })
            .collect();
        let mut seen = seen.into_iter().skip(1);
        let readable =
            pipes.map(|pipe| pipe.is_some() && seen.next().is_some_and(|flags| !flags.is_empty()));
        drop(watched);

        let mut bytes = [0; 64];
        while (&self.children)
            .read(&mut bytes)
            .is_ok_and(|count| count == bytes.len())
        {}
        let (now, time) = (monotonic_ms(), writer::now());
        for (pump, readable) in self.pumps.iter_mut().zip(readable) {
            if readable {
                pump.read(&mut self.buffer, &mut self.writer, &time, now);
            }
            pump.show(&mut self.writer, &time, now);
        }
        if let Some(channels) = &mut self.channels {
            channels.turn(seen, &mut self.buffer, &mut self.writer, &time, now);
        }
        self.writer.flush(&time);
    }
}

pub(super) fn exit_of(status: WaitStatus) -> Exit {
    let at_ms = Some(unix_ms());
    match status.terminating_signal() {
        Some(signal) => Exit {
            code: 128 + signal,
            signal: Some(signals::name_of(signal)),
            at_ms,
        },
        None => Exit {
            code: status.exit_status().unwrap_or_default(),
            signal: None,
            at_ms,
        },
    }
}

pub(super) fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
