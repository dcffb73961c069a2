//! Signals: each sent once per key, whatever happens.

use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::Request;

use super::script::workload;
use super::{Fixture, until};

async fn running(node: &Fixture) -> u64 {
    let generation = node.script.want(1, Some(Desired::Running));
    reached(node, generation, WorkloadState::Running).await;
    generation
}

async fn reached(node: &Fixture, generation: u64, state: WorkloadState) {
    until("its state", || {
        let status = node.script.status(1);
        status.filter(|(at, status)| *at == generation && status.state == state)
    })
    .await;
}

async fn send(node: &Fixture, key: &str, signal: &str) -> Result<(), Error> {
    let request = Request::Signal {
        item: ItemKey::workload(workload(1)),
        generation: Generation(node.script.generation()),
        key: key.to_owned(),
        signal: signal.to_owned(),
    };
    node.script.open(&request).await.map(drop)
}

fn sent(node: &Fixture) -> Vec<(String, String)> {
    node.world.meters.signals()
}

fn list(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, signal): &(&str, &str)| ((*key).to_owned(), (*signal).to_owned());
    pairs.iter().map(owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sends_one_signal_however_often_and_concurrently_also_after_a_crash() {
    let mut node = Fixture::start().await;
    running(&node).await;
    let twenty = (0..20).map(|_| send(&node, "k", "USR1"));
    for answer in futures::future::join_all(twenty).await {
        answer.unwrap();
    }
    assert_eq!(sent(&node), list(&[("k", "USR1")]));
    assert_eq!(
        send(&node, "k", "HUP").await.unwrap_err().code,
        "call-reused"
    );
    send(&node, "l", "USR1").await.unwrap();

    node.crash().await;
    node.boot().await;
    send(&node, "k", "USR1").await.unwrap();
    send(&node, "l", "USR1").await.unwrap();
    assert_eq!(sent(&node), list(&[("k", "USR1"), ("l", "USR1")]));

    // What ended the program is known when it has ended, and belongs to the run before when the next one runs.
    node.world.exit_all(143);
    let generation = node.script.generation();
    reached(&node, generation, WorkloadState::Exited).await;
    send(&node, "l", "USR1").await.unwrap();
    assert_eq!(
        send(&node, "m", "USR1").await.unwrap_err().code,
        "not-running"
    );
    running(&node).await;
    send(&node, "l", "USR1").await.unwrap();
    send(&node, "m", "HUP").await.unwrap();
    assert_eq!(
        sent(&node),
        list(&[("k", "USR1"), ("l", "USR1"), ("m", "HUP")])
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_sent_is_not_known() {
    let mut node = Fixture::start().await;
    running(&node).await;
    for (refusal, kind, code) in [
        (
            Error::unsupported("no-signals", "sends none"),
            ErrorKind::Unsupported,
            "no-signals",
        ),
        (
            Error::not_found("gone", "gone"),
            ErrorKind::Conflict,
            "not-running",
        ),
    ] {
        node.world.meters.refuse(Some(refusal));
        let error = send(&node, "k", "USR1").await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code));
    }
    node.world.meters.refuse(None);
    send(&node, "k", "USR1").await.unwrap();
    assert_eq!(sent(&node), list(&[("k", "USR1")]));
    node.stop().await;
}
