//! What the tests of this crate share: a plugin folder with components made on the spot, and a
//! host over it.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod guest;
pub(crate) mod processes;
pub(crate) mod swaps;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleet_capability::endpoint::Endpoints;
use fleet_capability::{Redactor, SecretValue};
use fleet_model::driver::{Handle, Workload};
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::{Attempt, Error, Generation, ItemKey, Name, NodeId, Op, Verb, WorkloadId};
use fleet_plugin::{
    Ceiling, CompileCommand, Driver, Drivers, Grants, PluginHost, PluginHostOptions, SwapSettings,
    VerifyOptions,
};
use fleet_seam::{Clock, SystemClock};
use tempfile::TempDir;

pub(crate) use guest::Guest;
pub(crate) use processes::FakeProcesses;
pub(crate) use swaps::{Alive, Stops};

/// A machine with an empty plugin folder.
pub(crate) struct Machine {
    root: TempDir,
    /// The text of its grants file.
    pub(crate) grants: String,
    /// The text of its owner's ceiling.
    pub(crate) ceiling: Option<String>,
    /// The operator's settings.
    pub(crate) settings: BTreeMap<Name, serde_json::Value>,
    /// What compiles for it.
    pub(crate) compile: CompileCommand,
    /// What stands in for programs.
    pub(crate) processes: Arc<FakeProcesses>,
    /// The services it reaches.
    pub(crate) endpoints: Option<Endpoints>,
    /// Knows the secrets in use.
    pub(crate) redactor: Redactor,
    /// Its time.
    pub(crate) clock: Arc<dyn Clock>,
    /// What its plugins have made.
    pub(crate) alive: Arc<Alive>,
    /// How patient its swaps are.
    pub(crate) swap: SwapSettings,
    /// Where its swaps stop.
    pub(crate) stops: Arc<Stops>,
}

impl Machine {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("plugins")).unwrap();
        Self {
            root,
            grants: String::new(),
            ceiling: None,
            settings: BTreeMap::new(),
            compile: CompileCommand {
                program: compiler(),
                args: Vec::new(),
            },
            processes: Arc::new(FakeProcesses::default()),
            endpoints: None,
            redactor: Redactor::default(),
            clock: Arc::new(SystemClock),
            alive: Arc::default(),
            swap: SwapSettings {
                settle_ms: 100,
                ..SwapSettings::default()
            },
            stops: Arc::default(),
        }
    }

    /// From now on this is the value of a secret in use.
    pub(crate) fn secret(&self, value: &str) {
        let value = SecretValue::new(value.as_bytes().to_vec());
        let known = BTreeMap::from([("canary".parse().unwrap(), vec![value])]);
        self.redactor.know(&known);
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join("plugins")
    }

    pub(crate) fn cache(&self) -> PathBuf {
        self.root.path().join("data/plugins/cache")
    }

    /// The copies of components it keeps.
    pub(crate) fn copies(&self) -> Vec<String> {
        let files = fs::read_dir(self.store()).unwrap();
        files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .filter(|file| file.ends_with(".wasm"))
            .collect()
    }

    pub(crate) fn grants_path(&self) -> PathBuf {
        self.root.path().join("grants.toml")
    }

    /// The folder with what is written down of swaps.
    pub(crate) fn records(&self) -> PathBuf {
        self.root.path().join("data/plugins/swap")
    }

    /// The copies of components.
    pub(crate) fn store(&self) -> PathBuf {
        self.root.path().join("data/plugins/store")
    }

    /// Puts a file into the plugin folder.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.folder().join(name), content).unwrap();
    }

    /// Puts a component with its manifest into the plugin folder.
    pub(crate) fn plugin(&self, guest: &Guest, more: &str) {
        self.file(&format!("{}.wasm", guest.name), guest.component());
        self.file(&format!("{}.toml", guest.name), guest.manifest(more));
    }

    /// Starts a host and waits until it has settled.
    pub(crate) async fn host(&self) -> Arc<PluginHost> {
        let host = self.open().unwrap();
        tokio::time::timeout(Duration::from_secs(60), host.settled())
            .await
            .expect("the host settles");
        host
    }

    /// Starts a host.
    pub(crate) fn open(&self) -> Result<Arc<PluginHost>, Error> {
        PluginHost::open(PluginHostOptions {
            folder: self.folder(),
            data: self.root.path().join("data"),
            cache: None,
            grants: Grants::parse("grants.toml", &self.grants).unwrap(),
            grants_path: self.grants_path(),
            ceiling: self
                .ceiling
                .as_ref()
                .map(|text| toml::from_str::<Ceiling>(text).unwrap()),
            settings: self.settings.clone(),
            compile: self.compile.clone(),
            processes: self.processes.clone(),
            endpoints: self.endpoints.clone(),
            redactor: self.redactor.clone(),
            clock: self.clock.clone(),
            node_name: "here".to_owned(),
            live: self.alive.clone(),
            swap: self.swap.clone(),
            points: self.stops.clone(),
        })
    }

    /// What `verify` says about a path.
    pub(crate) async fn verify(&self, path: &Path) -> Vec<Plugin> {
        let options = VerifyOptions {
            data: self.root.path().join("data"),
            cache: None,
            grants: Grants::parse("grants.toml", &self.grants).unwrap(),
            grants_path: self.grants_path(),
            compile: self.compile.clone(),
            clock: Arc::new(SystemClock),
        };
        PluginHost::verify(path, options).await.unwrap()
    }
}

