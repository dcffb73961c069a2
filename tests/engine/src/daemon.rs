//! One `dockerd`: how it is started, and how it is ended with all it has.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::http;

/// Ends an engine: lets go of its containers, ends it, and whatever of them is left, then removes its
/// files. `$1` is its folder, `$2` its cgroup, `$3` its bridge or nothing.
const END: &str = include_str!("end.sh");
/// Waits until nobody needs an engine. `$1` and on as above, `$4` the process that stands for those who
/// do or nothing, `$5` the lock they hold or nothing.
const KEEP: &str = include_str!("keep.sh");

/// How long a start may take.
const START: Duration = Duration::from_secs(60);

/// The network containers can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Net {
    /// A bridge of its own, with its ports on the loopback.
    Bridge,
    None,
}

/// The bridge. Its addresses are of a range for tests of networks (RFC 2544).
const BRIDGE: &str = "fleeteng0";
const BRIDGE_ADDRESS: &str = "198.18.77.1/24";

/// One engine.
#[derive(Debug)]
pub(crate) struct Daemon {
    folder: PathBuf,
    socket: PathBuf,
    net: Net,
}

impl Daemon {
    /// One with its data in this folder; it may run already.
    pub(crate) fn new(folder: PathBuf, net: Net) -> Self {
        let socket = folder.join("docker.sock");
        Self {
            folder,
            socket,
            net,
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether it answers.
    pub(crate) fn answers(&self) -> bool {
        http::ask(&self.socket, "GET", "/_ping", "text/plain", b"")
            .is_ok_and(|(status, _)| status == 200)
    }

    /// Starts it and waits until it answers.
    pub(crate) fn start(&self) {
        // In a file, so that its end can take it back.
        fs::write(self.folder.join("daemon.json"), r#"{"live-restore":true}"#).unwrap();
        if self.net == Net::Bridge {
            bridge();
        }
        let at = |name: &str| self.folder.join(name);
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(at("log"))
            .unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        // A session of its own: what ends a test does not end it.
        let mut child = Command::new("setsid")
            .args(["--fork", "dockerd", "--config-file"])
            .arg(at("daemon.json"))
            .arg("--data-root")
            .arg(at("data"))
            .arg("--exec-root")
            .arg(at("exec"))
            .arg("--pidfile")
            .arg(at("docker.pid"))
            .arg("--host")
            .arg(format!("unix://{}", self.socket.display()))
            .args(["--iptables=false", "--ip-masq=false", "--ip-forward=false"])
            .args(["--shutdown-timeout", "1", "--cgroup-parent", &self.cgroup()])
            .args(["--bridge", self.bridge().unwrap_or("none")])
            .env("PATH", format!("{path}:/usr/sbin:/sbin"))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        child.wait().unwrap();
        let deadline = Instant::now() + START;
        while !self.answers() {
            if Instant::now() > deadline {
                let log = fs::read_to_string(at("log")).unwrap_or_default();
                panic!("dockerd does not answer: {log}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Has it ended when this process is gone.
    pub(crate) fn keep(&self, process: u32) {
        self.keeper(Some(process), None);
    }

    /// Has it ended when this process is gone, or nobody has held the lock for a while.
    pub(crate) fn keep_shared(&self, process: Option<u32>) {
        self.keeper(process, Some(&self.folder.with_extension("lock")));
    }

    fn keeper(&self, process: Option<u32>, lock: Option<&Path>) {
        let mut command = Command::new("setsid");
        command.args(["--fork", "sh", "-c", &format!("{KEEP}\n{END}"), "sh"]);
        self.describe(&mut command);
        command
            .arg(process.map(|pid| pid.to_string()).unwrap_or_default())
            .arg(lock.unwrap_or(Path::new("")))
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        assert!(command.status().unwrap().success(), "no keeper");
    }

    /// Ends it with all it has.
    pub(crate) fn end(&self) {
        let mut command = Command::new("sh");
        command.args(["-c", END, "sh"]);
        self.describe(&mut command);
        let _ = command.stdin(Stdio::null()).status();
    }

    fn describe(&self, command: &mut Command) {
        command
            .arg(&self.folder)
            .arg(self.cgroup())
            .arg(self.bridge().unwrap_or_default());
    }

    /// Sends the daemon a signal that ends it, and waits for that.
    pub(crate) fn stop(&self, signal: Signal) {
        let pid = self.pid().expect("it runs");
        kill_process(pid, signal).unwrap();
        let deadline = Instant::now() + START;
        while rustix::process::test_kill_process(pid).is_ok() {
            assert!(Instant::now() < deadline, "dockerd does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        // One that was killed leaves it, and the next would take it for a sign of life.
        let _ = fs::remove_file(self.folder.join("docker.pid"));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid().expect("it runs"), signal).unwrap();
    }

    fn pid(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.folder.join("docker.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// The cgroup its containers are in, from the top of each hierarchy.
    fn cgroup(&self) -> String {
        let name = self.folder.file_name().unwrap_or_default();
        format!("/{}", name.to_string_lossy())
    }

    fn bridge(&self) -> Option<&'static str> {
        (self.net == Net::Bridge).then_some(BRIDGE)
    }
}

/// Makes the bridge, where it is not there.
fn bridge() {
    let ip = |args: &[&str]| {
        let mut command = Command::new("ip");
        command
            .args(args)
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
        command.status().unwrap().success()
    };
    ip(&["link", "add", BRIDGE, "type", "bridge"]);
    ip(&["address", "add", BRIDGE_ADDRESS, "dev", BRIDGE]);
    assert!(ip(&["link", "set", BRIDGE, "up"]), "no bridge {BRIDGE}");
}
