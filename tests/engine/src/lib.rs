//! A Docker engine for tests: a `dockerd` that was started for them, with its own data, socket, bridge and
//! cgroup, and that ends with them. No other daemon of the machine is touched.
//!
//! [`Engine::shared`] is one for all tests of a run, in whichever process they are; [`Engine::own`] is
//! one for a test that stops it. Both have the image [`IMAGE`], made of a static busybox, and no registry.
//!
//! Where there is no `dockerd`, or no right to start one, both answer `None` after a line that says how to
//! get it, and the test is skipped. `FLEET_TEST_ENGINE=required` makes that a failure. A test that got an
//! engine is noted in the file that `FLEET_TEST_ENGINE_TALLY` names, one line each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "a test harness: a failure here is a failing test, and it waits for real processes"
)]

mod daemon;
mod http;
mod image;
mod need;
mod shared;

use std::fs::File;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

pub use image::IMAGE;

use crate::daemon::{Daemon, Net};

/// An engine with the image [`IMAGE`].
#[derive(Debug)]
pub struct Engine {
    daemon: Daemon,
    /// Kept for as long as this process may use the shared one.
    _hold: Option<File>,
}

impl Engine {
    /// The one for all tests of this run. It must not be stopped.
    #[must_use]
    pub fn shared() -> Option<&'static Self> {
        let engine = shared::engine()?;
        need::note();
        Some(engine)
    }

    /// One for this test alone, without a bridge: its containers have no network.
    #[must_use]
    pub fn own() -> Option<Self> {
        need::all().ok()?;
        need::note();
        let folder = tempfile::Builder::new()
            .prefix("fleet-engine-")
            .tempdir()
            .unwrap()
            .keep();
        let daemon = Daemon::new(folder, Net::None);
        daemon.start();
        daemon.keep(std::process::id());
        image::load(daemon.socket());
        Some(Self {
            daemon,
            _hold: None,
        })
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.daemon.socket()
    }

    /// Its address, as grants and `DOCKER_HOST` have it.
    #[must_use]
    pub fn address(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// Asks it, and answers status and body. The path begins behind the version.
    #[must_use]
    pub fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> (u16, Value) {
        let text = body.map(Value::to_string).unwrap_or_default();
        let (status, answer) = http::ask(
            self.socket(),
            method,
            &format!("/v1.41{path}"),
            "application/json",
            text.as_bytes(),
        )
        .unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let value = serde_json::from_slice(&answer)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&answer).into_owned()));
        (status, value)
    }

    /// All containers with this label, `KEY` or `KEY=VALUE`, whatever they do.
    #[must_use]
    pub fn containers(&self, label: &str) -> Vec<Value> {
        let filters = http::encode(&json!({ "label": [label] }).to_string());
        let (status, rows) = self.ask(
            "GET",
            &format!("/containers/json?all=1&filters={filters}"),
            None,
        );
        assert_eq!(status, 200, "{rows}");
        rows.as_array().unwrap().clone()
    }

    /// Makes a container as somebody else would, and answers its id.
    #[must_use]
    pub fn foreign(&self, name: &str, body: &Value) -> String {
        let (status, made) = self.ask(
            "POST",
            &format!("/containers/create?name={name}"),
            Some(body),
        );
        assert_eq!(status, 201, "{made}");
        made["Id"].as_str().unwrap().to_owned()
    }

    /// Removes a container, whatever it does. Fine when it is gone.
    pub fn remove(&self, container: &str) {
        let (status, said) = self.ask(
            "DELETE",
            &format!("/containers/{container}?force=1&v=1"),
            None,
        );
        assert!(matches!(status, 204 | 404), "{said}");
    }

    /// Ends the engine as a service manager does; its containers run on.
    pub fn stop(&mut self) {
        assert!(self._hold.is_none(), "others use this engine");
        self.daemon.stop(rustix::process::Signal::TERM);
    }

    /// Ends it without giving it time for anything; its containers run on.
    pub fn kill(&mut self) {
        assert!(self._hold.is_none(), "others use this engine");
        self.daemon.stop(rustix::process::Signal::KILL);
    }

    /// Starts it again on what it had, and waits until it answers.
    pub fn start(&mut self) {
        self.daemon.start();
    }

    /// Stops its processes where they are, so that it listens and answers nothing.
    pub fn freeze(&self) {
        self.daemon.signal(rustix::process::Signal::STOP);
    }

    /// Lets them go on.
    pub fn thaw(&self) {
        self.daemon.signal(rustix::process::Signal::CONT);
    }

    /// Where it keeps its data.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.daemon.folder().to_path_buf()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // The shared one is in a static, which is never dropped.
        self.daemon.end();
    }
}
