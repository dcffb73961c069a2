//! One host under test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use crate::disk::on_disk;
use crate::process::{find_processes, wait_for};

/// How a host is started.
#[derive(Debug, Clone, Default)]
pub struct HostOptions {
    /// The plugin folder; what was built, when absent.
    pub plugins: Option<PathBuf>,
    /// More arguments of `run`.
    pub args: Vec<OsString>,
    /// Where it listens; a free port, another after each start, when absent.
    pub listen: Option<String>,
    /// Words before its own: a program that becomes the host, as `env` does.
    pub before: Vec<OsString>,
}

/// A running host, or one that was killed and can be started again on the same data.
pub struct Host {
    folder: tempfile::TempDir,
    options: HostOptions,
    child: Option<Child>,
    url: String,
}

/// What a command printed and how it ended.
#[derive(Debug, Clone)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Ran {
    /// Its output as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The same, after making sure that it succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
}

/// The binary under test.
#[must_use]
pub fn binary() -> PathBuf {
    std::env::var_os("FLEET_HOST_BIN")
        .map_or_else(|| target().join("release/fleet-host"), PathBuf::from)
}

/// The plugins under test.
#[must_use]
pub fn plugins() -> PathBuf {
    std::env::var_os("FLEET_PLUGINS_DIR").map_or_else(|| target().join("plugins"), PathBuf::from)
}

/// The next versions of the plugins under test: other components that do the same.
#[must_use]
pub fn next_plugins() -> PathBuf {
    let folder = std::env::var_os("FLEET_NEXT_PLUGINS_DIR")
        .map_or_else(|| target().join("next-plugins"), PathBuf::from);
    assert!(
        folder.is_dir(),
        "{} is missing; `cargo xtask build --next {}` makes it",
        folder.display(),
        folder.display()
    );
    folder
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    )
}

