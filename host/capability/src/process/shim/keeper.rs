//! Keeping the program until nothing of it is left.
//!
//! One loop, one `poll`: output goes to the log as it comes, children are collected as they end.
//! When the program has ended, all that descends from it is ended too. As reaper of orphans the
//! shim has no child left exactly when it has no descendant left; then the pipes are emptied, the
//! exit is recorded, and the shim ends. So whoever reads an exit knows that nothing runs.

use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::driver::Exit;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, WaitOptions, WaitStatus, wait};

use super::launch::{Launched, unix_ms};
use super::pump::Pump;
use crate::cgroup::Placement;
use crate::log::writer::{self, Writer};
use crate::process::launcher::ResolvedProgram;
use crate::process::record::ExitRecord;
use crate::process::slot::Slot;
use crate::process::{signals, tree};
use crate::source::Stream;

/// How much is read from a pipe at once: what a pipe holds.
const READ_BYTES: usize = 64 * 1024;

/// How long to wait for output when nothing runs any more that could write it: somebody else may
/// hold the pipe.
const DRAIN_MS: u64 = 2_000;

/// How soon to look again for descendants that would not end, and at most how late.
const HUNT_MS: (u64, u64) = (5, 250);

/// How long to wait before trying again to record an exit.
const RECORD_MS: u64 = 500;

/// The code of an end that was not seen.
const UNSEEN: i32 = 255;

/// A program and all that is held for it.
pub(super) struct Keeper {
    slot: Slot,
    placement: Placement,
    launched: Launched,
    program: Option<Pid>,
    children: UnixStream,
    pumps: [Pump; 2],
    writer: Writer,
    buffer: Vec<u8>,
    exit: Option<Exit>,
}

impl Keeper {
    pub(super) fn new(
        slot: Slot,
        placement: Placement,
        mut launched: Launched,
        writer: Writer,
        children: UnixStream,
    ) -> Self {
        let stdout = Pump::new(
            Stream::Stdout,
            launched.child.stdout.take().map(OwnedFd::from),
        );
        let stderr = Pump::new(
            Stream::Stderr,
            launched.child.stderr.take().map(OwnedFd::from),
        );
        let program = Some(Pid::from_child(&launched.child));
        let buffer = vec![0; READ_BYTES];
        Self {
            slot,
            placement,
            launched,
            program,
            children,
            pumps: [stdout, stderr],
            writer,
            buffer,
            exit: None,
        }
    }

    /// Lets the program go. Where it cannot be executed that is recorded, so that the same start
    /// asked for again has the same answer.
    pub(super) fn release(mut self, program: &ResolvedProgram) -> Result<Self, Error> {
        match self.launched.release(program) {
            Ok(()) => {
                self.slot.mark_executed();
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
        self.end_descendants();
        self.drain();
        let time = writer::now();
        for pump in &mut self.pumps {
            pump.finish(&mut self.writer, &time);
        }
        self.writer.flush(&time);
        let _ = self.writer.sync();
        let _ = self.placement.remove();
        let exit = self.exit.take().unwrap_or(Exit {
            code: UNSEEN,
            ..Exit::default()
        });
        let record = ExitRecord { exit, start_error };
        while let Err(error) = self.slot.record_exit(&record) {
            // A full disk passes; a slot that was removed does not come back.
            if error.kind() == std::io::ErrorKind::NotFound {
                break;
            }
            self.wait(Some(RECORD_MS));
        }
    }

    fn end_descendants(&mut self) {
        let mut pause = HUNT_MS.0;
        while self.collect() {
            let _ = self.placement.kill();
            if let Ok(found) = tree::descendants(std::process::id()) {
                tree::kill_all(&found);
            }
            self.wait(Some(pause));
            pause = (pause * 2).min(HUNT_MS.1);
        }
    }

    fn drain(&mut self) {
        let deadline = monotonic_ms() + DRAIN_MS;
        while self.pumps.iter().any(|pump| pump.pipe().is_some()) {
            let now = monotonic_ms();
            if now >= deadline {
                break;
            }
            self.wait(Some(deadline - now));
        }
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

    /// Waits for output or the end of a child, at most `limit_ms`, and moves the output on.
    fn wait(&mut self, limit_ms: Option<u64>) {
        let now = monotonic_ms();
        let due = self
            .pumps
            .iter()
            .filter_map(|pump| pump.wait_ms(now))
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
        let polled = poll(&mut watched, due.as_ref());
        let mut ready = watched
            .iter()
            .skip(1)
            .map(|fd| polled.is_ok() && !fd.revents().is_empty());
        let readable = pipes.map(|pipe| pipe.is_some() && ready.next() == Some(true));
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
        self.writer.flush(&time);
    }
}

fn exit_of(status: WaitStatus) -> Exit {
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

fn monotonic_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
