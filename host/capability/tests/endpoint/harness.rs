//! A host's endpoints on folders of their own, and calls of a plugin.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet_capability::endpoint::{
    Call, EndpointOptions, Endpoints, Policy, Request, Response, Target, Terms,
};
use fleet_capability::{Redactor, SecretValue, Secrets, Workspaces};
use fleet_model::{Attempt, Error, Generation, ItemKey, Name, Op, Verb, WorkloadId};
use fleet_seam::{SystemClock, SystemEntropy};
use tempfile::TempDir;

use crate::server::{Heard, Reply, Server};

pub(crate) const POLICY: &str = r##"
schema = 1
description = "A test service"
errors = ["/message"]

[limits]
timeout_ms = 2000
response_bytes = 4096
streams = 4
kept = 1

[sorts.thing]
pattern = '[0-9a-f]{32}'
[sorts.part]
pattern = '[0-9a-f]{32}'
parent = "thing"

[framings.mux]
header_bytes = 8
stream_at = 0
length_at = 4
length_bytes = 4
streams = { "1" = "stdout", "2" = "stderr" }

[[rules]]
name = "make"
method = "POST"
path = "/things"
effect = "write"
verbs = ["create"]
once = true
learn = { sort = "thing", id = "/id" }
response = { keep = ["/id"] }
[rules.body]
schema = { type = "object", additionalProperties = false, properties = { env = { type = "array", maxItems = 9, items = { type = "string", maxLength = 99 } }, note = { type = "string", maxLength = 99 } } }
secrets = ["/env/*"]
force = [
    { at = "/labels/nonce", value = "{nonce}" },
    { at = "/labels/host", value = "{host}" },
    { at = "/folder", value = "{workspace}" },
]

[[rules]]
name = "adopt"
method = "GET"
path = "/things/{id}"
effect = "write"
parameters = { id = { pattern = '[0-9a-f]{32}' } }
response = { keep = ["/id"] }
[rules.adopt]
sort = "thing"
id = "/id"
when = [{ at = "/labels/nonce", equals = "{nonce}" }, { at = "/private", equals = false }]

[[rules]]
name = "look"
method = "GET"
path = "/things/{id}"
effect = "read"
parameters = { id = { owned = "thing" } }
response = { keep = ["/id", "/state"], headers = ["Api-Version"] }

[[rules]]
name = "list"
method = "GET"
path = "/things"
effect = "read"
[rules.query]
filters = { force_json = { label = ["host={host}"] } }
[rules.response]
keep = ["/*/id"]
rows = { at = "", id = "/id", owned = "thing", or_when = [{ at = "/labels/host", equals = "{host}" }] }

[[rules]]
name = "remove"
method = "DELETE"
path = "/things/{id}"
effect = "write"
parameters = { id = { owned = "thing" } }
releases = "thing"
response = { body = "none", status = [204, 304] }

[[rules]]
name = "slow"
method = "GET"
path = "/slow"
effect = "read"
timeout_ms = 50
response = { keep = [""] }

[[rules]]
name = "slow-events"
method = "GET"
path = "/slow-events"
effect = "read"
timeout_ms = 50
stream = { direction = "out", output = "lines" }

[[rules]]
name = "peek"
method = "POST"
path = "/peek"
effect = "read"
stream = { direction = "out", upgrade = "tcp", output = "bytes" }

[[rules]]
name = "ping"
method = "GET"
path = "/ping"
effect = "read"
response = { body = "text" }

[[rules]]
name = "poke"
method = "POST"
path = "/poke"
effect = "write"

[[rules]]
name = "pull"
method = "POST"
path = "/pull"
effect = "write"
query = { name = { pattern = "[a-z]+", required = true } }
response = { keep = ["/id", "/step"] }
job = { by = "/id", lines = 3, failed = "/error" }

[[rules]]
name = "part"
method = "POST"
path = "/things/{id}/parts"
effect = "write"
verbs = ["exec"]
once = true
parameters = { id = { owned = "thing" } }
learn = { sort = "part", id = "/id" }
response = { keep = ["/id"] }

[[rules]]
name = "talk"
method = "POST"
path = "/parts/{id}/start"
effect = "write"
verbs = ["exec"]
parameters = { id = { owned = "part" } }
stream = { direction = "both", upgrade = "tcp", output = "bytes", framing = ["mux", "raw"], keep = true }

[[rules]]
name = "part-look"
method = "GET"
path = "/parts/{id}"
effect = "read"
parameters = { id = { owned = "part" } }
response = { keep = [""] }

