//! One program: its process group, its output, its end.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};

use fleet_seam::{Clock as _, SystemClock};
use rustix::fs::{Mode, OFlags};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde::{Deserialize, Serialize};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::signal;

/// Where programs are looked for when nothing else is said.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What to run.
#[derive(Debug, Clone)]
pub(crate) struct Order {
    pub(crate) argv: Vec<String>,
    pub(crate) vars: BTreeMap<String, String>,
    pub(crate) hold: Option<PathBuf>,
    pub(crate) reads: bool,
    pub(crate) screen: Option<Screen>,
}

/// A terminal's size in characters.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Screen {
    columns: u16,
    rows: u16,
}

/// A program that has just begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) child: Child,
    /// Its terminal, where it has one: then it has no pipes.
    pub(crate) screen: Option<File>,
}

/// What a program does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "phase")]
pub(crate) enum Phase {
    /// Not begun.
    Moored,
    /// It runs.
    Sailing { pilot: u32, since: u64 },
    /// It has ended. `flag` is the signal that ended it.
    Ashore {
        code: i32,
        flag: Option<String>,
        since: u64,
        until: u64,
    },
}

/// A program, begun or not.
#[derive(Debug)]
pub(crate) struct Hull {
    order: Order,
    begun: Mutex<bool>,
    screen: Mutex<Option<File>>,
    phase: watch::Sender<Phase>,
}

impl Hull {
    pub(crate) fn new(order: Order) -> Self {
        Self {
            order,
            begun: Mutex::new(false),
            screen: Mutex::new(None),
            phase: watch::Sender::new(Phase::Moored),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.phase.borrow().clone()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Begins it; `None` when that was done before.
    ///
    /// # Errors
    /// What the system says of a program that cannot be executed. It has then ended with 126 or 127.
    pub(crate) fn begin(&self) -> std::io::Result<Option<Begun>> {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *begun, true) {
            return Ok(None);
        }
        let since = SystemClock.unix_ms();
        let spawned = self.spawn();
        match &spawned {
            Ok(begun) => {
                let pilot = begun.child.id().unwrap_or_default();
                self.phase.send_replace(Phase::Sailing { pilot, since });
            }
            Err(error) => {
                let missing = error.kind() == std::io::ErrorKind::NotFound;
                let code = if missing { 127 } else { 126 };
                self.phase.send_replace(Phase::Ashore {
                    code,
                    flag: None,
                    since,
                    until: since,
                });
            }
        }
        spawned.map(Some)
    }

    fn spawn(&self) -> std::io::Result<Begun> {
        let (program, rest) = self
            .order
            .argv
            .split_first()
            .ok_or(std::io::ErrorKind::NotFound)?;
        let mut command = Command::new(program);
        command
            .args(rest)
            .env_clear()
            .env("PATH", PATH)
            .envs(&self.order.vars)
            .process_group(0)
            .stdin(if self.order.reads {
                Stdio::piped()
            } else {
                Stdio::null()
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(hold) = &self.order.hold {
            command.current_dir(hold);
        }
        let mut screen = None;
        if let Some(size) = self.order.screen {
            let (here, there) = terminal(size)?;
            command
                .stdin(there.try_clone()?)
                .stdout(there.try_clone()?)
                .stderr(there);
            *self.screen.lock().unwrap_or_else(PoisonError::into_inner) = Some(here.try_clone()?);
            screen = Some(here);
        }
        let child = command.spawn()?;
        Ok(Begun { child, screen })
    }

    /// Gives its terminal another size; `false` where it has none.
    pub(crate) fn resize(&self, size: Screen) -> bool {
        let screen = self.screen.lock().unwrap_or_else(PoisonError::into_inner);
        let screen = screen.as_ref();
        screen.is_some_and(|screen| tcsetwinsize(screen, window(size)).is_ok())
    }

    /// Notes its end, when all it wrote is read.
    pub(crate) fn ended(&self, status: Option<ExitStatus>) {
        let Phase::Sailing { since, .. } = self.phase() else {
            return;
        };
        let number = status.and_then(|status| status.signal());
        let code = status.and_then(|status| status.code());
        self.phase.send_replace(Phase::Ashore {
            code: number.map_or_else(|| code.unwrap_or(-1), |number| 128 + number),
            flag: number.map(signal::name),
            since,
            until: SystemClock.unix_ms(),
        });
    }

    /// Ends it; one that was not begun never will be.
    pub(crate) fn sink(&self) {
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *begun, true) {
            self.hail(Signal::KILL);
            return;
        }
        let now = SystemClock.unix_ms();
        self.phase.send_replace(Phase::Ashore {
            code: 128 + Signal::KILL.as_raw(),
            flag: Some(signal::name(Signal::KILL.as_raw())),
            since: now,
            until: now,
        });
    }

    /// Sends a signal to it and its process group; `false` when it does not run.
    pub(crate) fn hail(&self, signal: Signal) -> bool {
        let Phase::Sailing { pilot, .. } = self.phase() else {
            return false;
        };
        let group = i32::try_from(pilot).ok().and_then(Pid::from_raw);
        group.is_some_and(|group| kill_process_group(group, signal).is_ok())
    }
}

fn window(size: Screen) -> Winsize {
    Winsize {
        ws_col: size.columns,
        ws_row: size.rows,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// A terminal's two ends: that which shows it, and that of programs.
fn terminal(size: Screen) -> std::io::Result<(File, File)> {
    let here = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
    grantpt(&here)?;
    unlockpt(&here)?;
    tcsetwinsize(&here, window(size))?;
    let name = ptsname(&here, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let there = rustix::fs::open(name.as_c_str(), flags, Mode::empty())?;
    Ok((here.into(), there.into()))
}
