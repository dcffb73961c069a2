//! What happened on a node is stored once, whatever breaks.

use fleet_model::StoreId;
use fleet_protocol::message::Hello;

use super::scripted::Scripted;
use super::support::{Bench, NOW_MS};

#[tokio::test]
async fn entries_sent_again_are_stored_once() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    assert_eq!(node.outbox(&[1, 2]).await, 2);
    assert_eq!(node.outbox(&[1, 2, 3]).await, 3);
    let hello = node.hello.clone();
    drop(node);

    let mut node = Scripted::dial(&bench, hello.clone()).await;
    let (session, outbox) = node.welcome().await;
    assert_eq!(outbox, 3);
    node.say(fleet_protocol::NodeMessage::Confirm { session })
        .await;
    node.full_set().await;
    // A number may be missing where the node had to drop entries.
    assert_eq!(node.outbox(&[3, 5]).await, 5);
    drop(node);

    // A new outbox counts from one.
    let anew = Hello {
        outbox: StoreId::new(NOW_MS, 99),
        session,
        ..hello
    };
    let mut node = Scripted::dial(&bench, anew).await;
    let (session, outbox) = node.welcome().await;
    assert_eq!(outbox, 0);
    node.say(fleet_protocol::NodeMessage::Confirm { session })
        .await;
    node.full_set().await;
    assert_eq!(node.outbox(&[1]).await, 1);

    let stored = bench.events("workload.exited", 5).await;
    let texts: Vec<_> = stored.iter().map(|event| event.message.as_str()).collect();
    assert_eq!(
        texts,
        ["number 1", "number 2", "number 3", "number 5", "number 1"]
    );
    assert_eq!(stored[0].details["node_at_ms"], "5");
}

#[tokio::test]
async fn what_was_acknowledged_survives_a_crash_of_the_controller() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    node.delta().await;
    assert_eq!(node.outbox(&[1, 2]).await, 2);
    let hello = node.hello.clone();
    let bench = Bench::on(bench.disk.clone()).await;
    assert_eq!(bench.get("/api/v1/workloads/web").await.status, 200);
    let mut node = Scripted::dial(&bench, hello).await;
    assert_eq!(node.welcome().await, (2, 2));
}
