//! Processes that belong to a measurement: ended with it, waited for, looked at.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::Result;
use crate::stopwatch::{pause, wait_for};

/// How long a process may take to end when asked to.
const END: Duration = Duration::from_secs(60);
/// How long one answer over HTTP may take.
const ANSWER: Duration = Duration::from_secs(5);

/// A child that does not outlive its owner.
pub(crate) struct Owned(Child);

impl Owned {
    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        let child = command
            .spawn()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        Ok(Self(child))
    }

    /// Its number.
    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The child itself.
    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// An error when it has ended already.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.0.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("it has ended by itself ({status})").into()),
        }
    }

    /// Asks it to end, and waits until it has.
    pub(crate) fn end(mut self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.0), signal)?;
        let ended = || Ok(self.0.try_wait()?.map(|_| ()));
        wait_for("the end of a process", END, Duration::from_millis(2), ended)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends every process that belongs to a folder: those that work below it, and those whose command
/// line names it.
pub(crate) fn end_all_below(folder: &Path) {
    let text = folder.as_os_str().as_encoded_bytes();
    let names = |pid: &str| {
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|bytes| bytes.windows(text.len()).any(|window| window == text))
    };
    // Also when the folder itself is gone: then the kernel says so behind the path (proc(5)).
    let works = |pid: &str| {
        std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|place| place.starts_with(folder))
    };
    for _ in 0..10 {
        let listing = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let found: Vec<Pid> = listing
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|pid| *pid != std::process::id().to_string())
            .filter(|pid| names(pid) || works(pid))
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?))
            .collect();
        if found.is_empty() {
            return;
        }
        for pid in found {
            let _ = kill_process(pid, Signal::KILL);
        }
        pause(Duration::from_millis(50));
    }
}

/// An address on loopback that nobody listens on now.
pub(crate) fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

/// The status of a plain GET; nothing when nobody answers.
pub(crate) fn http_status(address: SocketAddr, path: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(ANSWER)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = [0; 64];
    let count = stream.read(&mut answer).ok()?;
    let text = String::from_utf8_lossy(answer.get(..count)?).into_owned();
    text.split(' ').nth(1)?.parse().ok()
}

/// What a process holds of the machine's memory.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Memory {
    /// Resident, in bytes: pages shared with others count in full.
    pub(crate) rss_bytes: f64,
    /// Proportional, in bytes: a page shared by n processes counts 1/n.
    pub(crate) pss_bytes: f64,
}

impl Memory {
    /// Of a process that lives.
    pub(crate) fn of(pid: u32) -> Result<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        Self::parse(&text).ok_or_else(|| "smaps_rollup tells no memory".into())
    }

    fn parse(text: &str) -> Option<Self> {
        let bytes = |name: &str| {
            let line = text.lines().find(|line| line.starts_with(name))?;
            let kib: u32 = line.split_whitespace().nth(1)?.parse().ok()?;
            Some(f64::from(kib) * 1024.0)
        };
        Some(Self {
            rss_bytes: bytes("Rss:")?,
            pss_bytes: bytes("Pss:")?,
        })
    }
}

/// By how much a process grows from a moment on.
pub(crate) struct Peak {
    pid: u32,
    before: f64,
}

impl Peak {
    /// Begins now: the kernel forgets its former peak (proc(5), `clear_refs`).
    pub(crate) fn begin(pid: u32) -> Result<Self> {
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5")?;
        Ok(Self {
            pid,
            before: status(pid, "VmRSS:")?,
        })
    }

    /// How many bytes more than at the beginning it held at its highest.
    pub(crate) fn bytes(&self) -> Result<f64> {
        Ok((status(self.pid, "VmHWM:")? - self.before).max(0.0))
    }
}

/// A size in bytes out of `/proc/PID/status`.
fn status(pid: u32, name: &str) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find(|line| line.starts_with(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u32>().ok());
    Ok(f64::from(kib.ok_or_else(|| format!("/proc/{pid}/status has no {name}"))?) * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "55e-7ff ---p 00000000 00:00 0 [rollup]\nRss:      100 kB\nPss:       50 kB\nPss_Dirty:  7 kB\n";
        let memory = Memory::parse(text).unwrap();
        assert_eq!((memory.rss_bytes, memory.pss_bytes), (102_400.0, 51_200.0));
        assert_eq!(Memory::parse("Rss: 1 kB\n"), None);
    }

    #[test]
    fn a_child_ends_with_its_owner() {
        let child = Owned::spawn(Command::new("sleep").arg("600")).unwrap();
        let pid = child.pid();
        drop(child);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn what_works_below_a_folder_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let below = folder.path().join("a/b");
        std::fs::create_dir_all(&below).unwrap();
        let sleep = || {
            Command::new("sleep")
                .arg("600")
                .current_dir(&below)
                .spawn()
                .unwrap()
        };
        let mut inside = sleep();
        let mut outside = Owned::spawn(Command::new("sleep").arg("600")).unwrap();
        end_all_below(folder.path());
        assert!(!inside.wait().unwrap().success());
        outside.check().unwrap();
    }
}
