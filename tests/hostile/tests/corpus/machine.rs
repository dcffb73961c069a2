//! A plugin host with a hostile plugin and a neighbour, the shipped `mock`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleet_capability::{LocalProcesses, NoSecrets, Options, Redactor, ShimCommand};
use fleet_e2e::author::cache;
use fleet_e2e::plugins;
use fleet_model::driver::{Creation, Handle, Wanted, Workload};
use fleet_model::{Attempt, Generation, ItemKey, NodeId, Op, Verb, WorkloadId};
use fleet_plugin::{
    CompileCommand, Driver, Drivers, Grants, NoHandles, NoPoints, PluginHost, PluginHostOptions,
    SwapSettings,
};
use fleet_seam::SystemClock;
use serde_json::json;
use tempfile::TempDir;

const GRANTS: &str =
    "[mock]\nlog = true\nclock = true\nconfig = true\n[hostile]\nlog = true\nclock = true\n";

/// A machine with plugins.
pub(crate) struct Machine {
    root: TempDir,
}

impl Machine {
    /// One with the neighbour and what is in this folder.
    pub(crate) fn new(files: &Path) -> Self {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("plugins");
        std::fs::create_dir(&folder).unwrap();
        for name in ["mock.wasm", "mock.toml"] {
            std::fs::copy(plugins().join(name), folder.join(name)).unwrap();
        }
        for file in std::fs::read_dir(files).unwrap() {
            let file = file.unwrap();
            std::fs::copy(file.path(), folder.join(file.file_name())).unwrap();
        }
        Self { root }
    }

    /// Starts a host and waits until it has settled.
    pub(crate) async fn host(&self) -> Arc<PluginHost> {
        let clock = Arc::new(SystemClock);
        let nothing = ShimCommand {
            program: "/bin/false".into(),
            args: Vec::new(),
        };
        let processes = LocalProcesses::open_with(
            &self.root.path().join("workloads"),
            nothing,
            clock.clone(),
            Arc::new(NoSecrets),
            Options::default(),
        );
        let host = PluginHost::open(PluginHostOptions {
            folder: self.root.path().join("plugins"),
            data: self.root.path().join("data"),
            cache: Some(cache("test-compile-cache")),
            grants: Grants::parse("grants.toml", GRANTS).unwrap(),
            grants_path: "grants.toml".into(),
            ceiling: None,
            settings: BTreeMap::new(),
            compile: CompileCommand {
                program: worker(),
                args: vec!["compile".into()],
            },
            processes: Arc::new(processes.unwrap()),
            endpoints: None,
            redactor: Redactor::default(),
            clock,
            node_name: "here".to_owned(),
            live: Arc::new(NoHandles),
            swap: SwapSettings::default(),
            points: Arc::new(NoPoints),
        })
        .unwrap();
        tokio::time::timeout(Duration::from_secs(180), host.settled())
            .await
            .expect("the host settles");
        host
    }
}

/// The driver of an active plugin; panics with the reason of one that is not.
pub(crate) fn driver(host: &PluginHost, name: &str) -> Arc<dyn Driver> {
    host.driver(&name.parse().unwrap())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// A runtime of the neighbour, which is not about any of the items that are asked about.
pub(crate) async fn ready(calm: &dyn Driver) -> Handle {
    let made = calm
        .create(&op_of(5_000, Verb::Create), &workload_of(5_000, json!({})))
        .await;
    match made.unwrap() {
        Creation::Ready { handle, .. } => handle,
        other => panic!("{other:?}"),
    }
}

/// One of many workloads.
pub(crate) fn item_of(number: u32) -> ItemKey {
    ItemKey::workload(id_of(number))
}

pub(crate) fn op_of(number: u32, verb: Verb) -> Op {
    Op {
        item: item_of(number),
        generation: Generation(3),
        attempt: Attempt(1),
        verb,
        call: String::new(),
    }
}

pub(crate) fn workload_of(number: u32, config: serde_json::Value) -> Workload {
    Workload {
        id: id_of(number),
        name: "web".parse().unwrap(),
        node: NodeId::new(1_000, 8),
        generation: Generation(3),
        command: Vec::new(),
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        limits: Default::default(),
        ports: vec![],
        labels: BTreeMap::new(),
        config,
        wanted: Wanted::Yes,
    }
}

fn id_of(number: u32) -> WorkloadId {
    WorkloadId::new(2_000, number.into())
}

/// `examples/hostile_worker`, which cargo builds before it runs the tests.
fn worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    folder.join("examples/hostile_worker")
}
