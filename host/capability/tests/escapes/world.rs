//! What a request is decided on.

use std::collections::BTreeMap;
use std::path::Path;

use fleet_capability::endpoint::{
    Allowed, Facts, Mode, Owner, Ownership, Policy, Refused, Request, Terms, decide,
};
use fleet_escapes::{Asked, Names, Via};
use fleet_model::driver::Port;
use fleet_model::spec::Limits;
use fleet_model::{Attempt as Try, Generation, ItemKey, Name, NodeId, Op, Verb, WorkloadId};
use serde_json::json;

/// The text of the shipped policy.
pub(crate) fn shipped() -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies/docker.toml");
    std::fs::read_to_string(file).unwrap()
}

fn workload() -> WorkloadId {
    WorkloadId::new(1_000, 7)
}

fn other() -> WorkloadId {
    WorkloadId::new(1_000, 8)
}

/// Ids of things: what is owned is owned for `workload()`.
struct Owned {
    things: BTreeMap<(String, String), Owner>,
}

impl Ownership for Owned {
    fn owner(&self, sort: &str, id: &str) -> Option<Owner> {
        self.things.get(&(sort.to_owned(), id.to_owned())).cloned()
    }
}

/// Everything an attempt or an allowed request is decided on.
pub(crate) struct World {
    pub(crate) policy: Policy,
    pub(crate) names: Names,
    owned: Owned,
    nobody: Owned,
    terms: Terms,
    plugin: Name,
    stranger: Name,
}

impl World {
    /// Under the shipped policy.
    pub(crate) fn new() -> Self {
        Self::under(&shipped()).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Under another, if it is one.
    pub(crate) fn under(policy: &str) -> Result<Self, String> {
        let policy = Policy::parse("docker.toml", policy)?;
        let names = names();
        let owner = |parent: Option<&str>| Owner {
            workload: workload().to_string(),
            parent: parent.map(str::to_owned),
        };
        let own = names.get("own");
        let things = BTreeMap::from([
            (("container".to_owned(), own.to_owned()), owner(None)),
            (
                ("exec".to_owned(), names.get("exec").to_owned()),
                owner(Some(own)),
            ),
        ]);
        let port = |name: &str, inside: u16, host: &str| Port {
            name: name.parse().unwrap(),
            inside,
            host: names.get(host).parse().unwrap(),
        };
        let ports = vec![
            port("http", 8080, "port"),
            port("admin", 9000, "second-port"),
        ];
        let limits: Limits =
            serde_json::from_value(json!({"cpu": 0.5, "memory": "64MiB", "processes": 64}))
                .unwrap();
        let terms = Terms {
            node: names.get("node").to_owned(),
            name: "web".to_owned(),
            limits,
            ports,
            secrets: BTreeMap::new(),
        };
        Ok(Self {
            policy,
            names,
            owned: Owned { things },
            nobody: Owned {
                things: BTreeMap::new(),
            },
            terms,
            plugin: "docker".parse().unwrap(),
            stranger: "stranger".parse().unwrap(),
        })
    }

    pub(crate) fn decide(
        &self,
        asked: &Asked,
        by_stranger: bool,
        for_other: bool,
    ) -> Result<Allowed<'_>, Refused> {
        let whose = if for_other { other() } else { workload() };
        let op = asked.verb.as_deref().map(|verb| op(whose, verb));
        let creates = op.as_ref().is_some_and(|op| op.verb == Verb::Create);
        let facts = Facts {
            host: self.names.get("host"),
            plugin: if by_stranger {
                &self.stranger
            } else {
                &self.plugin
            },
            op: op.as_ref(),
            nonce: op.as_ref().map(|_| self.names.get("nonce")),
            terms: creates.then_some(&self.terms),
            workspace: creates.then_some(self.names.get("workspace")),
            owned: if by_stranger {
                &self.nobody
            } else {
                &self.owned
            },
        };
        decide(&self.policy, &facts, mode(asked.via), &request(asked))
    }
}

fn names() -> Names {
    let mut names = Names::new();
    for (name, value) in [
        ("api", "v1.41"),
        ("own", &"0a1b".repeat(16)),
        ("own-short", "0a1b0a1b0a1b"),
        ("own-upper", &"0A1B".repeat(16)),
        ("own-name", "fleet-own"),
        ("exec", &"0e".repeat(32)),
        ("gone", &"0dead".repeat(13)[..64]),
        ("foreign", &"f0".repeat(32)),
        ("foreign-short", "f0f0f0f0f0f0"),
        ("foreign-name", "foreign"),
        ("foreign-exec", &"fe".repeat(32)),
        ("labelled", &"1a".repeat(32)),
        ("workload", &workload().to_string()),
        ("other-workload", &other().to_string()),
        ("generation", "3"),
        ("attempt", "1"),
        ("nonce", &"5a".repeat(16)),
        ("host", &"77".repeat(16)),
        ("node", &NodeId::new(1_000, 9).to_string()),
        ("workspace", "/srv/fleet/workspaces/x"),
        ("port", "31000"),
        ("second-port", "31001"),
        ("image", "registry.example:5000/team/app:1.2"),
        ("image-id", &"13".repeat(32)),
        ("repository", "quay.io/team/app"),
        ("repository-encoded", "quay.io%2Fteam%2Fapp"),
        ("digest", &"d1".repeat(32)),
    ] {
        names.set(name, value);
    }
    names
}

fn op(workload: WorkloadId, verb: &str) -> Op {
    Op {
        item: ItemKey::workload(workload),
        generation: Generation(3),
        attempt: Try(1),
        verb: serde_json::from_value(verb.into()).unwrap(),
        call: String::new(),
    }
}

fn mode(via: Via) -> Mode {
    match via {
        Via::Get => Mode::Get,
        Via::Send => Mode::Send,
        Via::Open => Mode::Open,
    }
}

fn request(asked: &Asked) -> Request {
    Request {
        method: asked.method.clone(),
        path: asked.path.clone(),
        query: asked.query.clone(),
        headers: asked.headers.clone(),
        body: asked.body.clone(),
        attributes: asked.attributes.iter().cloned().collect(),
    }
}