/// The driver of an active plugin; panics with the reason of one that is not.
pub(crate) fn driver(host: &PluginHost, name: &str) -> Arc<dyn Driver> {
    host.driver(&name.parse().unwrap())
        .unwrap_or_else(|error| panic!("{error}"))
}

/// What the host says of a file.
pub(crate) fn plugin(host: &PluginHost, file: &str) -> Plugin {
    host.plugins()
        .into_iter()
        .find(|plugin| plugin.file == file)
        .unwrap_or_else(|| panic!("no {file}"))
}

/// Why a file was refused.
pub(crate) fn rejection(host: &PluginHost, file: &str) -> String {
    let plugin = plugin(host, file);
    assert_eq!(plugin.state, PluginState::Rejected, "{plugin:?}");
    plugin.reason.unwrap()
}

pub(crate) fn workload_id() -> WorkloadId {
    WorkloadId::new(1_000, 7)
}

pub(crate) fn item() -> ItemKey {
    ItemKey::workload(workload_id())
}

/// One of many items.
pub(crate) fn item_of(number: u32) -> ItemKey {
    ItemKey::workload(WorkloadId::new(2_000, number.into()))
}

pub(crate) fn handle() -> Handle {
    Handle {
        schema: 1,
        opaque: vec![7; 100],
    }
}

/// The workload of `workload_id`.
pub(crate) fn workload(command: &[&str], config: serde_json::Value) -> Workload {
    Workload {
        id: workload_id(),
        name: "web".parse().unwrap(),
        node: node_id(),
        generation: Generation(3),
        command: command.iter().map(|&word| word.to_owned()).collect(),
        env: BTreeMap::from([("A".to_owned(), "1".to_owned())]),
        secrets: BTreeMap::new(),
        limits: Default::default(),
        ports: vec![],
        labels: BTreeMap::new(),
        config,
        wanted: Default::default(),
    }
}

pub(crate) fn node_id() -> NodeId {
    NodeId::new(1_000, 8)
}

pub(crate) fn op(verb: Verb) -> Op {
    Op {
        item: ItemKey::workload(workload_id()),
        generation: Generation(3),
        attempt: Attempt(1),
        verb,
        call: String::new(),
    }
}

/// The same for one of many items.
pub(crate) fn op_of(number: u32, verb: Verb) -> Op {
    Op {
        item: item_of(number),
        ..op(verb)
    }
}

/// A file of the shipped plugins: from `FLEET_PLUGINS_DIR`, else `plugins` in the target folder.
pub(crate) fn shipped(file: &str) -> Vec<u8> {
    let target = || {
        Some(
            std::env::current_exe()
                .ok()?
                .ancestors()
                .nth(3)?
                .join("plugins"),
        )
    };
    let folder = std::env::var_os("FLEET_PLUGINS_DIR")
        .map(PathBuf::from)
        .or_else(target)
        .unwrap();
    fs::read(folder.join(file)).unwrap_or_else(|error| {
        panic!(
            "cannot read {file} in {}: {error}; run `cargo xtask build` first",
            folder.display()
        )
    })
}

/// `examples/compile`, which cargo builds before it runs the tests.
fn compiler() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let program = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("examples/compile");
    assert!(
        program.exists(),
        "{} is missing: cargo test builds it",
        program.display()
    );
    program
}
