//! Swaps, from a client to a node that plays them, and back.

use std::sync::{Arc, Mutex};

use axum::body::Body;
use bytes::Bytes;
use fleet_model::Error;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::swap::{
    Adoption, Quarantined, SwapReport, SwapRun, SwapSide, SwapVerdict, SwapWay,
};
use fleet_protocol::NodeMessage;
use fleet_protocol::bulk::{Acceptor, BulkStream, Pending, Request};
use fleet_protocol::plugin::{PluginCall, Reply, Tail};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::scripted::{Scripted, hello};
use super::support::{Answer, Bench, plugin, within};

const SWAP: &str = "/api/v1/plugins/mock/swap";

/// What the node was asked and given, and what it answers.
#[derive(Default)]
struct Asked {
    calls: Vec<PluginCall>,
    components: Vec<(Vec<u8>, Option<String>)>,
    /// Before it takes anything.
    refusal: Option<Error>,
    /// In the middle of a component.
    failure: Option<Error>,
    stages: Vec<PluginState>,
    /// The digest of what it takes; else it rejects what comes.
    taken: Option<String>,
}

type Shared = Arc<Mutex<Asked>>;

/// A bench with a node that has the plugin `mock`.
struct Desk {
    bench: Bench,
    asked: Shared,
    /// Told when a component did not come to its end.
    broken: Arc<Notify>,
    node: Scripted,
}

impl Desk {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let (asked, broken) = (Shared::default(), Arc::new(Notify::new()));
        let mut node = bench.node().await;
        play(&mut node, &asked, &broken);
        Self {
            bench,
            asked,
            broken,
            node,
        }
    }

    fn asked<T>(&self, look: impl FnOnce(&mut Asked) -> T) -> T {
        look(&mut self.asked.lock().unwrap())
    }

    async fn post(&self, query: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Answer {
        let path = format!("{SWAP}{query}");
        self.bench.send("POST", &path, headers, body).await
    }

    fn last_call(&self) -> PluginCall {
        self.asked(|asked| asked.calls.last().cloned().unwrap())
    }

    fn last_component(&self) -> (Vec<u8>, Option<String>) {
        self.asked(|asked| asked.components.last().cloned().unwrap())
    }
}

/// Has a node answer for its plugins.
fn play(node: &mut Scripted, asked: &Shared, broken: &Arc<Notify>) {
    let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
    tokio::spawn(drive);
    let (asked, broken) = (asked.clone(), broken.clone());
    tokio::spawn(async move {
        while let Some(pending) = acceptor.accept().await {
            tokio::spawn(serve(asked.clone(), broken.clone(), pending));
        }
    });
}

async fn serve(asked: Shared, broken: Arc<Notify>, mut pending: Pending) {
    let Ok(Request::Plugins { call }) = pending.request().await else {
        panic!("another request")
    };
    let (refusal, failure, stages) = {
        let mut asked = asked.lock().unwrap();
        asked.calls.push(call.clone());
        (
            asked.refusal.take(),
            asked.failure.take(),
            asked.stages.clone(),
        )
    };
    if let Some(error) = refusal {
        return pending.refuse(error).await.unwrap();
    }
    let mut stream = pending.accept().await.unwrap();
    let reply = match call {
        PluginCall::Swap { .. } => {
            if let Some(error) = failure {
                stream.receive().await.unwrap().unwrap();
                stream.send_json(&Reply::Failed { error }).await.unwrap();
                return;
            }
            let Some(component) = component(&mut stream).await else {
                return broken.notify_one();
            };
            let taken = {
                let mut asked = asked.lock().unwrap();
                asked.components.push(component);
                asked.taken.clone()
            };
            told(&mut stream, &stages, taken).await
        }
        PluginCall::Rollback { .. } => told(&mut stream, &stages, None).await,
        PluginCall::History { before, limit, .. } => {
            let newest = before.unwrap_or(6) - 1;
            let page = (1..=newest).rev().take(usize::try_from(limit).unwrap());
            let reports: Vec<_> = page.map(report).collect();
            let next = reports.last().map(|report| report.id).filter(|id| *id > 1);
            Reply::History { reports, next }
        }
        PluginCall::Unquarantine { digest } => Reply::Allowed {
            entries: vec![quarantined(&digest)],
        },
    };
    stream.send_json(&reply).await.unwrap();
    stream.finish().await.unwrap();
}

