//! A host with a plugin folder of its own, and versions to swap.

use std::path::{Path, PathBuf};

use fleet_client::{Client, ClientOptions, NewVersion, SwapWish};
use fleet_e2e::{Host, HostOptions, Ran, next_plugins, plugins, wait_for};
use serde_json::Value;

use crate::traffic::Tally;

/// One version of a plugin: a component and its manifest.
#[derive(Clone)]
pub(crate) struct Version {
    pub(crate) component: Vec<u8>,
    pub(crate) manifest: String,
}

impl Version {
    /// The one that was built.
    pub(crate) fn shipped(name: &str) -> Self {
        Self::of(&plugins(), name)
    }

    /// The next one of it.
    pub(crate) fn next(name: &str) -> Self {
        Self::of(&next_plugins(), name)
    }

    fn of(folder: &Path, name: &str) -> Self {
        let file = |kind: &str| folder.join(format!("{name}.{kind}"));
        Self {
            component: std::fs::read(file("wasm")).unwrap(),
            manifest: std::fs::read_to_string(file("toml")).unwrap(),
        }
    }

    /// The same code under another digest.
    pub(crate) fn salted(mut self, salt: &str) -> Self {
        // A custom section (WebAssembly core specification, 5.5.3) named `salt`.
        let mut content = vec![4];
        content.extend_from_slice(b"salt");
        content.extend_from_slice(salt.as_bytes());
        assert!(content.len() < 128, "one byte of length");
        self.component.push(0);
        self.component.push(u8::try_from(content.len()).unwrap());
        self.component.extend_from_slice(&content);
        self
    }

    /// The same with something replaced in its manifest.
    pub(crate) fn manifest(mut self, old: &str, new: &str) -> Self {
        assert!(self.manifest.contains(old), "{old}: {}", self.manifest);
        self.manifest = self.manifest.replacen(old, new, 1);
        self
    }

    /// The same with more at the end of its manifest.
    pub(crate) fn with(mut self, more: &str) -> Self {
        self.manifest.push_str(more);
        self
    }

    /// Writes it as files and answers the component's.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        std::fs::create_dir_all(folder).unwrap();
        std::fs::write(folder.join(format!("{name}.toml")), &self.manifest).unwrap();
        let file = folder.join(format!("{name}.wasm"));
        std::fs::write(&file, &self.component).unwrap();
        file
    }

    /// As the client sends it.
    pub(crate) fn sent(&self) -> NewVersion {
        NewVersion {
            component: self.component.clone().into(),
            manifest: Some(self.manifest.clone()),
        }
    }
}

/// A host, and the folder its plugins are in.
pub(crate) struct Bench {
    pub(crate) host: Host,
    pub(crate) folder: tempfile::TempDir,
}

/// What stands before a host's own words: variables.
pub(crate) fn variables(pairs: &[(&str, &str)]) -> Vec<std::ffi::OsString> {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}").into());
    std::iter::once("env".into()).chain(pairs).collect()
}

impl Bench {
    /// A host with these plugins as they were built, and these variables.
    pub(crate) fn new(names: &[&str], pairs: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            Version::shipped(name).write(folder.path(), name);
            let policy = format!("{name}.policy.toml");
            if plugins().join(&policy).is_file() {
                std::fs::copy(plugins().join(&policy), folder.path().join(&policy)).unwrap();
            }
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = Some(free.local_addr().unwrap().to_string());
        drop(free);
        let host = Host::start_with(HostOptions {
            plugins: Some(folder.path().to_owned()),
            before: variables(pairs),
            listen,
            ..HostOptions::default()
        });
        Self { host, folder }
    }

    /// `plugin swap` of this version, from files beside each other.
    pub(crate) fn swap(&self, name: &str, version: &Version, flags: &[&str]) -> Ran {
        let file = version.write(&self.host.scratch().join("versions"), name);
        let file = file.to_str().unwrap();
        self.host
            .cli([&["plugin", "swap", name, file], flags].concat())
    }

    /// The same, which is taken; answers the report.
    pub(crate) fn swapped(&self, name: &str, version: &Version) -> Value {
        let report = self.swap(name, version, &["--output", "json"]).ok().json();
        assert_eq!(report["verdict"], "active", "{report:#}");
        self.listed(name, &report["to"]["digest"]);
        report
    }

