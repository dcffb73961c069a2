//! One request, one effect.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::tests::scripted::generation;
use crate::tests::support::Bench;

#[tokio::test]
async fn one_key_sent_fifty_times_at_once_makes_one_workload() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    // Without a name: each copy would make one up.
    let body = json!({"backend": "mock", "command": ["x"]});
    let requests = (0..50).map(|_| {
        bench.ask_with(
            "POST",
            "/api/v1/workloads",
            body.clone(),
            &[("idempotency-key", "k1")],
        )
    });
    let answers = futures::future::join_all(requests).await;
    assert!(answers.iter().all(|answer| answer.status == 201));
    let bodies: BTreeSet<_> = answers.iter().map(|answer| answer.text.clone()).collect();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(
        bench.get("/api/v1/workloads").await.json()["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    assert_eq!(bench.events("workload.created", 1).await.len(), 1);

    let other = json!({"backend": "mock", "command": ["y"]});
    bench
        .ask_with(
            "POST",
            "/api/v1/workloads",
            other.clone(),
            &[("idempotency-key", "k1")],
        )
        .await
        .problem(409, "idempotency-key-reused");
    assert_eq!(
        bench
            .ask_with(
                "POST",
                "/api/v1/workloads",
                other,
                &[("idempotency-key", "k2")]
            )
            .await
            .status,
        201
    );
    // A key belongs to one request, whatever its method.
    bench
        .ask_with(
            "DELETE",
            "/api/v1/workloads/x",
            Value::Null,
            &[("idempotency-key", "k1")],
        )
        .await
        .problem(409, "idempotency-key-reused");
}

#[tokio::test]
async fn an_answer_is_kept_for_a_day_and_over_a_restart_and_a_refusal_is_not() {
    let bench = Bench::new().await;
    let key = [("idempotency-key", "k")];
    let body = json!({"name": "web", "backend": "mock"});
    bench
        .ask_with("POST", "/api/v1/workloads", body.clone(), &key)
        .await
        .problem(503, "no-node");
    let node = bench.node().await;
    let first = bench
        .ask_with("POST", "/api/v1/workloads", body.clone(), &key)
        .await;
    assert_eq!(first.status, 201);
    // The node is gone, the name is taken: the answer is the same all the same.
    drop(node);
    let bench = Bench::on(bench.disk.clone()).await;
    let again = bench
        .ask_with("POST", "/api/v1/workloads", body.clone(), &key)
        .await;
    assert_eq!((again.status.as_u16(), &again.text), (201, &first.text));
    bench
        .clock
        .advance(std::time::Duration::from_secs(24 * 60 * 60 + 1));
    let problem = bench
        .ask_with("POST", "/api/v1/workloads", body, &key)
        .await;
    assert_eq!(problem.status, 503, "{problem:?}");
}

#[tokio::test]
async fn verbs_asked_for_twice_raise_one_generation() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let created = bench.create("web").await;
    let (_, _, items) = node.delta().await;
    let ask = async |verb: &str| {
        let answer = bench
            .ask(
                "POST",
                &format!("/api/v1/workloads/web/{verb}"),
                Value::Null,
            )
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.json()
    };
    assert_eq!(generation(&ask("start").await), generation(&created));
    node.report(&items[0], fleet_model::workload::WorkloadState::Running)
        .await;
    bench
        .until("web", |workload| workload["state"] == "running")
        .await;
    assert_eq!(generation(&ask("start").await), generation(&created));
    let stopped = ask("stop").await;
    assert!(generation(&stopped) > generation(&created));
    assert_eq!(
        (&stopped["state"], &stopped["desired"]),
        (&json!("stopping"), &json!("stopped"))
    );
    assert_eq!(generation(&ask("stop").await), generation(&stopped));
    let hurried = bench
        .ask("POST", "/api/v1/workloads/web/stop", json!({"grace_ms": 0}))
        .await
        .json();
    assert!(generation(&hurried) > generation(&stopped));
    let started = ask("start").await;
    assert!(generation(&started) > generation(&hurried));
    for (kind, count) in [
        ("workload.stop-requested", 2),
        ("workload.start-requested", 1),
    ] {
        assert_eq!(bench.events(kind, count).await.len(), count, "{kind}");
    }
}

#[tokio::test]
async fn a_name_is_unique_and_made_up_when_absent() {
    let bench = Bench::new().await;
    let _node = bench.node().await;
    let web = bench.create("web").await;
    let problem = bench
        .ask(
            "POST",
            "/api/v1/workloads",
            json!({"name": "web", "backend": "mock"}),
        )
        .await
        .problem(409, "name-taken");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains(web["id"].as_str().unwrap()),
        "{problem}"
    );
    let made_up = bench
        .ask("POST", "/api/v1/workloads", json!({"backend": "mock"}))
        .await
        .json();
    assert!(
        made_up["name"].as_str().unwrap().starts_with("mock-"),
        "{made_up}"
    );
    for name in [&web["name"], &web["id"]] {
        let shown = bench
            .get(&format!("/api/v1/workloads/{}", name.as_str().unwrap()))
            .await
            .json();
        assert_eq!(shown["id"], web["id"]);
    }
}
