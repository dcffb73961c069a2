//! A person at a terminal: a command of the CLI on a real pseudo-terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcgetattr, tcsetwinsize};

use crate::process::wait_for;

/// A terminal with a command on it.
pub struct Pty {
    keyboard: File,
    screen: Arc<Mutex<Vec<u8>>>,
    terminal: OwnedFd,
    child: Child,
}

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
        std::thread::spawn({
            let (mut from, screen) = (keyboard.try_clone().unwrap(), screen.clone());
            move || {
                let mut buffer = [0; 4096];
                // The other end closed reads as an error.
                while let Ok(count @ 1..) = from.read(&mut buffer) {
                    screen.lock().unwrap().extend_from_slice(&buffer[..count]);
                }
            }
        });
        Self {
            keyboard,
            screen,
            terminal,
            child,
        }
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
        wait_for(&format!("{text:?} on {:?}", self.shown()), 20, || {
            let shown = self.shown();
            shown.contains(text).then_some(shown)
        })
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
        self.child.id()
    }

    /// Waits for the command's end, and answers its exit code.
    pub fn end(&mut self) -> i32 {
        let what = format!("its end, after {:?}", self.shown());
        let status = wait_for(&what, 20, || self.child.try_wait().unwrap());
        status.code().unwrap_or(-1)
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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