[[rules]]
name = "part-signal"
method = "POST"
path = "/parts/{id}/signal"
effect = "write"
parameters = { id = { owned = "part" } }
query = { signal = { pattern = "[A-Z]+", required = true } }
action = "signal"
signal = { rule = "part-look", pid = "/pid", running = "/running", holds = "{parent}", signal = "signal" }

[[rules]]
name = "part-forget"
method = "DELETE"
path = "/parts/{id}"
effect = "write"
parameters = { id = { owned = "part" } }
action = "forget"
releases = "part"

[[rules]]
name = "output"
method = "GET"
path = "/things/{id}/output"
effect = "read"
parameters = { id = { owned = "thing" } }
query = { since = { pattern = '[0-9.]+' }, tail = { pattern = '[0-9]+' } }
[rules.stream]
direction = "out"
output = "lines"
framing = ["mux", "raw"]
times = "rfc3339"
resume = { query = "since", format = "unix", partial = ["tail"] }

[[rules]]
name = "events"
method = "GET"
path = "/events"
effect = "read"
stream = { direction = "out", output = "lines" }
"##;

pub(crate) const A: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const B: &str = "ffffffffffffffffffffffffffffffff";
pub(crate) const PART: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// A value for every secret.
struct Values;

#[async_trait]
impl Secrets for Values {
    async fn values(&self, names: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error> {
        let value = || SecretValue::new(b"hunter22\"".to_vec());
        Ok(names.iter().map(|name| (name.clone(), value())).collect())
    }
}

pub(crate) struct World {
    pub(crate) root: TempDir,
    pub(crate) target: Arc<Target>,
    pub(crate) endpoints: Endpoints,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::under(POLICY)
    }

    /// Under another policy.
    pub(crate) fn under(policy: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let target = Target {
            address: format!("unix://{}", root.path().join("s").display())
                .parse()
                .unwrap(),
            policy: Policy::parse("test.toml", policy).unwrap(),
        };
        let endpoints = open(&root);
        Self {
            root,
            target: Arc::new(target),
            endpoints,
        }
    }

    /// A host that starts again.
    pub(crate) fn restart(&mut self) {
        self.endpoints = open(&self.root);
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.root.path().join("s")
    }

    pub(crate) fn serve(
        &self,
        answers: impl Fn(&Heard) -> Reply + Send + Sync + 'static,
    ) -> Server {
        Server::at(&self.socket(), answers)
    }

    /// A call without an op.
    pub(crate) fn look(&self) -> Call {
        Call {
            plugin: "p".parse().unwrap(),
            endpoint: "service".parse().unwrap(),
            target: self.target.clone(),
            op: None,
            terms: None,
        }
    }

    /// A call under an op of a workload.
    pub(crate) fn effect(&self, workload: u64, attempt: u64, verb: Verb) -> Call {
        let creates = verb == Verb::Create;
        Call {
            op: Some(Op {
                item: ItemKey::workload(WorkloadId::new(workload, 2)),
                generation: Generation(3),
                attempt: Attempt(attempt),
                verb,
                call: if verb == Verb::Exec {
                    "k".to_owned()
                } else {
                    String::new()
                },
            }),
            terms: creates.then(|| {
                Arc::new(Terms {
                    secrets: BTreeMap::from([("<1>".to_owned(), "db".parse().unwrap())]),
                    ..Terms::default()
                })
            }),
            ..self.look()
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Result<Response, Error> {
        self.endpoints
            .get(&self.look(), Request::new("GET", path))
            .await
    }

    /// Makes a thing for workload 1.
    pub(crate) async fn make(&self) -> Result<Response, Error> {
        let call = self.effect(1, 1, Verb::Create);
        let request = Request::new("POST", "/things").body("{}");
        self.endpoints.send(&call, request).await
    }
}

fn open(root: &TempDir) -> Endpoints {
    let workspaces = Workspaces::open(&root.path().join("w")).unwrap();
    let options = EndpointOptions::new(
        &root.path().join("e"),
        workspaces,
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    );
    Endpoints::open(EndpointOptions {
        secrets: Arc::new(Values),
        redactor: Redactor::default(),
        trace: Some(root.path().join("trace")),
        ..options
    })
    .unwrap()
}

pub(crate) fn code<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    result.unwrap_err().code
}

/// The body of a response as text.
pub(crate) fn text(response: &Response) -> &str {
    std::str::from_utf8(&response.body).unwrap()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
    assert!(waited.is_ok(), "{what}");
}
