//! The child that waits to become the program.
//!
//! It is the same command line again, told apart by a variable of its environment. It enters the
//! program's cgroups by itself, before it says that it is ready, so nothing of the program is ever
//! outside them; and it executes only on the shim's word. Where the shim is gone the line to it is
//! closed, and the child ends without having executed anything.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use rustix::process::{ioctl_tiocsctty, setsid};

use super::message::{ExecAnswer, ExecOrder, Streams};
use crate::cgroup::group;

/// Set, to this value, in the environment of the child and of nothing else.
pub(super) const STAGE: (&str, &str) = ("FLEET_SHIM_STAGE", "exec");

/// The shim's word to go.
pub(super) const GO: u8 = b'g';

pub(super) fn is_this_stage() -> bool {
    std::env::var_os(STAGE.0).is_some_and(|value| value == STAGE.1)
}

/// Waits on its stdin, a socket to the shim, on which the program's stdin comes with the word. Comes back only when it did not become the program.
pub(super) fn become_program() -> ExitCode {
    let Ok(line) = take_line() else {
        return ExitCode::FAILURE;
    };
    let failed = match prepare(&line) {
        Ok(None) => return ExitCode::FAILURE,
        Ok(Some(mut program)) => Failure {
            doing: "execute",
            error: program.exec(),
        },
        Err(failure) => failure,
    };
    say(
        &line,
        &ExecAnswer::Failed {
            doing: failed.doing.to_owned(),
            errno: failed.error.raw_os_error(),
        },
    );
    ExitCode::FAILURE
}

struct Failure {
    doing: &'static str,
    error: io::Error,
}

/// Keeps the socket for itself, closed at exec, and gives the program an empty stdin.
fn take_line() -> io::Result<UnixStream> {
    let line = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
    Ok(UnixStream::from(line))
}

/// All but the exec itself; `None` when the word never came.
fn prepare(line: &UnixStream) -> Result<Option<Command>, Failure> {
    let mut input = BufReader::new(line);
    let mut text = String::new();
    let order = input
        .read_line(&mut text)
        .and_then(|_| Ok(serde_json::from_str::<ExecOrder>(&text)?));
    let order = order.map_err(|error| Failure {
        doing: "read the order of",
        error,
    })?;
    for path in &order.groups {
        group::enter(path).map_err(|error| Failure {
            doing: "enter the cgroup of",
            error,
        })?;
    }
    std::env::set_current_dir(&order.workspace).map_err(|error| Failure {
        doing: "enter the workspace of",
        error,
    })?;
    if order.streams == Streams::Terminal {
        setsid().map_err(|error| Failure {
            doing: "begin a session for",
            error: error.into(),
        })?;
    }
    say(line, &ExecAnswer::Ready);
    // The word comes after the answer, so nothing of it is in the buffer.
    match hear_word(line) {
        Ok(Some(Word { stdin: None })) => {}
        Ok(Some(Word { stdin: Some(stdin) })) => {
            connect(stdin, order.streams).map_err(|error| Failure {
                doing: "open the stdin of",
                error: error.into(),
            })?;
        }
        Ok(None) | Err(_) => return Ok(None),
    }
    let mut program = Command::new(&order.program);
    if let Some((name, arguments)) = order.command.split_first() {
        program.arg0(name).args(arguments);
    }
    let variables = order.env.iter();
    program
        .env_clear()
        .envs(variables.map(|(name, value)| (name, OsStr::from_bytes(value.0.expose()))));
    Ok(Some(program))
}

/// Puts what came with the word where the program finds it.
fn connect(stdin: OwnedFd, streams: Streams) -> rustix::io::Result<()> {
    rustix::stdio::dup2_stdin(&stdin)?;
    if streams == Streams::Terminal {
        ioctl_tiocsctty(&stdin)?;
        rustix::stdio::dup2_stdout(&stdin)?;
        rustix::stdio::dup2_stderr(&stdin)?;
    }
    Ok(())
}

/// The word to go, and the program's stdin or terminal if it has one.
struct Word {
    stdin: Option<OwnedFd>,
}

fn hear_word(line: &UnixStream) -> io::Result<Option<Word>> {
    let mut word = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let heard = recvmsg(
        line,
        &mut [IoSliceMut::new(&mut word)],
        &mut control,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    if heard.bytes == 0 || word != [GO] {
        return Ok(None);
    }
    let mut stdin = None;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            stdin = rights.last();
        }
    }
    Ok(Some(Word { stdin }))
}

fn say(mut line: &UnixStream, answer: &ExecAnswer) {
    let mut text = serde_json::to_vec(answer).unwrap_or_default();
    text.push(b'\n');
    // A shim that is gone does not mind.
    let _ = line.write_all(&text);
}
