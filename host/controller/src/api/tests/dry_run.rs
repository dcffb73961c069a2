//! A dry run says everything and does nothing.

use std::collections::BTreeMap;

use fleet_model::NodeId;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_protocol::NodeMessage;
use fleet_protocol::message::Hello;
use serde_json::{Value, json};

use crate::tests::scripted::{Scripted, hello};
use crate::tests::support::{Bench, NOW_MS, options, plugin};
use crate::{ControllerOptions, SealingKey};

async fn ask(bench: &Bench, body: Value) -> Value {
    let commit = bench.store.snapshot().commit;
    let headers = [("idempotency-key", "k")];
    let path = "/api/v1/workloads?dry_run=true";
    let answer = bench.ask_with("POST", path, body, &headers).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(bench.store.snapshot().commit, commit);
    answer.json()
}

fn codes(reasons: &Value) -> Vec<(&str, &str)> {
    let reasons = reasons.as_array().unwrap().iter();
    reasons
        .map(|reason| {
            let pointer = reason["details"]["pointer"].as_str();
            (
                reason["code"].as_str().unwrap(),
                pointer.unwrap_or_default(),
            )
        })
        .collect()
}

fn with(attributes: &[(&str, &str)]) -> Plugin {
    let attributes: BTreeMap<_, _> = attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    Plugin {
        attributes,
        ..plugin("mock", PluginState::Active)
    }
}

/// A node of this number with these plugins, connected.
async fn node(bench: &Bench, number: u128, plugins: Vec<Plugin>) -> Scripted {
    let hello = Hello {
        node: NodeId::new(NOW_MS, number),
        name: format!("n{number}"),
        plugins,
        ..hello()
    };
    let mut node = Scripted::dial(bench, hello).await;
    node.join().await;
    node
}

#[tokio::test]
async fn what_would_be_accepted_is_said_and_left_alone() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    bench.secret("db", "v").await;
    let spec =
        json!({"name": "web", "backend": "mock", "ttl": "1h 30m", "env": {"A": {"secret": "db"}}});
    let said = ask(&bench, spec.clone()).await;
    assert_eq!(
        said,
        json!({
            "admitted": true,
            "reasons": [],
            "node": "bench",
            "placement": [{"node": "bench", "chosen": true, "reason": null}],
            "warnings": [],
            "spec": spec,
        })
    );
    assert_eq!(
        bench.get("/api/v1/workloads").await.json()["items"],
        json!([])
    );
    // The key is still free for the request itself.
    let headers = [("idempotency-key", "k")];
    let made = bench
        .ask_with("POST", "/api/v1/workloads", spec, &headers)
        .await;
    assert_eq!(made.status, 201);
}

