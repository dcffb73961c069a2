//! Commands, from a client to a node's stream and back.

use fleet_model::Error;
use fleet_protocol::bulk::{Acceptor, Request};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::scripted::Scripted;
use super::support::{Bench, within};

/// Answers every command the same way, and hands on what was asked.
fn take(node: &mut Scripted, refusal: Option<Error>) -> mpsc::UnboundedReceiver<Request> {
    let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
    tokio::spawn(drive);
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(mut pending) = acceptor.accept().await {
            tell.send(pending.request().await.unwrap()).unwrap();
            match &refusal {
                Some(error) => pending.refuse(error.clone()).await.unwrap(),
                None => pending.accept().await.unwrap().finish().await.unwrap(),
            }
        }
    });
    told
}

const PATH: &str = "/api/v1/workloads/web/commands";

#[tokio::test]
async fn a_command_goes_to_the_node_under_its_key_and_is_answered_when_it_is_kept_there() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let workload = bench.create("web").await;
    let mut asked = take(&mut node, None);
    let answer = bench
        .ask_with(
            "POST",
            PATH,
            json!({"text": "go\n"}),
            &[("idempotency-key", "k-1")],
        )
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.json()),
        (200, json!({"key": "k-1"}))
    );
    match within(asked.recv()).await.unwrap() {
        Request::Send {
            item,
            generation,
            call,
            base64,
        } => {
            assert_eq!(item.key, workload["id"].as_str().unwrap());
            assert_eq!(json!(generation), workload["generation"]);
            assert_eq!((call.as_str(), base64.as_str()), ("k-1", "Z28K"));
        }
        other => panic!("{other:?}"),
    }
    let answer = bench.ask("POST", PATH, json!({"base64": "/wA="})).await;
    let made_up = answer.json()["key"].as_str().unwrap().to_owned();
    assert_eq!(made_up.len(), 32);
    assert!(
        matches!(within(asked.recv()).await.unwrap(), Request::Send { call, .. } if call == made_up)
    );
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let bench = Bench::new().await;
    bench
        .ask("POST", PATH, json!({"text": "x"}))
        .await
        .problem(404, "workload-not-found");
    let mut node = bench.node().await;
    bench.create("web").await;
    for (body, code) in [
        (json!({}), "invalid-body"),
        (json!({"text": "a", "base64": "AA=="}), "invalid-body"),
        (json!({"text": ""}), "command-empty"),
    ] {
        bench.ask("POST", PATH, body).await.problem(422, code);
    }
    // Whether the command or already its body is too large: what fits is the command's limit.
    for (mebibytes, status) in [(2, 422), (5, 413)] {
        let text = "x".repeat(mebibytes << 20);
        let problem = bench
            .ask("POST", PATH, json!({"text": text}))
            .await
            .problem(status, "command-too-large");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("at most 1048576 bytes"), "{detail}");
    }
    let full = Error::new(
        fleet_model::ErrorKind::Exhausted,
        "input-full",
        "it does not read",
    );
    let mut asked = take(&mut node, Some(full));
    let answer = bench.ask("POST", PATH, json!({"text": "x"})).await;
    assert_eq!(answer.json()["code"], "input-full", "{answer:?}");
    within(asked.recv()).await.unwrap();

    bench
        .ask("POST", "/api/v1/workloads/web/stop", Value::Null)
        .await;
    bench
        .ask("POST", PATH, json!({"text": "x"}))
        .await
        .problem(409, "not-running");

    bench.create("other").await;
    drop(node);
    bench
        .until("other", |workload| workload["message"].is_string())
        .await;
    bench
        .ask(
            "POST",
            "/api/v1/workloads/other/commands",
            json!({"text": "x"}),
        )
        .await
        .problem(503, "node-away");
}
