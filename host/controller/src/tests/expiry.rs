//! Workloads with a ttl are removed in time: over restarts, reboots and clocks that are set.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::StoreId;
use fleet_seam::SimClock;
use fleet_store::sim::{Fault, SimDisk};
use serde_json::{Value, json};

use super::scripted::generation;
use super::support::{Bench, NOW_MS, options, within};
use crate::{ControllerOptions, ControllerState};

const HOUR: Duration = Duration::from_secs(3_600);
const HOUR_MS: u64 = 3_600_000;

/// A bench on which nodes may be silent for years.
fn patient() -> ControllerOptions {
    ControllerOptions {
        unknown_after_ms: u64::MAX / 4,
        ..options()
    }
}

async fn bench() -> Bench {
    let store_id = StoreId::new(NOW_MS, 1).to_string();
    let disk = SimDisk::new::<ControllerState>(&store_id, 7).unwrap();
    Bench::with(disk, Arc::new(SimClock::new(NOW_MS)), patient()).await
}

async fn create(bench: &Bench, name: &str, ttl: &str) -> Value {
    let body = json!({"name": name, "backend": "mock", "ttl": ttl});
    let answer = bench.ask("POST", "/api/v1/workloads", body).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

async fn extend(bench: &Bench, name: &str, ttl: &str) -> super::support::Answer {
    let path = format!("/api/v1/workloads/{name}/extend");
    bench.ask("POST", &path, json!({"ttl": ttl})).await
}

async fn removing(bench: &Bench, name: &str) -> bool {
    let shown = bench.get(&format!("/api/v1/workloads/{name}")).await.json();
    shown["removing"] == true
}

/// Whatever was about to happen has happened: what waits for the clock waits again.
async fn settled() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn it_is_removed_when_its_time_is_over_like_by_hand_and_not_before() {
    let bench = bench().await;
    let mut node = bench.node().await;
    let forever = bench.create("forever").await;
    node.delta().await;
    assert_eq!(forever["expires_at_ms"], Value::Null);
    let short = create(&bench, "short", "1h").await;
    node.delta().await;
    assert_eq!(short["expires_at_ms"], NOW_MS + HOUR_MS);
    create(&bench, "long", "3h").await;
    node.delta().await;

    bench.clock.advance(HOUR - Duration::from_millis(1));
    settled().await;
    assert!(!removing(&bench, "short").await);
    bench.clock.advance(Duration::from_millis(1));
    let events = bench.events("workload.expired", 1).await;
    let (_, _, tombstones) = node.delta().await;
    assert_eq!((tombstones.len(), tombstones[0].intent.as_ref()), (1, None));
    assert_eq!(events[0].subject, short["id"].as_str().unwrap());
    assert_eq!(events[0].name.as_deref(), Some("short"));
    assert_eq!(events[0].generation, Some(tombstones[0].generation));
    assert!(tombstones[0].generation > generation(&short));
    let shown = bench.get("/api/v1/workloads/short").await.json();
    assert_eq!(
        (&shown["removing"], &shown["expires_at_ms"]),
        (&json!(true), &Value::Null)
    );
    assert!(!removing(&bench, "long").await && !removing(&bench, "forever").await);
    node.removed(&tombstones[0]).await;
    bench.events("workload.removed", 1).await;
    bench
        .get("/api/v1/workloads/short")
        .await
        .problem(404, "workload-not-found");

    bench.clock.advance(2 * HOUR);
    assert_eq!(bench.events("workload.expired", 2).await.len(), 2);
    assert!(!removing(&bench, "forever").await);
}

#[tokio::test]
async fn the_clock_on_the_wall_decides_nothing_until_the_machine_starts_anew() {
    let bench = bench().await;
    let _node = bench.node().await;
    create(&bench, "early", "1h").await;
    bench.clock.set_unix_ms(NOW_MS + 100 * HOUR_MS);
    bench.clock.advance(Duration::from_secs(120));
    settled().await;
    assert!(!removing(&bench, "early").await);
    bench.clock.set_unix_ms(NOW_MS - HOUR_MS);
    bench.clock.advance(HOUR - Duration::from_secs(120));
    bench.events("workload.expired", 1).await;

    // Another boot: only the wall clock knows how long the machine was off.
    let later = create(&bench, "later", "1h").await;
    let at_ms = later["expires_at_ms"].as_u64().unwrap();
    let rebooted = |unix_ms| {
        let options = ControllerOptions {
            boot: "another boot".to_owned(),
            ..patient()
        };
        Bench::with(
            bench.disk.clone(),
            Arc::new(SimClock::new(unix_ms)),
            options,
        )
    };
    let before = rebooted(at_ms - 2).await;
    settled().await;
    assert!(!removing(&before, "later").await);
    // It is looked at now and then: what was set right by NTP counts.
    before.clock.set_unix_ms(at_ms + 5);
    before.clock.advance(Duration::from_millis(2));
    before.events("workload.expired", 2).await;
}

#[tokio::test]
async fn what_was_due_while_the_host_was_away_is_removed_when_it_is_back() {
    let bench = bench().await;
    let node = bench.node().await;
    create(&bench, "web", "1h").await;
    bench.stop.cancel();
    within(bench.serving).await.unwrap();
    drop(node);
    // The same boot goes on.
    bench.clock.advance(HOUR);
    bench.clock.set_unix_ms(NOW_MS);
    let back = Bench::with(bench.disk.clone(), bench.clock.clone(), patient()).await;
    back.events("workload.expired", 1).await;
    assert!(removing(&back, "web").await);
}

#[tokio::test]
async fn a_disk_that_is_full_puts_it_off_and_no_longer() {
    let bench = bench().await;
    let _node = bench.node().await;
    create(&bench, "web", "10s").await;
    settled().await;
    bench.disk.inject(1, Fault::DiskFull);
    bench.clock.advance(Duration::from_secs(10));
    within(async {
        while bench.disk.counters().disk_full == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    settled().await;
    assert!(!removing(&bench, "web").await);
    bench.clock.advance(Duration::from_secs(1));
    bench.events("workload.expired", 1).await;
}

#[tokio::test]
async fn an_extension_puts_the_end_off_and_raises_no_generation() {
    let bench = bench().await;
    let mut node = bench.node().await;
    let created = create(&bench, "web", "1h").await;
    node.delta().await;
    bench.clock.advance(HOUR / 2);
    let extended = extend(&bench, "web", "2h").await;
    assert_eq!(extended.status, 200);
    let extended = extended.json();
    assert_eq!(extended["expires_at_ms"], NOW_MS + 3 * HOUR_MS);
    assert_eq!(generation(&extended), generation(&created));
    assert_eq!(bench.events("workload.extended", 1).await.len(), 1);

    bench.clock.advance(2 * HOUR);
    settled().await;
    assert!(!removing(&bench, "web").await);
    bench.clock.advance(HOUR / 2);
    bench.events("workload.expired", 1).await;
    // The node heard of nothing in between.
    let (_, _, items) = node.delta().await;
    assert!(items[0].is_tombstone());
    extend(&bench, "web", "1h")
        .await
        .problem(409, "workload-removing");
}

#[tokio::test]
async fn an_extension_sent_twice_under_one_key_is_added_once() {
    let bench = bench().await;
    let _node = bench.node().await;
    create(&bench, "web", "1h").await;
    let ask = async |ttl: &str, key: &str| {
        let path = "/api/v1/workloads/web/extend";
        let headers = [("idempotency-key", key)];
        bench
            .ask_with("POST", path, json!({"ttl": ttl}), &headers)
            .await
    };
    let first = ask("1h", "k").await;
    let again = ask("1h", "k").await;
    assert_eq!((first.status.as_u16(), &first.text), (200, &again.text));
    assert_eq!(first.json()["expires_at_ms"], NOW_MS + 2 * HOUR_MS);
    ask("2h", "k").await.problem(409, "idempotency-key-reused");
    assert_eq!(
        ask("1h", "l").await.json()["expires_at_ms"],
        NOW_MS + 3 * HOUR_MS
    );
}

#[tokio::test]
async fn extensions_that_make_no_sense_say_what_would() {
    let bench = bench().await;
    let _node = bench.node().await;
    bench.create("forever").await;
    create(&bench, "web", "1h").await;
    let going = create(&bench, "going", "1h").await;
    assert_ne!(going["expires_at_ms"], Value::Null);
    bench
        .ask("DELETE", "/api/v1/workloads/going", Value::Null)
        .await;
    for (name, body, status, code, text) in [
        (
            "nobody",
            json!({"ttl": "1h"}),
            404,
            "workload-not-found",
            "workload ls",
        ),
        (
            "forever",
            json!({"ttl": "1h"}),
            409,
            "no-ttl",
            "nothing to extend",
        ),
        (
            "going",
            json!({"ttl": "1h"}),
            409,
            "workload-removing",
            "wait until it is gone",
        ),
        ("web", json!({"ttl": "0s"}), 422, "invalid-ttl", "1s"),
        (
            "web",
            json!({"ttl": "11years"}),
            422,
            "invalid-ttl",
            "10years",
        ),
        (
            "web",
            json!({"ttl": "10years"}),
            422,
            "invalid-ttl",
            "by less",
        ),
        ("web", json!({"ttl": 5}), 422, "invalid-body", "90s"),
        ("web", json!({}), 422, "invalid-body", "ttl"),
    ] {
        let path = format!("/api/v1/workloads/{name}/extend");
        let problem = bench.ask("POST", &path, body).await.problem(status, code);
        assert!(
            problem["detail"].as_str().unwrap().contains(text),
            "{problem}"
        );
    }
    bench
        .ask(
            "POST",
            "/api/v1/workloads",
            json!({"backend": "mock", "ttl": "1ms"}),
        )
        .await
        .problem(422, "invalid-ttl");
}
