//! How sessions begin, what they state, and what the node's word does.

use fleet_model::item::Generation;
use fleet_model::workload::WorkloadState;
use fleet_protocol::version::Versions;
use fleet_protocol::{ControllerMessage, NodeMessage};
use serde_json::{Value, json};

use super::scripted::{Scripted, generation, hello};
use super::support::{Bench, within};

#[tokio::test]
async fn a_workload_goes_to_its_node_and_its_status_comes_back() {
    let bench = Bench::new().await;
    let mut node = Scripted::dial(&bench, hello()).await;
    let (at, items) = node.join().await;
    assert!(items.is_empty());
    let accepted = bench.create("web").await;
    assert_eq!(
        (accepted["state"].as_str(), accepted["node"].as_str()),
        (Some("pending"), Some("bench"))
    );

    let (after, place, items) = node.delta().await;
    assert_eq!((after, place), (at.revision.0, generation(&accepted).0));
    assert_eq!(items.len(), 1);
    assert_eq!(items[0].generation, generation(&accepted));
    assert_eq!(items[0].intent.as_ref().unwrap()["desired"], "running");

    node.report(&items[0], WorkloadState::Running).await;
    let shown = bench
        .until("web", |workload| workload["state"] == "running")
        .await;
    assert_eq!(shown["observed_generation"], shown["generation"]);
    assert_eq!(
        (&shown["ports"], &shown["attributes"]["pid"]),
        (&json!({"http": 8080}), &json!("4711"))
    );
    let events = bench.events("workload.observed", 1).await;
    assert_eq!(
        (events[0].name.as_deref(), events[0].generation),
        (Some("web"), Some(generation(&accepted)))
    );
    assert_eq!(bench.events("workload.created", 1).await.len(), 1);
    assert_eq!(bench.events("node.connected", 1).await.len(), 1);
    assert_eq!(bench.events("plugin.active", 1).await.len(), 1);
    assert_eq!(bench.events("plugin.rejected", 1).await.len(), 1);
}

#[tokio::test]
async fn heartbeats_are_answered_and_everything_is_said_again_when_asked_for() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    node.say(NodeMessage::Heartbeat { sent_boot_ms: 42 }).await;
    assert_eq!(
        node.hear().await,
        ControllerMessage::HeartbeatAck { sent_boot_ms: 42 }
    );
    bench.create("web").await;
    let (_, place, items) = node.delta().await;
    node.say(NodeMessage::WantFullSet).await;
    let (at, again) = node.full_set().await;
    assert_eq!((at.revision.0, again), (place, items));
}

