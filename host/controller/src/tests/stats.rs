//! What workloads use, from a node's looks to the client's lines.

use fleet_model::item::ItemKey;
use fleet_model::stats::{Sample, Usage};
use fleet_model::{Error, NodeId};
use fleet_protocol::bulk::{Acceptor, Request, UsageOf};
use serde_json::{Value, json};

use super::scripted::{Scripted, hello};
use super::support::{Bench, NOW_MS};

/// What the scripted node answers.
#[derive(Clone)]
enum Answer {
    Looks(Vec<UsageOf>),
    Refuse(Error),
    /// Nothing, for ever.
    Silence,
}

fn serve(node: &mut Scripted, answer: Answer) {
    let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
    tokio::spawn(drive);
    tokio::spawn(async move {
        while let Some(mut pending) = acceptor.accept().await {
            let request = pending.request().await.unwrap();
            assert!(matches!(request, Request::Stats { .. }), "{request:?}");
            match answer.clone() {
                Answer::Refuse(error) => pending.refuse(error).await.unwrap(),
                Answer::Silence => std::mem::forget(pending),
                Answer::Looks(looks) => {
                    let mut stream = pending.accept().await.unwrap();
                    for look in looks {
                        stream.send_json(&look).await.unwrap();
                    }
                    stream.finish().await.unwrap();
                }
            }
        }
    });
}

fn look(workload: &Value, cpu_millis: Option<u32>) -> UsageOf {
    UsageOf {
        item: ItemKey::workload(workload["id"].as_str().unwrap().parse().unwrap()),
        sample: cpu_millis.map(|cpu_millis| Sample {
            at_ms: 5,
            cpu_millis: Some(cpu_millis),
            usage: Usage {
                cpu_us: Some(7),
                ..Usage::default()
            },
        }),
    }
}

#[tokio::test]
async fn looks_at_one_come_line_by_line_with_its_name() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let web = bench.create("web").await;
    let looks = vec![look(&web, None), look(&web, Some(250))];
    serve(&mut node, Answer::Looks(looks));
    let answer = bench.get("/api/v1/workloads/web/stats?history").await;
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    let lines: Vec<Value> = answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        lines,
        [
            json!({"id": web["id"], "name": "web", "sample": null}),
            json!({"id": web["id"], "name": "web", "sample": {"at_ms": 5, "cpu_millis": 250, "cpu_us": 7}}),
        ]
    );
    bench
        .get("/api/v1/workloads/web/stats?follow=perhaps")
        .await
        .problem(422, "invalid-parameter");
}

#[tokio::test]
async fn a_backend_that_does_not_tell_and_a_node_that_is_away_are_problems() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    let silent = Error::unsupported("no-stats", "does not tell");
    serve(&mut node, Answer::Refuse(silent));
    bench
        .get("/api/v1/workloads/web/stats")
        .await
        .problem(422, "no-stats");
    drop(node);
    bench.events("node.disconnected", 1).await;
    bench
        .get("/api/v1/workloads/web/stats")
        .await
        .problem(503, "node-away");
}

#[tokio::test]
async fn all_of_them_are_told_and_the_nodes_that_are_missing() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let (one, two) = (bench.create("one").await, bench.create("two").await);
    // Another node that does not answer, and one that has gone.
    let mut mute = hello();
    (mute.node, mute.name) = (NodeId::new(NOW_MS, 77), "mute".to_owned());
    let mut mute = Scripted::dial(&bench, mute).await;
    mute.join().await;
    let mut gone = hello();
    (gone.node, gone.name) = (NodeId::new(NOW_MS, 78), "gone".to_owned());
    let mut gone = Scripted::dial(&bench, gone).await;
    gone.join().await;
    drop(gone);
    bench.events("node.disconnected", 1).await;

    let unknown = UsageOf {
        item: ItemKey::workload(fleet_model::WorkloadId::new(1, 1)),
        sample: None,
    };
    let looks = vec![look(&two, None), unknown, look(&one, Some(1_000))];
    serve(&mut node, Answer::Looks(looks));
    serve(&mut mute, Answer::Silence);
    let asked = bench.get("/api/v1/stats");
    tokio::pin!(asked);
    // The mute one has its time.
    let answer = loop {
        tokio::select! {
            answer = &mut asked => break answer,
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {
                bench.clock.advance(std::time::Duration::from_millis(500));
            }
        }
    };
    let all = answer.json();
    assert_eq!(
        all["items"],
        json!([
            {"id": one["id"], "name": "one", "sample": {"at_ms": 5, "cpu_millis": 1_000, "cpu_us": 7}},
            {"id": two["id"], "name": "two", "sample": null},
        ])
    );
    assert_eq!(
        all["missing"],
        json!([
            {"node": "gone", "detail": "it is not connected"},
            {"node": "mute", "detail": "it did not answer in time"},
        ])
    );
}
