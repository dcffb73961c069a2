//! The shim's side of a start: the waiting child, the claim, the word to go.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSlice, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::pipe::PipeFlags;

use super::exec::{GO, STAGE};
use super::message::{ExecAnswer, ExecOrder};
use super::own;
use super::points::{Claims, ShimPoint, ShimPoints};
use crate::boot::ProcessIdentity;
use crate::cgroup::group;
use crate::fault;
use crate::process::Stdin;
use crate::process::launcher::ResolvedProgram;
use crate::process::program;
use crate::process::record::{Claim, RequestRecord, Started};
use crate::process::slot::Slot;
use crate::secret::wire::{self, Carried};

/// How long the child may take to say that it is ready, and to become the program.
const PATIENCE: Duration = Duration::from_secs(30);

/// A child that waits for the word, in a slot that this shim has claimed.
pub(super) struct Launched {
    pub(super) child: Child,
    line: UnixStream,
    /// The program's stdin, until it has it.
    stdin: Option<OwnedFd>,
    /// The other end of that: a pipe that never blocks whoever writes.
    pub(super) commands: Option<File>,
    /// The slot's FIFO: whoever reads it sees it end when this process ends.
    _end: OwnedFd,
}

impl Launched {
    /// Makes the child and claims the slot; `None` when it was claimed before.
    pub(super) fn claim(
        slot: &Slot,
        request: &RequestRecord,
        env: BTreeMap<String, Carried>,
        points: &dyn ShimPoints,
    ) -> Result<Option<Self>, Error> {
        points.reach(ShimPoint::BeforeClaim);
        let workspace = slot
            .workspace()
            .map_err(|error| own("find its workspace", &error))?;
        group::apply(&request.settings)
            .map_err(|error| own("hold the program to its limits", &error))?;
        let order = ExecOrder {
            program: request.program.path.clone(),
            command: request.request.command.clone(),
            env,
            workspace,
            groups: request.placement.groups(),
        };
        // Before the claim: whoever sees the claim can rely on the FIFO. Open for reading too, so
        // that it opens without a reader.
        let end = rustix::fs::open(slot.end(), OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| fault::storage("open", &slot.end(), &error.into()))?;
        let mut launched = Self::spawn(end).map_err(|error| own("start a child", &error))?;
        if request.request.stdin == Stdin::Pipe {
            launched
                .open_stdin()
                .map_err(|error| own("make a pipe", &error))?;
        }
        launched
            .make_ready(&order)
            .map_err(|error| too_little_memory(request).unwrap_or(error))?;
        points.reach(ShimPoint::ChildReady);
        let identify = || {
            let program = ProcessIdentity::of(launched.child.id())?;
            Ok(Started {
                program,
                shim: ProcessIdentity::own()?,
                at_ms: unix_ms(),
            })
        };
        let started = identify().map_err(|error: io::Error| own("identify its child", &error))?;
        let claimed = slot
            .claim(&Claim::Shim(started))
            .map_err(|error| fault::storage("claim", slot.folder(), &error))?;
        if !claimed && points.claims() == Claims::Honoured {
            return Ok(None);
        }
        points.reach(ShimPoint::AfterClaim);
        Ok(Some(launched))
    }

    fn open_stdin(&mut self) -> io::Result<()> {
        let (read, write) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
        // This end alone: the program's blocks, as a pipe does.
        rustix::io::ioctl_fionbio(&write, true)?;
        self.stdin = Some(read);
        self.commands = Some(File::from(write));
        Ok(())
    }

    fn spawn(end: OwnedFd) -> io::Result<Self> {
        let (line, far) = UnixStream::pair()?;
        line.set_read_timeout(Some(PATIENCE))?;
        let mut arguments = std::env::args_os();
        let name = arguments.next().unwrap_or_default();
        // This very file, also when another has taken its place on the disk.
        let child = Command::new("/proc/self/exe")
            .arg0(name)
            .args(arguments)
            .env_clear()
            .env(STAGE.0, STAGE.1)
            .process_group(0)
            .stdin(Stdio::from(OwnedFd::from(far)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        Ok(Self {
            child,
            line,
            stdin: None,
            commands: None,
            _end: end,
        })
    }

    fn make_ready(&mut self, order: &ExecOrder) -> Result<(), Error> {
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

    /// Lets the child become the program; comes back when it has.
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

/// What to say where even the waiting child was killed for want of memory.
fn too_little_memory(request: &RequestRecord) -> Option<Error> {
    let limit = request.request.limits.memory?;
    request.placement.saw_oom_kill().then(|| {
        Error::invalid(
            "memory-limit-too-small",
            format!("nothing can run in {limit} of memory: raise the limit `memory`"),
        )
    })
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

/// The shim's clock: no host is there to pass one in.
pub(super) fn unix_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}