async fn told(stream: &mut BulkStream, stages: &[PluginState], taken: Option<String>) -> Reply {
    for state in stages {
        let stage = Reply::Stage { state: *state };
        stream.send_json(&stage).await.unwrap();
    }
    let mut report = Box::new(report(7));
    if let Some(digest) = taken {
        report.verdict = SwapVerdict::Active;
        report.to = Some(SwapSide {
            digest,
            manifest: String::new(),
            version: "2".to_owned(),
        });
    }
    Reply::Report { report }
}

async fn component(stream: &mut BulkStream) -> Option<(Vec<u8>, Option<String>)> {
    let mut bytes = Vec::new();
    loop {
        let frame = stream.receive().await?.ok()?;
        if frame.is_empty() {
            let Tail { manifest } = stream.receive_json().await?.ok()?;
            return Some((bytes, manifest));
        }
        bytes.extend_from_slice(&frame);
    }
}

fn report(id: u64) -> SwapReport {
    serde_json::from_value(json!({
        "id": id, "plugin": "mock", "kind": "swap", "cause": "upload", "at_ms": 1, "took_ms": 2, "stages": [],
        "handles": {"looked_at": 0, "adopted": 0, "failed": 0}, "calls": {"drained": 0, "reissued": 0},
        "verdict": "rejected", "reason": {"code": "describe", "message": "it traps"},
    }))
    .unwrap()
}

fn quarantined(digest: &str) -> Quarantined {
    Quarantined {
        plugin: "mock".to_owned(),
        digest: digest.to_owned(),
        manifest: None,
        version: "2".to_owned(),
        at_ms: 5,
        reason: "failed 4 times".to_owned(),
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n % 251) as u8).collect()
}

/// A form (RFC 7578) with these fields in this order.
fn form(fields: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in fields {
        let head = format!(
            "--b\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"f\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--b--\r\n");
    body
}

const FORM: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

#[tokio::test]
async fn a_component_comes_as_it_is_or_as_a_form_in_any_order_and_the_report_comes_back() {
    let desk = Desk::new().await;
    let component = bytes(1_000_000);
    let manifest = "name = \"mock\"\n";
    let both = [
        ("component", component.as_slice()),
        ("manifest", manifest.as_bytes()),
    ];
    let turned = [both[1], both[0]];
    for (headers, body, told) in [
        (&[][..], component.clone(), None),
        (
            &[("content-type", "application/wasm")],
            component.clone(),
            None,
        ),
        (&[FORM], form(&both[..1]), None),
        (&[FORM], form(&both), Some(manifest)),
        (&[FORM], form(&turned), Some(manifest)),
    ] {
        let answer = desk.post("", headers, body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.json(), serde_json::to_value(report(7)).unwrap());
        let (arrived, tail) = desk.last_component();
        assert!(arrived == component, "{} bytes", arrived.len());
        assert_eq!(tail.as_deref(), told);
    }
}

#[tokio::test]
async fn what_is_wished_for_and_the_key_go_to_the_node() {
    let desk = Desk::new().await;
    let key = [("idempotency-key", "k 1")];
    desk.post("?dry_run=true&one_way&lenient=true", &key, "x")
        .await;
    let mock: fleet_model::Name = "mock".parse().unwrap();
    assert_eq!(
        desk.last_call(),
        PluginCall::Swap {
            plugin: mock.clone(),
            key: Some("k 1".to_owned()),
            run: SwapRun::Dry,
            way: SwapWay::OneWay,
            adoption: Adoption::Lenient,
        }
    );
    desk.post("?node=bench", &[], "x").await;
    assert_eq!(
        desk.last_call(),
        PluginCall::Swap {
            plugin: mock.clone(),
            key: None,
            run: SwapRun::Real,
            way: SwapWay::Back,
            adoption: Adoption::Strict,
        }
    );
    let path = "/api/v1/plugins/mock/rollback";
    let answer = desk.bench.ask_with("POST", path, Value::Null, &key).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.json()["id"]),
        (200, &json!(7))
    );
    assert_eq!(
        desk.last_call(),
        PluginCall::Rollback {
            plugin: mock,
            key: Some("k 1".to_owned()),
        }
    );
}

