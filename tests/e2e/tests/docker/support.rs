//! A host whose backend `docker` has an engine of the tests.

use std::path::PathBuf;

use fleet_e2e::{Host, HostOptions, Ran, wait_for};
use fleet_test_engine::Engine;
use serde_json::Value;

/// A host that finds the engine at this address, as a person's would.
pub(crate) fn host_at(address: &str) -> Host {
    Host::start_with(HostOptions {
        before: vec!["env".into(), format!("DOCKER_HOST={address}").into()],
        ..HostOptions::default()
    })
}

/// A host with this engine.
pub(crate) fn host(engine: &Engine) -> Host {
    host_at(&engine.address())
}

/// What a workload is made of.
pub(crate) struct Spec<'a> {
    pub(crate) name: &'a str,
    /// Program and arguments.
    pub(crate) command: &'a [&'a str],
    /// Lines of `[config]` beside the image, which is the tests' own, and no network.
    pub(crate) config: &'a str,
    /// Lines before `[config]`.
    pub(crate) more: &'a str,
}

impl<'a> Spec<'a> {
    pub(crate) fn new(name: &'a str, command: &'a [&'a str]) -> Self {
        Self {
            name,
            command,
            config: "image = \"fleet-test:1\"\nnetwork = \"none\"",
            more: "",
        }
    }

    pub(crate) fn config(self, config: &'a str) -> Self {
        Self { config, ..self }
    }

    pub(crate) fn more(self, more: &'a str) -> Self {
        Self { more, ..self }
    }

    /// Writes it down, and answers where.
    pub(crate) fn file(&self, host: &Host) -> PathBuf {
        let Self {
            name,
            command,
            config,
            more,
        } = self;
        let command = serde_json::to_string(command).unwrap();
        let text = format!(
            "name = \"{name}\"\nbackend = \"docker\"\ncommand = {command}\n{more}\n[config]\n{config}\n"
        );
        let file = host.scratch().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Asks for it, with these flags.
    pub(crate) fn run(&self, host: &Host, flags: &[&str]) -> Ran {
        let file = self.file(host);
        let file = file.to_str().unwrap();
        host.cli([&["workload", "run", "-f", file], flags].concat())
    }
}

/// A workload that runs until it is ended.
pub(crate) fn long(name: &str) -> Spec<'_> {
    Spec::new(name, &["sleep", "86400"])
}

/// The ids of the containers of a workload, whatever they do.
pub(crate) fn containers(engine: &Engine, shown: &Value) -> Vec<String> {
    let id = shown["id"].as_str().unwrap();
    let rows = engine.containers(&format!("fleet.workload={id}"));
    let id = |row: &Value| row["Id"].as_str().unwrap().to_owned();
    rows.iter().map(id).collect()
}

/// The only one it has.
pub(crate) fn container(engine: &Engine, shown: &Value) -> String {
    let all = containers(engine, shown);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

/// What it printed, when this is a part of it.
pub(crate) fn printed(host: &Host, name: &str, part: &str) -> String {
    wait_for(&format!("{part:?} in the log of {name}"), 30, || {
        let log = host.cli(["workload", "logs", name]).ok();
        log.stdout.contains(part).then_some(log.stdout)
    })
}

/// A value among what is said of it.
pub(crate) fn attribute<'a>(shown: &'a Value, name: &str) -> Option<&'a str> {
    shown["attributes"][name].as_str()
}
