//! A person at a terminal: a command of the CLI on a real pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::process::wait_for;

/// A terminal with a command on it.
pub struct Pty {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    terminal: OwnedFd,
    child: Ended,
    is_gone: Arc<AtomicBool>,
    reader: JoinHandle<()>,
}

/// How long anything may take to be shown.
const LONG: Duration = Duration::from_secs(20);

/// How often the reader of the screen looks whether the window is there.
const LOOK: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 20_000_000,
};

impl Pty {
    /// Starts a command on a terminal of this size, as its controlling one.
    #[must_use]
    pub fn start(command: &Command, columns: u16, rows: u16) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
        tcsetwinsize(&master, size(columns, rows)).unwrap();
        // What takes the terminal as its own has to begin a session first.
        let mut on_terminal = Command::new("setsid");
        on_terminal
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => on_terminal.env(name, value),
                None => on_terminal.env_remove(name),
            };
        }
        let stdio = || Stdio::from(terminal.try_clone().unwrap());
        let child = on_terminal
            .env("TERM", "xterm-256color")
            .stdin(stdio())
            .stdout(stdio())
            .stderr(stdio())
            .spawn()
            .unwrap();
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let is_gone = Arc::new(AtomicBool::new(false));
        let reader = std::thread::spawn({
            let (mut from, screen) = (keyboard.try_clone().unwrap(), screen.clone());
            let is_gone = is_gone.clone();
            move || {
                let mut buffer = [0; 4096];
                while !is_gone.load(Ordering::SeqCst) {
                    let mut wanted = [PollFd::new(&from, PollFlags::IN)];
                    if poll(&mut wanted, Some(&LOOK)).unwrap_or(0) == 0 {
                        continue;
                    }
                    // The other end closed reads as an error.
                    let Ok(count @ 1..) = from.read(&mut buffer) else {
                        return;
                    };
                    screen.lock().unwrap().extend_from_slice(&buffer[..count]);
                }
            }
        });
        Self {
            keyboard,
            screen,
            terminal,
            child: Ended(child),
            is_gone,
            reader,
        }
    }

    /// Closes the window, and answers the command's exit code.
    #[must_use]
    pub fn close(self) -> i32 {
        let Self {
            keyboard,
            terminal,
            mut child,
            is_gone,
            reader,
            ..
        } = self;
        is_gone.store(true, Ordering::SeqCst);
        reader.join().unwrap();
        // The last ones of its end.
        drop((keyboard, terminal));
        let status = wait_for("its end", 20, || child.0.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }

    /// Types.
    pub fn press(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    /// The window has another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        tcsetwinsize(&self.keyboard, size(columns, rows)).unwrap();
    }

    /// Waits until the screen has shown this, and answers all it showed so far.
    pub fn until(&self, text: &str) -> String {
        let deadline = Instant::now() + LONG;
        loop {
            let shown = self.shown();
            if shown.contains(text) {
                return shown;
            }
            let waits = Instant::now() < deadline;
            assert!(waits, "waited {LONG:?} in vain for {text:?} on {shown:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// All that was shown so far.
    #[must_use]
    pub fn shown(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Forgets what was shown.
    pub fn clear(&self) {
        self.screen.lock().unwrap().clear();
    }

    /// Whether keys are passed on as they are.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let mode = tcgetattr(&self.terminal).unwrap();
        !mode
            .local_modes
            .contains(rustix::termios::LocalModes::ICANON)
    }

    /// The command's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.0.id()
    }

    /// Waits for the command's end, and answers its exit code.
    pub fn end(&mut self) -> i32 {
        let what = format!("its end, after {:?}", self.shown());
        let status = wait_for(&what, 20, || self.child.0.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

/// A child that does not outlive its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}
