//! A secret from the API to its node, over a real database, and nowhere else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::item::Item;
use fleet_model::workload::WorkloadState;
use fleet_model::{Name, NodeId, StoreId};
use fleet_protocol::message::{Hello, SecretAnswer};
use fleet_protocol::{ControllerMessage, NodeMessage};
use fleet_seam::SimClock;
use fleet_store::sim::SimDisk;
use fleet_store::sqlite::Sqlite;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::scripted::{Scripted, hello};
use super::support::{Bench, NOW_MS, key, options, within};
use crate::idempotency::Keyed;
use crate::{ControllerOptions, ControllerState, SealingKey};

const VALUE: &str = "canary-8c1f5b2e-is-not-to-be-seen";

fn names(names: &[&str]) -> BTreeSet<Name> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// What the node is answered when it wants these.
async fn want(node: &mut Scripted, wanted: &[&str]) -> BTreeMap<Name, SecretAnswer> {
    let names = names(wanted);
    node.say(NodeMessage::WantSecrets {
        names: names.clone(),
    })
    .await;
    loop {
        if let ControllerMessage::Secrets { answers } = node.hear().await {
            assert_eq!(answers.keys().cloned().collect::<BTreeSet<_>>(), names);
            return answers;
        }
    }
}

fn set(value: &str) -> SecretAnswer {
    SecretAnswer::Set {
        base64: STANDARD.encode(value).into(),
    }
}

async fn run(bench: &Bench, name: &str, secret: &str) {
    let body = json!({"name": name, "backend": "mock", "env": {"A": {"secret": secret}}});
    let answer = bench.ask("POST", "/api/v1/workloads", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
}

#[tokio::test]
async fn a_node_gets_what_its_workloads_name_as_long_as_they_do() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.secret("db", "one").await;
    bench.secret("other", "hers").await;
    run(&bench, "web", "db").await;
    let answers = want(&mut node, &["db", "other", "nobody"]).await;
    let of = |name: &str| &answers[&name.parse::<Name>().unwrap()];
    assert_eq!(of("db"), &set("one"));
    assert_eq!(
        (of("other"), of("nobody")),
        (&SecretAnswer::Unset, &SecretAnswer::Unset)
    );

    // Another node's workload is no reason.
    let second = Hello {
        node: NodeId::new(NOW_MS, 77),
        name: "second".to_owned(),
        plugins: Vec::new(),
        ..hello()
    };
    let mut second = Scripted::dial(&bench, second).await;
    second.join().await;
    let answers = want(&mut second, &["db"]).await;
    assert_eq!(answers.values().next(), Some(&SecretAnswer::Unset));

    // The next start gets the next value; one that is on its way out gets none.
    bench.secret("db", "two").await;
    assert_eq!(
        want(&mut node, &["db"]).await.values().next(),
        Some(&set("two"))
    );
    bench
        .ask("DELETE", "/api/v1/workloads/web", Value::Null)
        .await;
    let answers = want(&mut node, &["db"]).await;
    assert_eq!(answers.values().next(), Some(&SecretAnswer::Unset));
}

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_what_to_do() {
    let bench = Bench::new().await;
    let node = bench.node().await;
    bench.secret("db", "one").await;
    run(&bench, "web", "db").await;
    drop(node);
    for (sealing_key, code, says) in [
        (
            Err(SealingKey::missing("there is no file x/secret.key")),
            "no-sealing-key",
            "x/secret.key",
        ),
        (Ok(key(2)), "wrong-sealing-key", "put the other key back"),
    ] {
        let options = ControllerOptions {
            sealing_key,
            ..options()
        };
        let bench = Bench::with(bench.disk.clone(), bench.clock.clone(), options).await;
        let counter = bench
            .store
            .snapshot()
            .state
            .nodes
            .values()
            .next()
            .unwrap()
            .session;
        let hello = Hello {
            session: counter.confirmed,
            ..hello()
        };
        let mut node = Scripted::dial(&bench, hello).await;
        node.join().await;
        let answers = want(&mut node, &["db"]).await;
        let Some(SecretAnswer::Sealed { error }) = answers.values().next() else {
            panic!("{answers:?}")
        };
        assert_eq!(error.code, code);
        assert!(
            error.kind.is_retryable() && error.message.contains(says),
            "{error}"
        );
    }
}

/// Every form in which the value would be found.
fn forms() -> Vec<Vec<u8>> {
    let hex = |bytes: &[u8]| crate::idempotency::hex(bytes);
    let digest = Sha256::digest(VALUE);
    // Base64 of the value in the middle of something has one of three forms; whole groups of each.
    let shifted = (0..3).map(|shift| {
        let text = STANDARD.encode("x".repeat(shift) + VALUE);
        text[4..text.len() - 4].to_owned()
    });
    let texts = [
        VALUE.to_owned(),
        hex(VALUE.as_bytes()),
        hex(&digest),
        STANDARD.encode(digest),
    ];
    let texts = texts.into_iter().chain(shifted).map(String::into_bytes);
    texts.chain([digest.to_vec()]).collect()
}