impl Host {
    /// Starts a host with the built plugins.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(HostOptions::default())
    }

    /// Starts a host that has the same address after each start.
    #[must_use]
    pub fn start_fixed() -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Some(free.local_addr().unwrap().to_string());
        drop(free);
        Self::start_with(HostOptions {
            listen,
            ..HostOptions::default()
        })
    }

    /// Starts a host and waits until it is ready.
    #[must_use]
    pub fn start_with(options: HostOptions) -> Self {
        Self::start_in(folder(), options)
    }

    /// Starts a host whose data folder is a disk of its own, lost when it ends. `None` where that cannot
    /// be, as [`on_disk`] says.
    #[must_use]
    pub fn start_on_disk(disk: &str) -> Option<Self> {
        let folder = folder();
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let options = HostOptions {
            before: on_disk(&data, disk)?,
            ..HostOptions::default()
        };
        Some(Self::start_in(folder, options))
    }

    fn start_in(folder: tempfile::TempDir, options: HostOptions) -> Self {
        let mut host = Self {
            folder,
            options,
            child: None,
            url: String::new(),
        };
        host.start_again();
        host
    }

    /// Starts it on the data it had, and waits until it is ready.
    pub fn start_again(&mut self) {
        assert!(self.child.is_none(), "it is running");
        let log = std::fs::File::create(self.scratch().join("host.stdout")).unwrap();
        let errors = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.scratch().join("host.stderr"))
            .unwrap();
        let mut words = self.options.before.iter().cloned().chain([binary().into()]);
        let child = Command::new(words.next().unwrap())
            .args(words)
            .arg("run")
            .arg("--plugins")
            .arg(self.options.plugins.clone().unwrap_or_else(plugins))
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .arg("--listen")
            .arg(self.options.listen.as_deref().unwrap_or("127.0.0.1:0"))
            .args(&self.options.args)
            .env("FLEET_CACHE", compile_cache())
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; build it with `cargo xtask build`",
                    binary().display()
                )
            });
        self.child = Some(child);
        self.url = wait_for("the host's first screen", 120, || {
            let said = self.screen();
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("the host ended with {status}: {said}{}", self.complaints());
            }
            said.split_whitespace()
                .find(|word| word.starts_with("http://127.0.0.1:"))
                .map(str::to_owned)
        });
        wait_for("/ready", 60, || {
            self.get("/ready").filter(|(status, _)| *status == 200)
        });
    }

    /// Changes how it is started from now on.
    pub fn change(&mut self, change: impl FnOnce(&mut HostOptions)) {
        change(&mut self.options);
    }

    /// What it printed.
    #[must_use]
    pub fn screen(&self) -> String {
        std::fs::read_to_string(self.scratch().join("host.stdout")).unwrap_or_default()
    }

    /// What it complained about.
    #[must_use]
    pub fn complaints(&self) -> String {
        std::fs::read_to_string(self.scratch().join("host.stderr")).unwrap_or_default()
    }

    /// Its data folder, as it is seen from here: what becomes the host may have mounts of its own.
    #[must_use]
    pub fn data(&self) -> PathBuf {
        let data = self.folder.path().join("data");
        match &self.child {
            Some(child) if !self.options.before.is_empty() => {
                PathBuf::from(format!("/proc/{}/root{}", child.id(), data.display()))
            }
            _ => data,
        }
    }

    /// A folder for whatever a test needs beside the host.
    #[must_use]
    pub fn scratch(&self) -> &Path {
        self.folder.path()
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its own process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is running").id()
    }

    /// The admin token.
    #[must_use]
    pub fn token(&self) -> String {
        std::fs::read_to_string(self.data().join("admin.token"))
            .unwrap()
            .trim()
            .to_owned()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("it is running");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGINT, as Ctrl-C, and waits for its end.
    pub fn interrupt(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it is running");
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        wait_for("the host's end", 30, || child.try_wait().unwrap())
    }

    /// Waits until it has ended by itself.
    pub fn ended(&mut self) -> std::process::ExitStatus {
        let mut child = self.child.take().expect("it is running");
        wait_for("the host's own end", 30, || child.try_wait().unwrap())
    }

    /// Runs a command of the CLI against it.
    #[must_use]
    pub fn cli<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        (&self.command().args(args).output().unwrap()).into()
    }

    /// Starts a command of the CLI against it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env("FLEET_SERVER", &self.url)
            .env("FLEET_DATA", self.data())
            .stdin(Stdio::null());
        command
    }

    /// A command of the CLI against it, with these arguments.
    #[must_use]
    pub fn command_of<S: AsRef<std::ffi::OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Command {
        let mut command = self.command();
        command.args(args);
        command
    }

    /// One workload, as the API shows it.
    #[must_use]
    pub fn show(&self, workload: &str) -> Value {
        self.cli(["workload", "show", workload, "--output", "json"])
            .ok()
            .json()
    }

    /// Waits until a workload is in a state, and answers it.
    #[must_use]
    pub fn wait_state(&self, workload: &str, state: &str) -> Value {
        wait_for(&format!("{workload} to be {state}"), 60, || {
            let shown = self.show(workload);
            (shown["state"] == state).then_some(shown)
        })
    }

    /// A GET without a library's pool, so that tests may kill the host at any time.
    #[must_use]
    pub fn get(&self, path: &str) -> Option<(u16, String)> {
        http_get(self.url.strip_prefix("http://")?, path, Some(&self.token()))
    }
}

/// One plain HTTP/1.1 GET; `None` when nothing answers.
#[must_use]
pub fn http_get(address: &str, path: &str, token: Option<&str>) -> Option<(u16, String)> {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    let token = token
        .map(|token| format!("Authorization: Bearer {token}\r\n"))
        .unwrap_or_default();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\n{token}Connection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split_whitespace().nth(1)?.parse().ok()?;
    let body = answer
        .split_once("\r\n\r\n")
        .map(|(_, body)| body.to_owned())?;
    Some((status, body))
}

fn folder() -> tempfile::TempDir {
    let mut builder = tempfile::Builder::new();
    builder.prefix("fleet-e2e-").tempdir().unwrap()
}

/// Compiled components are shared by all tests: compiling is not what they test.
#[must_use]
pub fn compile_cache() -> PathBuf {
    target().join("test-compile-cache")
}

impl From<&Output> for Ran {
    fn from(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "--- host stdout\n{}\n--- host stderr\n{}",
                self.screen(),
                self.complaints()
            );
        }
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Everything a workload of this host runs carries the data folder in its command line (the
        // shim's) or is a child of such a shim.
        let text = self.scratch().display().to_string();
        for pid in find_processes(&text) {
            if let Some(pid) = i32::try_from(pid)
                .ok()
                .and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}