#[tokio::test]
async fn stages_are_told_as_they_come_to_whoever_asks_for_lines() {
    let desk = Desk::new().await;
    desk.asked(|asked| asked.stages = vec![PluginState::Verified, PluginState::Adopted]);
    let lines = [("accept", "application/x-ndjson")];
    let answer = desk.post("", &lines, "x").await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let told: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told[0], json!({"stage": "verified"}));
    assert_eq!(told[1], json!({"stage": "adopted"}));
    assert_eq!(told[2]["report"]["id"], 7);
    assert_eq!(told.len(), 3);
    // Stages are passed over where nobody asks for them.
    assert_eq!(desk.post("", &[], "x").await.json()["id"], 7);
    // What was never begun is a problem in either form.
    desk.asked(|asked| {
        asked.failure = Some(Error::conflict(
            "already-active",
            "already active: same digest",
        ));
    });
    let refused = desk.post("", &lines, "x").await;
    refused.problem(409, "already-active");
}

#[tokio::test]
async fn whoever_has_the_report_sees_it_in_the_list_too() {
    let Desk {
        bench,
        asked,
        mut node,
        ..
    } = Desk::new().await;
    let digest = "ab".repeat(32);
    asked.lock().unwrap().taken = Some(digest.clone());
    let answering = bench.send("POST", SWAP, &[], "x");
    tokio::pin!(answering);
    // The node has told what became of it, and not yet what it has now.
    within(async {
        while asked.lock().unwrap().components.is_empty() {
            tokio::select! {
                answer = &mut answering => panic!("{answer:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    })
    .await;
    let swapped = Plugin {
        digest: Some(digest.clone()),
        ..plugin("mock", PluginState::Active)
    };
    let told = NodeMessage::Plugins {
        plugins: vec![swapped],
    };
    within(node.link.sender.send(&told)).await.unwrap();
    let answer = within(&mut answering).await;
    assert_eq!(answer.json()["verdict"], "active");
    let shown = bench.get("/api/v1/plugins/mock").await.json();
    assert_eq!(shown["digest"], digest);
    // A node that never says so is not waited for for ever.
    let other = "cd".repeat(32);
    asked.lock().unwrap().taken = Some(other);
    let late = bench.send("POST", SWAP, &[], "x");
    let later = async {
        loop {
            bench.clock.advance(std::time::Duration::from_millis(200));
            tokio::task::yield_now().await;
        }
    };
    let late = within(async {
        tokio::select! {
            answer = late => answer,
            never = later => never,
        }
    });
    assert_eq!(late.await.status, 200);
}

#[tokio::test]
async fn what_is_refused_has_a_status_and_says_what_to_do() {
    let desk = Desk::new().await;
    let full = Error::new(
        fleet_model::ErrorKind::Exhausted,
        "disk-full",
        "no room there",
    );
    for (error, status) in [
        (Error::invalid("too-large", "larger than"), 413),
        (full, 507),
        (Error::conflict("swap-under-way", "one at a time"), 409),
    ] {
        let code = error.code.clone();
        desk.asked(|asked| asked.failure = Some(error.clone()));
        desk.post("", &[], bytes(3_000_000))
            .await
            .problem(status, &code);
        desk.asked(|asked| asked.refusal = Some(error));
        desk.post("", &[], "x").await.problem(status, &code);
    }
    for (headers, body, code) in [
        (&[][..], Vec::new(), "no-component"),
        (&[FORM], form(&[("manifest", b"x")]), "no-component"),
        (
            &[FORM],
            form(&[("component", b"x"), ("component", b"y")]),
            "invalid-form",
        ),
        (&[FORM], form(&[("other", b"x")]), "invalid-form"),
        (&[FORM], form(&[("manifest", &[0xff])]), "bad-manifest"),
        (&[FORM], b"nonsense".to_vec(), "invalid-form"),
        (
            &[("content-type", "multipart/form-data")],
            form(&[]),
            "invalid-form",
        ),
    ] {
        let problem = desk.post("", headers, body).await.problem(422, code);
        assert!(problem["detail"].is_string(), "{problem}");
    }
    let long = [("content-length", "99999999999")];
    desk.post("", &long, "x").await.problem(413, "too-large");
    desk.post("?dry_run=maybe", &[], "x")
        .await
        .problem(422, "invalid-parameter");
    let nobody = desk
        .bench
        .send("POST", "/api/v1/plugins/nobody/swap", &[], "x");
    nobody.await.problem(404, "plugin-not-found");
    assert_eq!(desk.asked(|asked| asked.components.len()), 0);
}

#[tokio::test]
async fn a_body_that_stops_in_the_middle_begins_nothing() {
    let desk = Desk::new().await;
    let pieces = [
        Ok(Bytes::from(bytes(100_000))),
        Err(std::io::Error::other("gone")),
    ];
    let body = Body::from_stream(futures::stream::iter(pieces));
    desk.post("", &[], body).await.problem(408, "upload-cut");
    within(desk.broken.notified()).await;
    assert_eq!(desk.asked(|asked| asked.components.len()), 0);

    // A client that is gone is one that does not even wait for that.
    let endless = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from(bytes(100_000)))])
        .chain(futures::stream::pending());
    let asking = desk.post("", &[], Body::from_stream(endless));
    let gave_up = tokio::time::timeout(std::time::Duration::from_millis(100), asking);
    assert!(gave_up.await.is_err());
    within(desk.broken.notified()).await;
}

#[tokio::test]
async fn a_node_that_goes_away_is_told_and_one_that_is_away_is_not_asked() {
    let desk = Desk::new().await;
    let Desk { bench, node, .. } = desk;
    drop(node);
    bench.events("node.disconnected", 1).await;
    for (method, path) in [
        ("POST", SWAP),
        ("POST", "/api/v1/plugins/mock/rollback"),
        ("GET", "/api/v1/plugins/mock/history"),
        ("DELETE", "/api/v1/quarantine/0123456789"),
    ] {
        let answer = bench.send(method, path, &[], "x").await;
        answer.problem(503, "node-away");
    }
    // What was heard of it is still known.
    assert_eq!(
        bench.get("/api/v1/plugins/mock").await.json()["state"],
        "active"
    );
}

#[tokio::test]
async fn the_history_is_paged() {
    let desk = Desk::new().await;
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/plugins/mock/history?limit=2{cursor}");
        let page = desk.bench.get(&path).await.json();
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|report| report["id"].as_u64().unwrap()));
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    desk.bench
        .get("/api/v1/plugins/mock/history?cursor=x")
        .await
        .problem(422, "invalid-parameter");
}

