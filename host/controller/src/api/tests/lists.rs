//! Lists: pages that miss nothing, filters, health.

use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_protocol::NodeMessage;
use serde_json::{Value, json};

use crate::tests::support::{Bench, answer, plugin};

async fn pages(bench: &Bench, path: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = bench.get(&format!("{path}{limit}{cursor}")).await.json();
        let items = page["items"].as_array().unwrap();
        assert!(items.len() <= limit, "{page}");
        all.extend(items.iter().cloned());
        match &page["next"] {
            Value::Null => return all,
            Value::String(next) => cursor = format!("&cursor={next}"),
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn pages_and_filters_give_each_workload_once() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    for number in 0..7 {
        let tier = if number % 2 == 0 { "even" } else { "odd" };
        let body = json!({"name": format!("w{number}"), "backend": "mock", "labels": {"tier": tier, "app": "x"}});
        assert_eq!(
            bench.ask("POST", "/api/v1/workloads", body).await.status,
            201
        );
        bench.clock.advance(std::time::Duration::from_millis(1));
    }
    let names = |items: &[Value]| {
        items
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let all: Vec<_> = (0..7).map(|number| format!("w{number}")).collect();
    for limit in [1, 2, 3, 6, 7, 8] {
        assert_eq!(
            names(&pages(&bench, "/api/v1/workloads?limit=", limit).await),
            all,
            "{limit}"
        );
    }
    assert_eq!(
        names(
            &pages(
                &bench,
                "/api/v1/workloads?label=tier=odd&label=app=x&limit=",
                2
            )
            .await
        ),
        ["w1", "w3", "w5"]
    );
    assert_eq!(
        pages(&bench, "/api/v1/workloads?state=pending&limit=", 3)
            .await
            .len(),
        7
    );
    assert_eq!(
        pages(&bench, "/api/v1/workloads?state=running&limit=", 3)
            .await
            .len(),
        0
    );
    assert_eq!(
        pages(&bench, "/api/v1/workloads?label=tier=none&limit=", 3)
            .await
            .len(),
        0
    );
}

#[tokio::test]
async fn plugins_are_shown_with_their_node_and_change_with_it() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let all = pages(&bench, "/api/v1/plugins?limit=", 1).await;
    let shown: Vec<_> = all
        .iter()
        .map(|plugin| {
            (
                plugin["name"].as_str().unwrap(),
                plugin["state"].as_str().unwrap(),
                plugin["node"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        shown,
        [("broken", "rejected", "bench"), ("mock", "active", "bench")]
    );
    assert_eq!(
        bench.get("/api/v1/plugins/mock").await.json()["version"],
        "1.0.0"
    );
    bench
        .get("/api/v1/plugins/mock?node=other")
        .await
        .problem(404, "plugin-not-found");
    let newcomer = Plugin {
        digest: Some("bb".to_owned()),
        reason: Some("traps".to_owned()),
        ..plugin("mock", PluginState::Rejected)
    };
    let swapped = Plugin {
        digest: Some("cc".to_owned()),
        ..plugin("mock", PluginState::Active)
    };
    let plugins = vec![
        newcomer,
        swapped,
        plugin("late", PluginState::Linked),
        plugin("left", PluginState::Quarantined),
    ];
    node.say(NodeMessage::Plugins { plugins }).await;
    let quarantined = bench.events("plugin.quarantined", 1).await;
    assert_eq!(quarantined[0].subject, "left");
    let shown = bench.get("/api/v1/plugins/mock").await.json();
    assert_eq!(
        (&shown["state"], &shown["digest"]),
        (&json!("active"), &json!("cc"))
    );
    let newcomers = json!([{"file": "mock.wasm", "digest": "bb", "version": "1.0.0", "state": "rejected", "reason": "traps"}]);
    assert_eq!(shown["newcomers"], newcomers);
    let all = pages(&bench, "/api/v1/plugins?limit=", 1).await;
    let of_mock = all.iter().filter(|plugin| plugin["name"] == "mock");
    assert_eq!(of_mock.count(), 2, "one file, two rows: {all:#?}");
    // What its node tells by itself is not told twice.
    assert_eq!(bench.events("plugin.rejected", 1).await.len(), 1);
    bench
        .ask("POST", "/api/v1/workloads", json!({"backend": "late"}))
        .await
        .problem(503, "backend-not-ready");
    // What was active before is no news.
    assert_eq!(bench.events("plugin.active", 1).await.len(), 1);
}

#[tokio::test]
async fn nodes_are_shown_as_they_stand() {
    let bench = Bench::new().await;
    let node = bench.node().await;
    let shown = bench.get("/api/v1/nodes").await.json();
    assert_eq!(
        (
            &shown["items"][0]["name"],
            &shown["items"][0]["state"],
            &shown["items"][0]["session"]
        ),
        (&json!("bench"), &json!("connected"), &json!(1))
    );
    drop(node);
    bench.events("node.disconnected", 1).await;
    assert_eq!(
        bench.get("/api/v1/nodes").await.json()["items"][0]["state"],
        "disconnected"
    );
}

#[tokio::test]
async fn ready_says_why_not() {
    let bench = Bench::new().await;
    let router = bench
        .controller
        .router(Arc::new(|| vec!["the node has no session".to_owned()]));
    let get = |path: &str| Request::get(path).body(Body::empty()).unwrap();
    let not_ready = answer(router.clone(), get("/ready")).await;
    assert_eq!(
        (not_ready.status.as_u16(), not_ready.json()),
        (
            503,
            json!({"ready": false, "reasons": ["the node has no session"]})
        )
    );
    assert_eq!(
        answer(router, get("/health")).await.json(),
        json!({"status": "ok", "version": "0.1.0-test"})
    );
    assert_eq!(
        answer(bench.router(), get("/ready")).await.json(),
        json!({"ready": true, "reasons": []})
    );
}
