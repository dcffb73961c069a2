//! Signals, from a client to a node.

use fleet_model::Error;
use fleet_protocol::bulk::{Acceptor, Request};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::scripted::Scripted;
use super::support::{Bench, within};

const PATH: &str = "/api/v1/workloads/web/signals";

/// Answers every signal the same way, and hands on what was asked.
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

#[tokio::test]
async fn a_signal_goes_to_the_node_by_its_one_name_and_under_its_key() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let workload = bench.create("web").await;
    let mut asked = take(&mut node, None);
    for name in ["USR1", "SIGUSR1", "usr1", "SigUsr1"] {
        let keyed = [("idempotency-key", "k")];
        let answer = bench
            .ask_with("POST", PATH, json!({"signal": name}), &keyed)
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()),
            (200, json!({"signal": "USR1", "key": "k"}))
        );
        let Request::Signal {
            item,
            generation,
            key,
            signal,
        } = within(asked.recv()).await.unwrap()
        else {
            panic!("another request")
        };
        assert_eq!(item.key, workload["id"].as_str().unwrap());
        assert_eq!(json!(generation), workload["generation"]);
        assert_eq!((key.as_str(), signal.as_str()), ("k", "USR1"));
    }
    let answer = bench.ask("POST", PATH, json!({"signal": "HUP"})).await;
    assert_eq!(answer.json()["key"].as_str().unwrap().len(), 32);
}

#[tokio::test]
async fn what_cannot_be_sent_says_why() {
    let bench = Bench::new().await;
    let hup = || json!({"signal": "HUP"});
    bench
        .ask("POST", PATH, hup())
        .await
        .problem(404, "workload-not-found");
    let mut node = bench.node().await;
    bench.create("web").await;
    let unknown = bench.ask("POST", PATH, json!({"signal": "HUPP"})).await;
    let problem = unknown.problem(422, "unknown-signal");
    assert!(problem["detail"].as_str().unwrap().contains("USR1, USR2"));
    for body in [json!({}), json!({"signal": 9}), json!({"signals": "HUP"})] {
        bench
            .ask("POST", PATH, body)
            .await
            .problem(422, "invalid-body");
    }
    let none = Error::unsupported("no-signals", "the workload's backend sends no signals");
    let mut asked = take(&mut node, Some(none));
    bench
        .ask("POST", PATH, hup())
        .await
        .problem(422, "no-signals");
    within(asked.recv()).await.unwrap();
    drop(node);
    bench.events("node.disconnected", 1).await;
    bench
        .ask("POST", PATH, hup())
        .await
        .problem(503, "node-away");
    bench
        .ask("DELETE", "/api/v1/workloads/web", Value::Null)
        .await;
    bench
        .ask("POST", PATH, hup())
        .await
        .problem(409, "being-removed");
}
