//! Silence, full disks, and words out of turn.

use std::time::Duration;

use fleet_model::StoreId;
use fleet_model::item::{Incarnation, Revision};
use fleet_model::workload::WorkloadState;
use fleet_protocol::NodeMessage;
use fleet_protocol::message::Seen;
use fleet_store::sim::Fault;
use serde_json::json;

use super::scripted::Scripted;
use super::support::{Bench, NOW_MS, within};

#[tokio::test]
async fn a_silent_node_is_unknown_and_so_is_what_it_runs() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    for (name, state) in [
        ("runs", WorkloadState::Running),
        ("ended", WorkloadState::Exited),
    ] {
        bench.create(name).await;
        let (_, _, items) = node.delta().await;
        node.report(&items[0], state).await;
        bench
            .until(name, |workload| workload["state"] == state.as_str())
            .await;
    }
    // Heard within the time it stays; the clock on the wall decides nothing.
    bench.clock.set_unix_ms(1);
    bench.clock.advance(Duration::from_millis(14_999));
    node.say(NodeMessage::Heartbeat { sent_boot_ms: 1 }).await;
    node.hear().await;
    bench.clock.advance(Duration::from_millis(14_999));
    node.say(NodeMessage::Heartbeat { sent_boot_ms: 2 }).await;
    node.hear().await;
    assert_eq!(bench.controller.nodes_online(), 1);
    bench.clock.advance(Duration::from_millis(15_000));
    assert!(node.goodbye().await.contains("silent"));
    assert_eq!(bench.events("node.unknown", 1).await.len(), 1);
    assert_eq!(
        bench.get("/api/v1/workloads/runs").await.json()["state"],
        "unknown"
    );
    assert_eq!(
        bench.get("/api/v1/workloads/ended").await.json()["state"],
        "exited"
    );
    assert_eq!(
        bench.get("/api/v1/nodes").await.json()["items"][0]["state"],
        "unknown"
    );
    bench
        .ask("POST", "/api/v1/workloads", json!({"backend": "mock"}))
        .await
        .problem(503, "node-offline");
}

#[tokio::test]
async fn a_handshake_without_an_end_is_ended() {
    let bench = Bench::new().await;
    let mut node = Scripted::dial(&bench, super::scripted::hello()).await;
    node.welcome().await;
    // Never confirmed.
    bench.clock.advance(Duration::from_secs(10));
    assert!(
        within(
            node.link
                .receiver
                .receive::<fleet_protocol::ControllerMessage>()
        )
        .await
        .is_err()
    );
    assert_eq!(bench.controller.nodes_online(), 0);
}

#[tokio::test]
async fn a_full_disk_ends_the_session_and_the_next_one_makes_up_for_it() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    let (_, _, items) = node.delta().await;
    bench.disk.inject(1, Fault::DiskFull);
    node.report(&items[0], WorkloadState::Running).await;
    assert!(node.goodbye().await.contains("disk is full"));
    assert_eq!(bench.disk.counters().disk_full, 1);
    let mut node = Scripted::dial(&bench, node.hello.clone()).await;
    node.join().await;
    node.report(&items[0], WorkloadState::Running).await;
    bench
        .until("web", |workload| workload["state"] == "running")
        .await;
}

#[tokio::test]
async fn a_request_that_meets_a_full_disk_changes_nothing_and_says_so() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    bench.disk.inject(1, Fault::DiskFull);
    let body = json!({"name": "web", "backend": "mock"});
    let problem = bench.ask("POST", "/api/v1/workloads", body.clone()).await;
    assert!(
        problem.problem(503, "disk-full")["detail"]
            .as_str()
            .unwrap()
            .contains("free some space")
    );
    assert_eq!(
        bench.get("/api/v1/workloads").await.json()["items"],
        json!([])
    );
    assert_eq!(
        bench.ask("POST", "/api/v1/workloads", body).await.status,
        201
    );
}

#[tokio::test]
async fn a_failed_store_ends_the_serving() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.disk.inject(1, Fault::IoError);
    bench
        .ask(
            "POST",
            "/api/v1/workloads",
            json!({"name": "web", "backend": "mock"}),
        )
        .await
        .problem(503, "store-failed");
    assert!(!node.goodbye().await.is_empty());
    within(bench.serving).await.unwrap();
}

#[tokio::test]
async fn a_node_that_has_seen_more_is_an_event_and_no_end() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let seen = Seen {
        store: StoreId::new(NOW_MS, 77),
        incarnation: Incarnation(3),
        revision: Revision(9),
    };
    for _ in 0..3 {
        node.say(NodeMessage::ControllerBehind { seen }).await;
    }
    node.say(NodeMessage::Heartbeat { sent_boot_ms: 1 }).await;
    node.hear().await;
    let events = bench.events("node.controller-behind", 1).await;
    assert_eq!(
        (events.len(), events[0].details["incarnation"].as_str()),
        (1, "3")
    );
}

#[tokio::test]
async fn words_out_of_turn_end_the_session() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    node.say(NodeMessage::Confirm { session: 1 }).await;
    assert!(node.goodbye().await.contains("protocol"));
    let mut node = Scripted::dial(&bench, node.hello.clone()).await;
    node.welcome().await;
    node.say(NodeMessage::WantFullSet).await;
    assert!(node.goodbye().await.contains("protocol"));
}