    /// Waits until the list has this one as active: a node tells of it beside its answers.
    pub(crate) fn listed(&self, name: &str, digest: &Value) {
        wait_for(&format!("{name} {digest} in the list"), 20, || {
            (self.active(name)["digest"] == *digest).then_some(())
        });
    }

    /// All rows of the list that have this name.
    pub(crate) fn rows(&self, name: &str) -> Vec<Value> {
        let listed = self
            .host
            .cli(["plugin", "ls", "--output", "json"])
            .ok()
            .json();
        let items = listed["items"].as_array().unwrap().clone();
        items
            .into_iter()
            .filter(|row| row["name"] == name)
            .collect()
    }

    /// The one that serves.
    pub(crate) fn active(&self, name: &str) -> Value {
        let mut rows = self.rows(name);
        rows.retain(|row| row["state"] == "active");
        assert_eq!(rows.len(), 1, "{rows:#?}");
        rows.remove(0)
    }

    /// Waits until one with this version serves.
    pub(crate) fn serves(&self, name: &str, version: &str) -> Value {
        wait_for(&format!("{name} {version} to serve"), 30, || {
            Some(self.active(name)).filter(|row| row["version"] == version)
        })
    }

    /// Its reports, the newest first.
    pub(crate) fn history(&self, name: &str) -> Vec<Value> {
        let listed = self
            .host
            .cli(["plugin", "history", name, "--output", "json"])
            .ok()
            .json();
        listed["items"].as_array().unwrap().clone()
    }

    /// The events of a type about a plugin.
    pub(crate) fn events(&self, kind: &str, name: &str) -> Vec<Value> {
        let path = format!("/api/v1/events?limit=500&type={kind}&subject={name}");
        let (status, body) = self.host.get(&path).unwrap();
        assert_eq!(status, 200, "{body}");
        let page: Value = serde_json::from_str(&body).unwrap();
        page["items"].as_array().unwrap().clone()
    }

    pub(crate) fn client(&self) -> Client {
        let mut options = ClientOptions::new(self.host.url());
        options.token = Some(self.host.token());
        Client::new(options).unwrap()
    }

    /// A program that notes each line it reads, under this name.
    pub(crate) fn notes(&self, name: &str) {
        let script = "while read -r line; do echo \"$line\" >> seen; done";
        let run = ["workload", "run", "--name", name, "--wait", "--"];
        self.host
            .cli([&run[..], &["sh", "-c", script]].concat())
            .ok();
    }

    /// What such a program has noted.
    pub(crate) fn noted(&self, name: &str) -> Vec<String> {
        let id = self.host.show(name)["id"].as_str().unwrap().to_owned();
        let file = self
            .host
            .data()
            .join("workloads")
            .join(id)
            .join("workspace/seen");
        let text = std::fs::read_to_string(file).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// What had to happen has happened, each of it once.
    pub(crate) fn assert_effects(&self, tally: &Tally) {
        for (name, expected) in &tally.effects {
            let noted = || match name.starts_with('/') {
                true => std::fs::read_to_string(name)
                    .unwrap_or_default()
                    .lines()
                    .map(str::to_owned)
                    .collect(),
                false => self.noted(name),
            };
            let mut seen = wait_for(&format!("the lines of {name}"), 30, || {
                Some(noted()).filter(|noted: &Vec<String>| noted.len() >= expected.len())
            });
            let mut expected = expected.clone();
            seen.sort();
            expected.sort();
            assert_eq!(seen, expected, "{name}: each line once");
        }
    }

    /// A workload of `mock` that runs until it is ended.
    pub(crate) fn played(&self, name: &str, flags: &[&str]) -> Ran {
        let run = [
            "workload",
            "run",
            "--backend",
            "mock",
            "--name",
            name,
            "--wait",
        ];
        self.host.cli([&run[..], flags, &["--", "x"]].concat())
    }
}

/// Swaps over the API, as a program does.
pub(crate) async fn swap(client: &Client, name: &str, version: &Version) -> Value {
    let swap = client.swap(name, version.sent(), &SwapWish::default());
    serde_json::to_value(swap.report().await.unwrap()).unwrap()
}

/// The process of a workload.
pub(crate) fn pid(shown: &Value) -> String {
    shown["attributes"]["pid"].as_str().unwrap().to_owned()
}

/// Resident memory of a process, in bytes.
pub(crate) fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.unwrap().split_whitespace().nth(1).unwrap();
    kib.parse::<u64>().unwrap() * 1_024
}