#[tokio::test]
async fn all_reasons_come_at_once_and_each_node_has_its_own() {
    let bench = Bench::new().await;
    let mut first = bench.node().await;
    bench.create("taken").await;
    first.delta().await;
    let fixed = json!({"name": "dns", "backend": "mock", "ports": {"udp": 53}});
    assert_eq!(
        bench.ask("POST", "/api/v1/workloads", fixed).await.status,
        201
    );
    let rejected = Plugin {
        reason: Some("no grant".to_owned()),
        ..plugin("mock", PluginState::Rejected)
    };
    let unusable = Plugin {
        usable: false,
        reason: Some("no engine".to_owned()),
        ..plugin("mock", PluginState::Active)
    };
    let _others = [
        node(&bench, 11, vec![plugin("native", PluginState::Active)]).await,
        node(&bench, 12, vec![rejected]).await,
        node(&bench, 13, vec![unusable]).await,
        node(
            &bench,
            14,
            vec![with(&[("limits", "cpu"), ("isolation", "process group")])],
        )
        .await,
        node(&bench, 16, vec![plugin("mock", PluginState::Compiled)]).await,
    ];
    let away = node(
        &bench,
        15,
        vec![with(&[("limits", "cpu,memory,processes")])],
    )
    .await;
    drop(away);
    bench.events("node.disconnected", 1).await;
    let said = ask(
        &bench,
        json!({
            "name": "taken", "backend": "mock", "command": ["$(X)"], "ports": {"udp": 53},
            "limits": {"memory": "1KiB"}, "ttl": "1ms", "config": {"delay_ms": -1},
            "env": {"A": {"secret": "nobody"}}, "files": {"../x": ""},
        }),
    )
    .await;
    assert_eq!(
        (&said["admitted"], &said["node"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        codes(&said["reasons"]),
        [
            ("unknown-variable", "/command/0"),
            ("bad-path", "/files/..~1x"),
            ("invalid-limit", "/limits/memory"),
            ("invalid-ttl", "/ttl"),
            ("no-secret", "/env/A/secret"),
            ("node-offline", ""),
            ("invalid-config", "/config/delay_ms"),
            ("name-taken", ""),
        ]
    );
    let placement: BTreeMap<_, _> = said["placement"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            assert_eq!(entry["chosen"], false);
            (
                entry["node"].as_str().unwrap(),
                entry["reason"].as_str().unwrap(),
            )
        })
        .collect();
    for (node, text) in [
        ("bench", "port 53 is taken by workload `dns`"),
        ("n11", "has the backends native"),
        ("n12", "rejected it: no grant"),
        ("n13", "cannot use it: no engine"),
        (
            "n14",
            "cannot hold a limit of memory (isolation: process group)",
        ),
        ("n15", "is not connected"),
        ("n16", "still loading it (compiled)"),
    ] {
        assert!(
            placement[node].contains(text),
            "{node}: {}",
            placement[node]
        );
    }
    assert_eq!(placement.len(), 7);
}

#[tokio::test]
async fn the_node_with_the_least_to_do_is_chosen_and_the_others_hear_why() {
    let bench = Bench::new().await;
    let mut busy = bench.node().await;
    bench.create("a").await;
    busy.delta().await;
    let _idle = node(&bench, 11, vec![with(&[])]).await;
    let said = ask(&bench, json!({"backend": "mock"})).await;
    assert_eq!(said["node"], "n11");
    let reason = said["placement"][0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("it has 1 workloads and n11 has 0"),
        "{said}"
    );
    let made = bench
        .ask("POST", "/api/v1/workloads", json!({"backend": "mock"}))
        .await;
    assert_eq!(made.json()["node"], "n11");
}

#[tokio::test]
async fn what_may_surprise_is_a_warning() {
    let bench = Bench::new().await;
    bench.secret("one", "v").await;
    bench.secret("two", "v").await;
    let options = ControllerOptions {
        sealing_key: Err(SealingKey::missing("there is no file x")),
        ..options()
    };
    let bench = Bench::with(bench.disk.clone(), bench.clock.clone(), options).await;
    let mut node = bench.node().await;
    let spec = json!({
        "backend": "mock", "limits": {"cpu": 1, "disk": "1GiB"},
        "env": {"A": {"secret": "one"}, "B": {"secret": "two"}},
    });
    let said = ask(&bench, spec.clone()).await;
    assert_eq!(said["admitted"], true);
    assert_eq!(
        codes(&said["warnings"]),
        [("no-sealing-key", ""), ("limits-unknown", "/limits")]
    );
    // What the backend says it can hold is held.
    let commits = bench.store.snapshot().commit;
    let plugins = vec![with(&[("limits", "cpu, memory")])];
    node.say(NodeMessage::Plugins { plugins }).await;
    let mut changes = bench.store.changes();
    changes.wait_for(|commit| *commit > commits).await.unwrap();
    assert_eq!(
        codes(&ask(&bench, spec).await["warnings"]),
        [("no-sealing-key", "")]
    );
}

#[tokio::test]
async fn a_fixed_port_is_one_workloads_on_a_network_that_is_shared() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let create = async |name: &str, ports: Value| {
        let body = json!({"name": name, "backend": "mock", "ports": ports});
        bench.ask("POST", "/api/v1/workloads", body).await
    };
    assert_eq!(
        create("web", json!({"http": 8080, "any": 0})).await.status,
        201
    );
    node.delta().await;
    let problem = create("again", json!({"a": 0, "b": 8080}))
        .await
        .problem(409, "port-taken");
    assert_eq!(problem["details"]["pointer"], "/ports/b");
    assert!(
        problem["detail"].as_str().unwrap().contains("`web`"),
        "{problem}"
    );
    let problem = create("twice", json!({"a": 81, "b": 81}))
        .await
        .problem(409, "port-taken");
    assert!(
        problem["detail"].as_str().unwrap().contains("twice"),
        "{problem}"
    );
    assert_eq!(
        create("other", json!({"b": 8081, "any": 0})).await.status,
        201
    );
    node.delta().await;
    // It is its workload's until that is gone.
    bench
        .ask("DELETE", "/api/v1/workloads/web", Value::Null)
        .await;
    let (_, _, tombstones) = node.delta().await;
    let problem = create("again", json!({"b": 8080}))
        .await
        .problem(409, "port-taken");
    assert!(
        problem["detail"].as_str().unwrap().contains("until"),
        "{problem}"
    );
    node.removed(&tombstones[0]).await;
    bench.events("workload.removed", 1).await;
    assert_eq!(create("again", json!({"b": 8080})).await.status, 201);
    // Behind a mapped network everybody may have it.
    let plugins = vec![with(&[("network", "mapped")])];
    let commits = bench.store.snapshot().commit;
    node.say(NodeMessage::Plugins { plugins }).await;
    let mut changes = bench.store.changes();
    changes.wait_for(|commit| *commit > commits).await.unwrap();
    assert_eq!(create("third", json!({"b": 8080})).await.status, 201);
}

#[tokio::test]
async fn of_fifty_that_want_one_port_at_once_one_gets_it() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    let bodies = (0..50).map(|_| json!({"backend": "mock", "ports": {"http": 8080}}));
    let requests = bodies.map(|body| bench.ask("POST", "/api/v1/workloads", body));
    let answers = futures::future::join_all(requests).await;
    let accepted = answers.iter().filter(|answer| answer.status == 201);
    assert_eq!(accepted.count(), 1);
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        answer.problem(409, "port-taken");
    }
}
