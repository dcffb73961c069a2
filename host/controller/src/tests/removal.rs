//! Absence never deletes: a removal is a tombstone until its node has acknowledged it.

use fleet_model::workload::WorkloadState;
use serde_json::{Value, json};

use super::scripted::{Scripted, generation};
use super::support::Bench;

#[tokio::test]
async fn a_workload_is_gone_when_its_node_says_so_and_not_before() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let created = bench.create("web").await;
    let (_, _, items) = node.delta().await;
    node.report(&items[0], WorkloadState::Running).await;
    bench
        .until("web", |workload| workload["state"] == "running")
        .await;

    let removing = bench
        .ask("DELETE", "/api/v1/workloads/web?grace_ms=5", Value::Null)
        .await;
    assert_eq!(removing.status, 202);
    let removing = removing.json();
    assert_eq!(
        (&removing["removing"], &removing["state"]),
        (&json!(true), &json!("stopping"))
    );
    assert!(generation(&removing) > generation(&created));
    let (_, _, tombstones) = node.delta().await;
    assert_eq!(
        (tombstones[0].intent.as_ref(), tombstones[0].grace_ms),
        (None, Some(5))
    );

    // Asked for again it is the same; the name is not free; it does not start again.
    let again = bench
        .ask("DELETE", "/api/v1/workloads/web", Value::Null)
        .await
        .json();
    assert_eq!(again["generation"], removing["generation"]);
    let taken = bench
        .ask(
            "POST",
            "/api/v1/workloads",
            json!({"name": "web", "backend": "mock"}),
        )
        .await;
    let taken = taken.problem(409, "name-taken");
    assert!(
        taken["detail"].as_str().unwrap().contains("being removed"),
        "{taken}"
    );
    assert_eq!(taken["details"]["id"], created["id"]);
    bench
        .ask("POST", "/api/v1/workloads/web/start", json!({}))
        .await
        .problem(409, "workload-removing");

    // An acknowledgement of an earlier intent acknowledges nothing.
    node.removed(&items[0]).await;
    // A node that comes back is told the tombstone again.
    let hello = node.hello.clone();
    drop(node);
    let mut node = Scripted::dial(&bench, hello).await;
    let (_, items) = node.join().await;
    assert_eq!(items, tombstones);
    node.removed(&items[0]).await;
    bench
        .until("web", |workload| workload["code"] == "workload-not-found")
        .await;
    assert_eq!(
        bench.events("workload.removed", 1).await[0].name.as_deref(),
        Some("web")
    );

    // The name is free, and a generation never repeats.
    let anew = bench.create("web").await;
    assert!(generation(&anew) > generation(&removing));
    assert_ne!(anew["id"], created["id"]);
}