#[track_caller]
fn clean(what: &str, bytes: &[u8]) {
    for form in forms() {
        let is_there = bytes.windows(form.len()).any(|window| window == form);
        assert!(
            !is_there,
            "{what} has the value as {}",
            String::from_utf8_lossy(&form)
        );
    }
}

/// Takes in what is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_canary_is_found_in_no_answer_no_event_no_log_line_and_no_file() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let _logging = tracing::subscriber::set_default(subscriber);
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("controller.db");
    let store_id = StoreId::new(NOW_MS, 1).to_string();
    let durable = Sqlite::open::<ControllerState>(&path, &store_id)
        .await
        .unwrap();
    let disk = SimDisk::new::<ControllerState>(&store_id, 7).unwrap();
    let clock = Arc::new(SimClock::new(NOW_MS));
    let bench = Bench::over(Arc::new(durable), disk, clock, options()).await;
    let mut node = bench.node().await;

    let mut answers = Vec::new();
    let key = [("idempotency-key", "set")];
    for _ in 0..2 {
        answers.push(bench.send("PUT", "/api/v1/secrets/db", &key, VALUE).await);
    }
    // What fails does not show it either.
    let json = [("content-type", "application/json")];
    let quoted = json!(VALUE).to_string();
    answers.push(bench.send("PUT", "/api/v1/secrets/db", &json, quoted).await);
    let large = VALUE.repeat(2_000);
    answers.push(bench.send("PUT", "/api/v1/secrets/db", &[], large).await);
    answers.push(bench.send("PUT", "/api/v1/secrets/UP", &[], VALUE).await);
    let statuses: Vec<_> = answers
        .iter()
        .map(|answer| answer.status.as_u16())
        .collect();
    assert_eq!(statuses, [200, 200, 415, 413, 422]);

    let spec = json!({
        "name": "web", "backend": "mock",
        "env": {"TOKEN": {"secret": "db"}}, "files": {"conf/key": {"secret": "db"}},
    });
    answers.push(
        bench
            .ask("POST", "/api/v1/workloads?dry_run", spec.clone())
            .await,
    );
    let key = [("idempotency-key", "run")];
    answers.push(
        bench
            .ask_with("POST", "/api/v1/workloads", spec, &key)
            .await,
    );
    let (_, _, items): (_, _, Vec<Item>) = node.delta().await;
    clean(
        "the item",
        serde_json::to_string(&items).unwrap().as_bytes(),
    );
    assert_eq!(
        want(&mut node, &["db"]).await.values().next(),
        Some(&set(VALUE))
    );
    node.report(&items[0], WorkloadState::Running).await;
    bench
        .until("web", |workload| workload["state"] == "running")
        .await;
    for path in [
        "workloads",
        "workloads/web",
        "secrets",
        "events?after=0",
        "nodes",
        "plugins",
    ] {
        answers.push(bench.get(&format!("/api/v1/{path}")).await);
    }
    answers.push(bench.ask("DELETE", "/api/v1/secrets/db", Value::Null).await);
    answers.push(
        bench
            .ask("DELETE", "/api/v1/secrets/db?force", Value::Null)
            .await,
    );
    bench.secret("db", VALUE).await;
    for answer in &answers {
        clean("an answer", answer.text.as_bytes());
        clean("a header", format!("{:?}", answer.headers).as_bytes());
    }

    let files = || {
        std::fs::read_dir(folder.path())
            .unwrap()
            .map(|file| file.unwrap().path())
    };
    let scan = || {
        let mut bytes = 0;
        for path in files() {
            let content = std::fs::read(&path).unwrap();
            bytes += content.len();
            clean(&path.display().to_string(), &content);
        }
        bytes
    };
    // With the write-ahead log, and after it is worked in.
    assert!(files().any(|path| path.ends_with("controller.db-wal")));
    assert!(scan() > 10_000);
    let last = bench.store.snapshot();
    bench.stop.cancel();
    within(bench.serving).await.unwrap();
    let store = bench.store;
    drop((bench.controller, node));
    within(store.close()).await;
    assert!(scan() > 10_000);
    // A digest of the request that anybody can compute would let the value be guessed.
    let guess = [&b"PUT /api/v1/secrets/db"[..], VALUE.as_bytes()];
    let guess = Keyed::new("set".to_owned(), &guess);
    assert!(guess.earlier(&last.state, NOW_MS).is_err());
    let log = log.0.lock().unwrap().clone();
    assert!(!log.is_empty());
    clean("the log", &log);
    // The scan finds what is there: the name is not secret.
    let found = files().any(|path| {
        let content = std::fs::read(path).unwrap();
        content.windows(10).any(|window| window == b"secret.set")
    });
    assert!(found);
}
