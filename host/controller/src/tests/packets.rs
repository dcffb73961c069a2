//! Packets from a node: kept once each, in order, with what is missing said.

use fleet_model::StoreId;
use fleet_model::item::{Item, ItemKey};
use fleet_protocol::message::SpooledPacket;
use fleet_protocol::{ControllerMessage, NodeMessage};
use fleet_store::sim::Fault;
use serde_json::{Value, json};

use super::scripted::{Scripted, hello};
use super::support::{Bench, within};

fn spool(n: u128) -> StoreId {
    StoreId::new(1, n)
}

fn packets(numbers: impl IntoIterator<Item = u64>) -> Vec<SpooledPacket> {
    let packet = |seq| SpooledPacket {
        seq,
        at_ms: 5,
        json: format!("{{\"n\":{seq}}}"),
    };
    numbers.into_iter().map(packet).collect()
}

impl Scripted {
    /// Sends packets, and answers what is acknowledged.
    async fn emit(
        &mut self,
        item: &ItemKey,
        from: StoreId,
        numbers: impl IntoIterator<Item = u64>,
    ) -> u64 {
        self.say(NodeMessage::Packets {
            item: item.clone(),
            spool: from,
            packets: packets(numbers),
        })
        .await;
        loop {
            match self.hear().await {
                ControllerMessage::PacketsAck {
                    item: of,
                    spool,
                    seq,
                } => {
                    assert_eq!((&of, spool), (item, from));
                    return seq;
                }
                ControllerMessage::Delta { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn node_with_workload(bench: &Bench) -> (Scripted, Item) {
    let mut node = bench.node().await;
    bench.create("web").await;
    let (.., items) = node.delta().await;
    let item = items.into_iter().next().unwrap();
    (node, item)
}

async fn seen(bench: &Bench, query: &str) -> Value {
    bench
        .get(&format!("/api/v1/workloads/web/packets{query}"))
        .await
        .json()
}

#[tokio::test]
async fn each_packet_is_kept_once_whatever_is_sent_again() {
    let bench = Bench::new().await;
    let (mut node, item) = node_with_workload(&bench).await;
    assert_eq!(
        seen(&bench, "").await,
        json!({"items": [], "next": null, "head": 0})
    );
    assert_eq!(node.emit(&item.id, spool(1), 1..=3).await, 3);
    assert_eq!(node.emit(&item.id, spool(1), 1..=5).await, 5);
    assert_eq!(node.emit(&item.id, spool(1), [2]).await, 5);
    let page = seen(&bench, "?limit=2").await;
    assert_eq!(
        page["items"],
        json!([
            {"seq": 1, "at_ms": 5, "packet": {"n": 1}},
            {"seq": 2, "at_ms": 5, "packet": {"n": 2}}
        ])
    );
    assert_eq!((&page["next"], &page["head"]), (&json!("2"), &json!(5)));
    let rest = seen(&bench, "?after=2").await;
    let numbers: Vec<u64> = rest["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| item["seq"].as_u64().unwrap())
        .collect();
    assert_eq!((numbers, &rest["next"]), (vec![3, 4, 5], &Value::Null));
}

#[tokio::test]
async fn what_its_node_gave_up_is_one_gap_and_a_new_spool_goes_on() {
    let bench = Bench::new().await;
    let (mut node, item) = node_with_workload(&bench).await;
    assert_eq!(node.emit(&item.id, spool(1), [1, 5]).await, 5);
    assert_eq!(node.emit(&item.id, spool(2), [1, 2]).await, 2);
    let page = seen(&bench, "?after=1").await;
    assert_eq!(
        page["items"],
        json!([
            {"seq": 4, "at_ms": 5, "gap": {"from": 2, "to": 4, "count": 3}},
            {"seq": 5, "at_ms": 5, "packet": {"n": 5}},
            {"seq": 6, "at_ms": 5, "packet": {"n": 1}},
            {"seq": 7, "at_ms": 5, "packet": {"n": 2}}
        ])
    );
}

#[tokio::test]
async fn packets_of_an_item_nobody_knows_stay_at_their_node_and_those_of_a_removed_one_go() {
    let bench = Bench::new().await;
    let (mut node, item) = node_with_workload(&bench).await;
    let stranger = ItemKey {
        key: fleet_model::WorkloadId::new(9, 9).to_string(),
        ..item.id.clone()
    };
    assert_eq!(node.emit(&stranger, spool(1), [1]).await, 0);
    assert_eq!(node.emit(&item.id, spool(1), 1..=3).await, 3);
    bench
        .ask("DELETE", "/api/v1/workloads/web", Value::Null)
        .await;
    let (.., tombstones) = node.delta().await;
    node.removed(&tombstones[0]).await;
    bench.events("workload.removed", 1).await;
    let workload = item.id.key.parse().unwrap();
    let left = bench
        .store
        .read_stream::<crate::state::PacketEntry>(&workload, 0, 10, 1 << 20)
        .await
        .unwrap();
    assert!(left.is_empty());
    bench
        .get("/api/v1/workloads/web/packets")
        .await
        .problem(404, "workload-not-found");
}

#[tokio::test]
async fn a_crash_on_either_side_of_the_commit_keeps_each_packet_once() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        let bench = Bench::new().await;
        let (mut node, item) = node_with_workload(&bench).await;
        assert_eq!(node.emit(&item.id, spool(1), [1]).await, 1);
        bench.disk.inject(1, fault);
        node.say(NodeMessage::Packets {
            item: item.id.clone(),
            spool: spool(1),
            packets: packets(2..=3),
        })
        .await;
        within(bench.store.failed()).await;
        assert_eq!(
            bench.disk.counters().crashes_in_commit,
            1,
            "the fault fired"
        );

        let again = Bench::on(bench.disk.clone()).await;
        let mut hello = hello();
        hello.session = node.hello.session;
        let mut node = Scripted::dial(&again, hello).await;
        node.join().await;
        assert_eq!(node.emit(&item.id, spool(1), 1..=4).await, 4);
        let numbers: Vec<u64> = seen(&again, "").await["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["packet"]["n"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, [1, 2, 3, 4], "{fault:?}");
    }
}
