//! The child that waits to become the program, as its shim sees it; `exec.rs` is its own side.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::PipeFlags;

use super::exec::{GO, STAGE};
use super::launch::unix_ms;
use super::message::{ExecAnswer, ExecOrder, Streams};
use super::own;
use crate::boot::ProcessIdentity;
use crate::process::launcher::ResolvedProgram;
use crate::process::program;
use crate::process::record::Started;
use crate::secret::wire;

/// How long the child may take to say that it is ready, and to become the program.
const PATIENCE: Duration = Duration::from_secs(30);

/// A child that waits for the word.
pub(super) struct Waiting {
    pub(super) child: Child,
    line: UnixStream,
    /// The program's stdin or terminal, until it has it.
    stdin: Option<OwnedFd>,
}

impl Waiting {
    pub(super) fn spawn(streams: Streams) -> io::Result<Self> {
        let (line, far) = UnixStream::pair()?;
        line.set_read_timeout(Some(PATIENCE))?;
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        // This very file, also when another has taken its place on the disk.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0(name)
            .args(arguments)
            .env_clear()
            .env(STAGE.0, STAGE.1)
            .stdin(Stdio::from(OwnedFd::from(far)));
        match streams {
            Streams::Pipes => command
                .process_group(0)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
            // It begins a session, which the leader of a group cannot.
            Streams::Terminal => command.stdout(Stdio::null()).stderr(Stdio::null()),
        };
        Ok(Self {
            child: command.spawn()?,
            line,
            stdin: None,
        })
    }

    /// Makes a pipe the program's stdin, and gives its other end, which never blocks whoever writes.
    pub(super) fn open_stdin(&mut self) -> io::Result<File> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // This end alone: the program's blocks, as a pipe does.
        rustix::io::ioctl_fionbio(&write, true)?;
        self.stdin = Some(read);
        Ok(File::from(write))
    }

    /// Makes this the program's stdin or terminal.
    pub(super) fn give(&mut self, stdin: OwnedFd) {
        self.stdin = Some(stdin);
    }

    /// Comes back when it is in its place and waits for the word.
    pub(super) fn make_ready(&mut self, order: &ExecOrder) -> Result<(), Error> {
        let text = wire::line(order).map_err(|error| {
            Error::internal(
                "bad-order",
                format!("the request cannot be written: {error}"),
            )
        })?;
        (&self.line)
            .write_all(&text)
            .map_err(|error| own("instruct its child", &error))?;
        match self
            .hear()
            .map_err(|error| own("hear from its child", &error))?
        {
            Some(ExecAnswer::Ready) => Ok(()),
            Some(ExecAnswer::Failed { doing, errno }) => {
                Err(own(&format!("{doing} the program"), &cause(errno)))
            }
            None => Err(Error::new(
                ErrorKind::Unavailable,
                "shim",
                "the shim's child ended before it was ready",
            )),
        }
    }

    /// It and this shim, as a claim names them.
    pub(super) fn identify(&self) -> Result<Started, Error> {
        let identify = || {
            Ok(Started {
                program: ProcessIdentity::of(self.child.id())?,
                shim: ProcessIdentity::own()?,
                at_ms: unix_ms(),
            })
        };
        identify().map_err(|error: io::Error| own("identify its child", &error))
    }

    /// Lets it become the program; comes back when it has.
    pub(super) fn release(&mut self, request: &ResolvedProgram) -> Result<(), Error> {
        program::check_digest(request)?;
        let heard = self.say_go().and_then(|()| self.hear());
        match heard {
            // A child that was killed in this moment is silent too: its end is recorded like any.
            Ok(None) => Ok(()),
            Ok(Some(ExecAnswer::Failed { errno, .. })) => Err(not_executed(request, &cause(errno))),
            Ok(Some(ExecAnswer::Ready)) => Err(Error::internal(
                "shim",
                "the shim's child spoke out of turn",
            )),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => Err(own("hear from its child", &error)),
        }
    }

    /// The word, and with it the program's stdin: no copy of that stays here, so its end is seen.
    fn say_go(&mut self) -> io::Result<()> {
        let stdin = self.stdin.take();
        let rights: Vec<BorrowedFd<'_>> = stdin.iter().map(AsFd::as_fd).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !rights.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&rights)) {
            return Err(io::Error::other("there is no room for a descriptor"));
        }
        let word = [IoSlice::new(&[GO])];
        rustix::io::retry_on_intr(|| {
            sendmsg(&self.line, &word, &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    fn hear(&self) -> io::Result<Option<ExecAnswer>> {
        let mut text = String::new();
        match BufReader::new(&self.line).read_line(&mut text) {
            Ok(0) => Ok(None),
            Ok(_) => Ok(Some(serde_json::from_str(&text)?)),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn cause(errno: Option<i32>) -> io::Error {
    errno.map_or_else(|| io::Error::other("unknown"), io::Error::from_raw_os_error)
}

fn not_executed(program: &ResolvedProgram, error: &io::Error) -> Error {
    let shown = program.path.display();
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::NOENT) => Error::invalid(
            "program-missing",
            if File::open(&program.path).is_ok() {
                format!(
                    "`{shown}` cannot be executed: the interpreter or loader it names is not on this node; install that"
                )
            } else {
                format!(
                    "there is no program `{shown}` on this node any more; install it or correct the path"
                )
            },
        ),
        Some(Errno::TOOBIG) => Error::invalid(
            "bad-environment",
            format!(
                "`{shown}` cannot be executed: command and environment are too large; pass data in files"
            ),
        ),
        Some(Errno::NOEXEC) => Error::invalid(
            "program-not-executable",
            format!(
                "`{shown}` is not a program for this machine; build it for this one, or start its interpreter with it as an argument"
            ),
        ),
        _ => Error::invalid(
            "program-not-executable",
            format!(
                "`{shown}` cannot be executed: {error}; give the host's user the right to, or choose another program"
            ),
        ),
    }
}
