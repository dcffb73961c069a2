//! An engine beside containers of others, and an endpoint to it under the shipped policy.

use std::path::Path;
use std::sync::Arc;

use fleet_capability::Workspaces;
use fleet_capability::endpoint::{
    Call, EndpointOptions, Endpoints, Policy, Request, Response, Target, Terms,
};
use fleet_escapes::{Asked, Names, Via};
use fleet_model::driver::Port;
use fleet_model::{Attempt as Try, Error, Generation, ItemKey, NodeId, Op, WorkloadId};
use fleet_seam::{SystemClock, SystemEntropy};
use fleet_test_engine::{Engine, IMAGE};
use futures::StreamExt as _;
use serde_json::{Value, json};

use crate::witness::Witness;

/// A password of somebody else's container, which must never come through.
pub(crate) const CANARY: &str = "hunter2-canary";

/// What ours runs.
pub(crate) const SCRIPT: &str = "trap '' USR1; echo ready; while :; do sleep 1; done";

/// An engine with containers of others, and an endpoint to it.
pub(crate) struct World {
    pub(crate) engine: Engine,
    /// What the host sends.
    pub(crate) witness: Witness,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) endpoints: Endpoints,
    target: Arc<Target>,
    pub(crate) names: Names,
}

/// What a request came to.
pub(crate) enum Came {
    Answer(Response),
    /// The first piece of a stream.
    Stream(Option<Vec<u8>>),
}

pub(crate) fn own() -> WorkloadId {
    WorkloadId::new(1_000, 7)
}

pub(crate) fn other() -> WorkloadId {
    WorkloadId::new(1_000, 8)
}

fn policy() -> Policy {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/docker.toml");
    Policy::parse("docker.toml", &std::fs::read_to_string(file).unwrap()).unwrap()
}

pub(crate) fn endpoints(folder: &Path) -> Endpoints {
    let workspaces = Workspaces::open(&folder.join("workloads")).unwrap();
    let clock = Arc::new(SystemClock);
    let entropy = Arc::new(SystemEntropy);
    let options = EndpointOptions::new(&folder.join("endpoints"), workspaces, clock, entropy);
    Endpoints::open(options).unwrap()
}

impl World {
    /// `None` where there is no engine to be had.
    pub(crate) async fn new() -> Option<Self> {
        let engine = Engine::own()?;
        let folder = tempfile::tempdir().unwrap();
        let witness = Witness::new(engine.socket());
        let address = witness.address().parse().unwrap();
        let mut world = Self {
            endpoints: endpoints(folder.path()),
            target: Arc::new(Target {
                address,
                policy: policy(),
            }),
            engine,
            witness,
            folder,
            names: Names::new(),
        };
        world.name();
        world.populate_foreign();
        world.populate_own().await;
        Some(world)
    }

    /// What the names in the corpus stand for that is known from the start.
    fn name(&mut self) {
        let workspaces = Workspaces::open(&self.folder.path().join("workloads")).unwrap();
        let workspace = workspaces.path(own()).display().to_string();
        let (image, _) = IMAGE.split_once(':').unwrap();
        for (name, value) in [
            ("api", "v1.41"),
            ("workload", &own().to_string()),
            ("other-workload", &other().to_string()),
            ("generation", "3"),
            ("attempt", "1"),
            ("nonce", "0"),
            ("host", self.endpoints.host()),
            ("node", &node()),
            ("workspace", &workspace),
            ("port", "31000"),
            ("second-port", "31001"),
            ("image", IMAGE),
            ("repository", image),
            ("repository-encoded", image),
            ("digest", &"d1".repeat(32)),
            ("image-id", &"13".repeat(32)),
        ] {
            self.names.set(name, value);
        }
    }

    /// Somebody else's containers: one that runs, and one whose image carries all our labels.
    fn populate_foreign(&mut self) {
        let body = json!({
            "Image": IMAGE, "Cmd": ["sleep", "3600"], "Env": [format!("PASSWORD={CANARY}")],
            "HostConfig": { "NetworkMode": "none" },
        });
        let foreign = self.engine.foreign("foreign", &body);
        self.ask("POST", &format!("/containers/{foreign}/start"), None);
        let exec = json!({ "Cmd": ["echo", CANARY], "AttachStdout": true });
        let exec = self.ask("POST", &format!("/containers/{foreign}/exec"), Some(&exec));
        let labels = json!({
            "fleet.host": self.endpoints.host(), "fleet.node": node(), "fleet.workload": own().to_string(),
            "fleet.generation": "3", "fleet.attempt": "1", "fleet.nonce": "0".repeat(32),
        });
        let commit = format!("/commit?container={foreign}&repo=labelled&tag=1");
        self.ask("POST", &commit, Some(&json!({ "Labels": labels })));
        let body = json!({
            "Image": "labelled:1", "Cmd": ["sleep", "3600"], "HostConfig": { "NetworkMode": "none" },
        });
        let labelled = self.engine.foreign("labelled", &body);
        let seen = self.ask("GET", &format!("/containers/{labelled}/json"), None);
        assert_eq!(
            seen["Config"]["Labels"], labels,
            "the image's labels are the container's"
        );
        let volume = json!({ "Name": "foreign-volume" });
        self.ask("POST", "/volumes/create", Some(&volume));
        for (name, value) in [
            ("foreign", foreign.as_str()),
            ("foreign-short", &foreign[..12]),
            ("foreign-name", "foreign"),
            ("foreign-exec", exec["Id"].as_str().unwrap()),
            ("labelled", &labelled),
        ] {
            self.names.set(name, value);
        }
    }