#[tokio::test]
async fn no_change_is_missed_however_the_wakes_fall() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let create = async {
        for number in 0..60 {
            bench.create(&format!("w{number}")).await;
            if number % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let hear = async {
        let (mut seen, mut place) = (0, None);
        while seen < 60 {
            let (after, at, items) = node.delta().await;
            assert!(
                place.is_none_or(|place| place == after),
                "a delta does not follow the one before"
            );
            place = Some(at);
            seen += items.len();
        }
        assert_eq!(seen, 60);
    };
    tokio::join!(create, hear);
}

#[tokio::test]
async fn the_session_counter_tells_a_node_from_its_copy() {
    let bench = Bench::new().await;
    let node = bench.node().await;
    drop(node);
    for (shown, issued) in [
        (1, Some(2)),
        // The welcome was lost.
        (1, Some(2)),
        // The confirmation was lost.
        (2, Some(3)),
        // Older than what was ever shown; from nowhere.
        (1, None),
        (9, None),
        (0, None),
        (2, Some(3)),
    ] {
        let mut node = Scripted::dial(
            &bench,
            fleet_protocol::message::Hello {
                session: shown,
                ..hello()
            },
        )
        .await;
        match (node.hear().await, issued) {
            (ControllerMessage::Welcome { session, .. }, Some(issued)) => {
                assert_eq!(session, issued)
            }
            (ControllerMessage::Refused { error }, None) => {
                assert_eq!(error.code, "session-counter")
            }
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_node_of_another_protocol_is_told_both_sides_versions() {
    let bench = Bench::new().await;
    let versions = Versions { min: 7, max: 9 };
    let mut node = Scripted::dial(
        &bench,
        fleet_protocol::message::Hello {
            versions,
            ..hello()
        },
    )
    .await;
    let ControllerMessage::Refused { error } = node.hear().await else {
        panic!("not refused")
    };
    assert_eq!(error.code, "protocol-version");
    assert!(
        error.message.contains("1 to 1") && error.message.contains("7 to 9"),
        "{error}"
    );
}

#[tokio::test]
async fn a_second_session_replaces_the_first_and_fences_its_word() {
    let bench = Bench::new().await;
    let mut first = bench.node().await;
    bench.create("web").await;
    let (_, _, items) = first.delta().await;
    let mut second = Scripted::dial(&bench, first.hello.clone()).await;
    second.join().await;
    assert!(first.goodbye().await.contains("later session"));
    // Whatever of the first is still under way changes nothing.
    let _ = first
        .link
        .sender
        .send(&NodeMessage::Status {
            statuses: vec![super::scripted::status(&items[0], WorkloadState::Failed)],
        })
        .await;
    second.report(&items[0], WorkloadState::Running).await;
    let shown = bench
        .until("web", |workload| workload["observed_generation"].is_u64())
        .await;
    assert_eq!(shown["state"], "running");
    assert_eq!(bench.controller.nodes_online(), 1);
}

#[tokio::test]
async fn a_report_of_an_earlier_session_says_how_it_was() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    for name in ["runs", "ended"] {
        bench.create(name).await;
        let (_, _, items) = node.delta().await;
        let state = if name == "runs" {
            WorkloadState::Running
        } else {
            WorkloadState::Exited
        };
        node.report(&items[0], state).await;
        bench
            .until(name, |workload| workload["state"] == state.as_str())
            .await;
    }
    let hello = node.hello.clone();
    drop(node);
    let away = bench
        .until("runs", |workload| workload["state"] == "unknown")
        .await;
    assert!(
        away["message"].as_str().unwrap().contains("not connected"),
        "{away}"
    );
    let mut node = Scripted::dial(&bench, hello).await;
    let (_, items) = node.join().await;
    assert_eq!(items.len(), 2);
    let back = bench.get("/api/v1/workloads/runs").await.json();
    assert_eq!(back["state"], "unknown");
    assert!(
        back["message"]
            .as_str()
            .unwrap()
            .contains("has not reported"),
        "{back}"
    );
    let ended = bench.get("/api/v1/workloads/ended").await.json();
    assert_eq!(
        (
            &ended["state"],
            &ended["exit_code"],
            &ended["finished_at_ms"]
        ),
        (&json!("exited"), &json!(7), &json!(9))
    );
    let runs = items
        .iter()
        .find(|item| item.generation == generation(&back))
        .unwrap();
    node.report(runs, WorkloadState::Running).await;
    bench
        .until("runs", |workload| workload["state"] == "running")
        .await;
}

#[tokio::test]
async fn what_was_never_stated_is_ignored() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    let (_, _, mut items) = node.delta().await;
    let mut item = items.remove(0);
    let stated = item.generation;
    item.generation = Generation(stated.0 + 100);
    node.report(&item, WorkloadState::Failed).await;
    item.generation = stated;
    item.id.key = "nobody".to_owned();
    node.report(&item, WorkloadState::Failed).await;
    node.say(NodeMessage::Heartbeat { sent_boot_ms: 1 }).await;
    assert_eq!(
        node.hear().await,
        ControllerMessage::HeartbeatAck { sent_boot_ms: 1 }
    );
    assert_eq!(
        bench.get("/api/v1/workloads/web").await.json()["observed_generation"],
        Value::Null
    );
}

#[tokio::test]
async fn stopping_says_goodbye_to_every_node_and_waits_for_the_end() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.stop.cancel();
    assert!(node.goodbye().await.contains("stopping"));
    within(bench.serving).await.unwrap();
    assert_eq!(bench.controller.nodes_online(), 0);
}
