//! The shim's ends of a program's pipes, or its end of the program's terminal.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use fleet_model::exec::TerminalSize;
use rustix::process::Pid;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, SpecialCodeIndex, Winsize, tcgetattr, tcgetpgrp, tcsetwinsize};

use super::intake::Intake;
use crate::process::Stdin;
use crate::process::exec::wire::InputState;
use crate::process::shim::control::is_passing;
use crate::process::shim::message::Streams;
use crate::process::shim::waiting::Waiting;
use crate::source::Stream;

/// What a pipe should hold, so that a program that says much is seldom woken: it is asked for, no
/// more.
const PIPE_BYTES: usize = 256 * 1024;

/// What a terminal's input ends with where it does not say: Ctrl-D.
const END_OF_INPUT: u8 = 4;

/// All ends of one program.
pub(super) struct Ends {
    outputs: Vec<(Stream, File)>,
    /// The way in: a pipe, or the terminal.
    input: Option<File>,
    terminal: Option<File>,
}

impl Ends {
    /// Makes the child and what it says and reads its bytes on.
    pub(super) fn open(
        terminal: Option<TerminalSize>,
        stdin: Stdin,
    ) -> io::Result<(Waiting, Self)> {
        match terminal {
            None => Self::pipes(stdin),
            Some(size) => Self::on_terminal(size),
        }
    }

    fn pipes(stdin: Stdin) -> io::Result<(Waiting, Self)> {
        let mut waiting = Waiting::spawn(Streams::Pipes)?;
        let input = match stdin {
            Stdin::Pipe => Some(waiting.open_stdin()?),
            Stdin::Null => None,
        };
        let stdout = waiting.child.stdout.take().map(OwnedFd::from);
        let stderr = waiting.child.stderr.take().map(OwnedFd::from);
        let outputs = [(Stream::Stdout, stdout), (Stream::Stderr, stderr)];
        let outputs = outputs
            .into_iter()
            .filter_map(|(stream, pipe)| Some((stream, File::from(pipe?))));
        let ends = Self {
            outputs: outputs.collect(),
            input,
            terminal: None,
        };
        for (_, pipe) in &ends.outputs {
            // A user has so much room for pipes and no more; the usual size does too.
            let _ = rustix::pipe::fcntl_setpipe_size(pipe, PIPE_BYTES);
        }
        Ok((waiting, ends))
    }

    fn on_terminal(size: TerminalSize) -> io::Result<(Waiting, Self)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let own = openpt(flags)?;
        grantpt(&own)?;
        unlockpt(&own)?;
        rustix::io::ioctl_fionbio(&own, true)?;
        tcsetwinsize(&own, winsize(size))?;
        let mut waiting = Waiting::spawn(Streams::Terminal)?;
        waiting.give(ioctl_tiocgptpeer(&own, flags)?);
        let own = File::from(own);
        let ends = Self {
            outputs: vec![(Stream::Stdout, own.try_clone()?)],
            input: Some(own.try_clone()?),
            terminal: Some(own),
        };
        Ok((waiting, ends))
    }

    /// How the input begins.
    pub(super) fn intake(&self, stdin: Stdin) -> Intake {
        let state = match self.input {
            Some(_) => InputState::Open,
            None => InputState::Ended,
        };
        let mut intake = Intake::new(state);
        if stdin == Stdin::Null {
            intake.end(&self.farewell(None));
        }
        intake
    }

    /// What says on a terminal that nothing more comes, after this last byte. In the middle of a
    /// line it takes two: the first only hands the line over.
    pub(super) fn farewell(&self, last: Option<u8>) -> Vec<u8> {
        let Some(terminal) = &self.terminal else {
            return Vec::new();
        };
        let modes = tcgetattr(terminal);
        let code = modes.as_ref().map_or(END_OF_INPUT, |modes| {
            modes.special_codes[SpecialCodeIndex::VEOF]
        });
        let is_by_lines = modes.is_ok_and(|modes| modes.local_modes.contains(LocalModes::ICANON));
        let is_in_line = last.is_some_and(|last| last != b'\n' && last != b'\r');
        vec![code; if is_by_lines && is_in_line { 2 } else { 1 }]
    }

    pub(super) fn has_terminal(&self) -> bool {
        self.terminal.is_some()
    }

    pub(super) fn resize(&self, size: TerminalSize) -> io::Result<()> {
        match &self.terminal {
            Some(terminal) => Ok(tcsetwinsize(terminal, winsize(size))?),
            None => Ok(()),
        }
    }

    /// The group that reads the terminal now.
    pub(super) fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(self.terminal.as_ref()?).ok()
    }

    /// Where output comes from, as long as more may come.
    pub(super) fn outputs(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.outputs.iter().map(|(_, file)| file.as_fd())
    }

    pub(super) fn has_outputs(&self) -> bool {
        !self.outputs.is_empty()
    }

    /// Reads from those of the outputs that are `readable`, one flag each, and closes those that
    /// have ended.
    pub(super) fn read(
        &mut self,
        readable: &[bool],
        mut read: impl FnMut(Stream, &mut File) -> io::Result<Option<usize>>,
    ) {
        let mut readable = readable.iter();
        self.outputs.retain_mut(|(stream, file)| {
            if !readable.next().is_some_and(|readable| *readable) {
                return true;
            }
            match read(*stream, file) {
                Ok(count) => count != Some(0),
                // A terminal that nobody has open any more fails instead of ending.
                Err(error) => is_passing(&error),
            }
        });
    }

    pub(super) fn close_outputs(&mut self) {
        self.outputs.clear();
    }

    /// The way in, while it is open.
    pub(super) fn input(&self) -> Option<BorrowedFd<'_>> {
        self.input.as_ref().map(AsFd::as_fd)
    }

    /// Writes what waits, as far as it goes, and closes what has ended.
    pub(super) fn write(&mut self, intake: &mut Intake) {
        let Some(input) = &mut self.input else { return };
        while !intake.waiting().is_empty() {
            match input.write(intake.waiting()) {
                Ok(count) => intake.wrote(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if is_passing(&error) => return,
                Err(_) => {
                    self.close_input(intake);
                    return;
                }
            }
        }
        // A terminal stays: what its program reads next is its own affair.
        if intake.has_ended() && self.terminal.is_none() {
            self.input = None;
        }
    }

    /// Nobody will read any more.
    pub(super) fn close_input(&mut self, intake: &mut Intake) {
        self.input = None;
        intake.close();
    }
}

/// Reads once into a space, which may have no room.
pub(super) fn read_once(file: &mut File, space: &mut [u8]) -> io::Result<Option<usize>> {
    if space.is_empty() {
        return Ok(None);
    }
    file.read(space).map(Some)
}

fn winsize(size: TerminalSize) -> Winsize {
    Winsize {
        ws_row: size.rows,
        ws_col: size.columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