    /// A container of ours that runs, a program beside it, and one that is gone: all through the policy.
    async fn populate_own(&mut self) {
        let id = self.make(own(), SCRIPT).await;
        let name = format!("fleet-{}-3-1", own());
        let start = Request::new("POST", &format!("/v1.41/containers/{id}/start"));
        let started = self.call(own(), "start", false);
        let answer = self.endpoints.send(&started, start).await.unwrap();
        assert_eq!(answer.status, 204);
        let exec = Request::new("POST", &format!("/v1.41/containers/{id}/exec")).body(json!({
            "AttachStdin": false, "AttachStdout": true, "AttachStderr": true, "Tty": false, "Cmd": ["true"],
        }));
        let begun = self.call(own(), "exec", false);
        let exec = made(&self.endpoints.send(&begun, exec).await.unwrap());
        let gone = self.make(WorkloadId::new(1_000, 9), "true").await;
        let removal = Request::new("DELETE", &format!("/v1.41/containers/{gone}"))
            .query("force", "1")
            .query("v", "1");
        let ended = self.call(WorkloadId::new(1_000, 9), "destroy", false);
        let answer = self.endpoints.send(&ended, removal).await.unwrap();
        assert_eq!(answer.status, 204);
        for (key, value) in [
            ("own", id.as_str()),
            ("own-short", &id[..12]),
            ("own-upper", &id.to_uppercase()),
            ("own-name", &name),
            ("exec", &exec),
            ("gone", &gone),
        ] {
            self.names.set(key, value);
        }
    }

    /// Makes a container through the policy.
    pub(crate) async fn make(&self, workload: WorkloadId, script: &str) -> String {
        let request = Request::new("POST", "/v1.41/containers/create").body(json!({
            "Image": IMAGE, "Cmd": ["sh", "-c", script],
            "HostConfig": { "NetworkMode": "none", "Mounts": [{ "Type": "bind", "Target": "/workspace" }] },
        }));
        let call = self.call(workload, "create", false);
        made(&self.endpoints.send(&call, request).await.unwrap())
    }

    pub(crate) fn call(&self, workload: WorkloadId, verb: &str, by_stranger: bool) -> Call {
        let creates = verb == "create";
        let op = Op {
            item: ItemKey::workload(workload),
            generation: Generation(3),
            attempt: Try(1),
            verb: serde_json::from_value(verb.into()).unwrap(),
            call: if matches!(verb, "exec" | "signal") {
                "k".to_owned()
            } else {
                String::new()
            },
        };
        let port = |name: &str, inside, host| Port {
            name: name.parse().unwrap(),
            inside,
            host,
        };
        let terms = Terms {
            node: node(),
            name: "web".to_owned(),
            limits: serde_json::from_value(json!({ "memory": "64MiB", "processes": 64 })).unwrap(),
            ports: vec![port("http", 8080, 31_000)],
            ..Terms::default()
        };
        let plugin = if by_stranger { "stranger" } else { "docker" };
        Call {
            plugin: plugin.parse().unwrap(),
            endpoint: "docker".parse().unwrap(),
            target: self.target.clone(),
            op: Some(op),
            terms: creates.then(|| Arc::new(terms)),
        }
    }

    pub(crate) async fn play(
        &self,
        asked: &Asked,
        by_stranger: bool,
        whose: WorkloadId,
    ) -> Result<Came, Error> {
        let mut call = self.call(whose, asked.verb.as_deref().unwrap_or("start"), by_stranger);
        if asked.verb.is_none() {
            call.op = None;
        }
        let request = Request {
            method: asked.method.clone(),
            path: asked.path.clone(),
            query: asked.query.clone(),
            headers: asked.headers.clone(),
            body: asked.body.clone(),
            attributes: asked.attributes.iter().cloned().collect(),
        };
        match asked.via {
            Via::Get => self.endpoints.get(&call, request).await.map(Came::Answer),
            Via::Send => self.endpoints.send(&call, request).await.map(Came::Answer),
            Via::Open => {
                let source = self.endpoints.open_stream(&call, request).await?;
                let mut output = source.output;
                let wait = std::time::Duration::from_secs(2);
                let first = tokio::time::timeout(wait, output.next()).await;
                let first = first.ok().flatten().transpose()?;
                Ok(Came::Stream(first.map(|frame| frame.bytes.to_vec())))
            }
        }
    }

    /// Asks the engine itself, as its owner.
    pub(crate) fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.engine.ask(method, path, body);
        assert!(status < 300, "{method} {path}: {status} {answer}");
        answer
    }

    /// All there is in the engine, each list in an order of its own.
    pub(crate) fn state(&self) -> Value {
        let list = |path: &str, at: &str, key: &str| -> Vec<Value> {
            let answer = self.ask("GET", path, None);
            let rows = answer.pointer(at).unwrap().as_array();
            let mut rows = rows.cloned().unwrap_or_default();
            rows.sort_by_key(|row| row[key].as_str().unwrap().to_owned());
            rows
        };
        let look = |row: &Value| {
            let id = row["Id"].as_str().unwrap();
            self.ask("GET", &format!("/containers/{id}/json"), None)
        };
        let containers = list("/containers/json?all=1", "", "Id");
        json!({
            "containers": containers.iter().map(look).collect::<Vec<_>>(),
            "images": list("/images/json?all=1", "", "Id"),
            "volumes": list("/volumes", "/Volumes", "Name"),
            "networks": list("/networks", "", "Id"),
        })
    }
}

pub(crate) fn node() -> String {
    NodeId::new(1_000, 9).to_string()
}

/// The id in an answer.
pub(crate) fn made(response: &Response) -> String {
    assert_eq!(response.status, 201, "{response:?}");
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    body["Id"].as_str().unwrap().to_owned()
}