#[tokio::test]
async fn what_is_quarantined_is_let_in_again_wherever_it_is() {
    let desk = Desk::new().await;
    let digest = "ab".repeat(32);
    let path = format!("/api/v1/quarantine/{digest}");
    let allowed = desk.bench.ask("DELETE", &path, Value::Null).await;
    let first = json!({"node": "bench", "plugin": "mock", "digest": digest, "version": "2", "at_ms": 5, "reason": "failed 4 times"});
    assert_eq!(allowed.json(), json!({"items": [first], "next": null}));
    assert_eq!(desk.last_call(), PluginCall::Unquarantine { digest });
    desk.asked(|asked| {
        asked.refusal = Some(Error::not_found("not-quarantined", "it is not"));
    });
    desk.bench
        .ask("DELETE", "/api/v1/quarantine/00000000", Value::Null)
        .await
        .problem(404, "not-quarantined");
    desk.bench
        .ask(
            "DELETE",
            "/api/v1/quarantine/00000000?node=other",
            Value::Null,
        )
        .await
        .problem(404, "not-quarantined");
}

#[tokio::test]
async fn of_several_nodes_one_is_named() {
    let desk = Desk::new().await;
    let mut second = hello();
    second.node = fleet_model::NodeId::new(super::support::NOW_MS, 9);
    second.name = "second".to_owned();
    let mut other = Scripted::dial(&desk.bench, second).await;
    other.join().await;
    let asked = Shared::default();
    play(&mut other, &asked, &desk.broken);
    desk.bench.events("node.connected", 2).await;
    for path in [SWAP.to_owned(), "/api/v1/plugins/mock/rollback".to_owned()] {
        let problem = desk.bench.send("POST", &path, &[], "x").await;
        let problem = problem.problem(409, "several-nodes");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("bench, second"), "{detail}");
    }
    let answer = desk.post("?node=second", &[], "x").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(asked.lock().unwrap().components.len(), 1);
    assert_eq!(desk.asked(|asked| asked.components.len()), 0);
    let path = "/api/v1/quarantine/0123456789";
    let allowed = desk.bench.ask("DELETE", path, Value::Null).await.json();
    assert_eq!(allowed["items"].as_array().unwrap().len(), 2, "{allowed}");
}
