//! Looks at what workloads use: by the node itself, and for whoever asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::item::ItemKey;
use fleet_model::stats::Sample;
use fleet_model::workload::{Desired, WorkloadState};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::{BulkStream, Request, UsageOf};
use fleet_seam::SimClock;

use super::meters::Meter;
use super::script::workload;
use super::{Fixture, until};

async fn running(node: &Fixture, n: u64) -> String {
    let generation = node.script.want(n, Some(Desired::Running));
    until("running", || {
        let status = node.script.status(n);
        status.filter(|(at, status)| *at == generation && status.state == WorkloadState::Running)
    })
    .await;
    workload(n).to_string()
}

async fn open(
    node: &Fixture,
    n: Option<u64>,
    history: bool,
    follow: bool,
) -> Result<BulkStream, Error> {
    let request = Request::Stats {
        item: n.map(|n| ItemKey::workload(workload(n))),
        history,
        follow,
    };
    node.script.open(&request).await
}

async fn next(stream: &mut BulkStream) -> Option<(String, Option<Sample>)> {
    let next = tokio::time::timeout(Duration::from_secs(20), stream.receive_json::<UsageOf>());
    let look = next.await.expect("a look")?.unwrap();
    Some((look.item.key, look.sample))
}

async fn all(mut stream: BulkStream) -> Vec<(String, Option<Sample>)> {
    let mut looks = Vec::new();
    while let Some(look) = next(&mut stream).await {
        looks.push(look);
    }
    looks
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_look_and_a_busy_program_takes_one_processor() {
    let mut node = Fixture::start().await;
    let id = running(&node, 1).await;
    let mut follow = open(&node, Some(1), false, true).await.unwrap();
    let mut times = Vec::new();
    let mut cpu = None;
    // One look at once, then those of the node itself.
    while times.len() < 4 || cpu.is_none() {
        let (item, sample) = next(&mut follow).await.unwrap();
        assert_eq!(item, id);
        let sample = sample.unwrap();
        assert_eq!(sample.usage.memory_bytes, Some(1 << 20));
        times.push(sample.at_ms);
        cpu = sample
            .cpu_millis
            .filter(|millis| (800..=1_200).contains(millis))
            .or(cpu);
    }
    assert!(times.is_sorted());

    // The hour is known to others too.
    let history = all(open(&node, Some(1), true, false).await.unwrap()).await;
    assert!(history.len() >= 3, "{history:?}");
    // It has ended, and then it is gone.
    node.world.exit_all(0);
    until("its end", || {
        let status = node.script.status(1);
        status.filter(|(_, status)| status.state == WorkloadState::Exited)
    })
    .await;
    let ended = all(open(&node, Some(1), false, false).await.unwrap()).await;
    assert_eq!(ended, [(id.clone(), None)]);
    let history = all(open(&node, Some(1), true, false).await.unwrap()).await;
    assert!(history.iter().all(|(_, sample)| sample.is_some()) && history.len() >= 3);
    node.script.want(1, None);
    while next(&mut follow).await.is_some() {}
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_holds_up_nobody_and_few_looks_are_under_way_at_once() {
    let mut node = Fixture::start().await;
    let mut ids = Vec::new();
    for n in 1..=40 {
        ids.push(running(&node, n).await);
    }
    for id in ids.iter().take(5) {
        node.world.meters.set(id, Meter::Hanging);
    }
    node.world.meters.set(&ids[5], Meter::Gone);
    let looks: BTreeMap<_, _> = all(open(&node, None, false, false).await.unwrap())
        .await
        .into_iter()
        .collect();
    assert_eq!(looks.len(), 40);
    for id in &ids[6..] {
        assert!(looks[id].is_some(), "{id}");
    }
    // The node goes on looking at all the others by itself.
    let before: Vec<u32> = ids.iter().map(|id| node.world.meters.looks(id)).collect();
    until("another look at each", || {
        let mut seen = ids.iter().zip(&before).skip(6);
        seen.all(|(id, before)| node.world.meters.looks(id) > before + 1)
            .then_some(())
    })
    .await;
    assert!(node.world.meters.most_at_once() <= 8);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_does_not_tell_is_asked_once() {
    let mut node = Fixture::start().await;
    let id = workload(1).to_string();
    node.world.meters.set(&id, Meter::Silent);
    running(&node, 1).await;
    for _ in 0..5 {
        let error = open(&node, Some(1), false, false).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Unsupported, "no-stats")
        );
    }
    assert_eq!(node.world.meters.looks(&id), 1);
    node.stop().await;
}

/// A node in which time passes until it is told to stand.
async fn standing() -> (Fixture, tokio::task::AbortHandle) {
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    let ticking = tokio::spawn({
        let clock = clock.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                clock.advance(Duration::from_millis(10));
            }
        }
    });
    let mut node = Fixture::timed(clock);
    node.boot().await;
    (node, ticking.abort_handle())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_takes_no_place_of_another() {
    let (mut node, ticking) = standing().await;
    // Of none of them is ever anything known, so each who asks takes a look.
    let ids: Vec<String> = (1..=13).map(|n| workload(n).to_string()).collect();
    for id in &ids {
        node.world.meters.set(id, Meter::Gone);
    }
    running(&node, 1).await;
    for n in 2..=13 {
        let generation = node.script.want_with(
            n,
            Some(Desired::Running),
            serde_json::json!({"backend": "other"}),
        );
        until("running", || {
            let status = node.script.status(n);
            status.filter(|(at, now)| *at == generation && now.state == WorkloadState::Running)
        })
        .await;
    }
    // No time passes any more, so none that hangs is given up.
    ticking.abort();
    for id in &ids[1..] {
        node.world.meters.set(id, Meter::Hanging);
    }
    let before = node.world.meters.looks(&ids[0]);
    let asked = (2..=13).map(|n| open(&node, Some(n), false, false));
    let asked = futures::future::join_all(asked);
    let looked = async {
        until("all of its places to be taken", || {
            (node.world.meters.at_once() >= 8).then_some(())
        })
        .await;
        let stream = open(&node, Some(1), false, false);
        let stream = tokio::time::timeout(Duration::from_secs(20), stream);
        all(stream.await.expect("within 20 s").unwrap()).await
    };
    tokio::select! {
        _ = asked => panic!("no time has passed"),
        looks = looked => assert_eq!(looks, [(ids[0].clone(), None)]),
    }
    assert!(node.world.meters.looks(&ids[0]) > before);
    node.crash().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_is_left_alone_and_all_who_ask_share_one_look() {
    let (mut node, ticking) = standing().await;
    let mut ids = Vec::new();
    for n in 1..=24 {
        let id = workload(n).to_string();
        node.world.meters.set(&id, Meter::Hanging);
        ids.push(running(&node, n).await);
    }
    let ask = |n: u64| {
        let node = &node;
        async move {
            let asked = open(node, Some(n), false, false);
            let asked = tokio::time::timeout(Duration::from_secs(20), asked);
            asked
                .await
                .expect("an answer within 20 s")
                .unwrap_err()
                .code
        }
    };
    let codes = futures::future::join_all((1..=24).flat_map(|n| [n; 5]).map(ask)).await;
    let is_fit = |code: &String| code == "usage-slow" || code == "usage-busy";
    assert!(codes.iter().all(is_fit), "{codes:?}");
    assert!(codes.iter().any(|code| code == "usage-slow"));
    // It was found to hang before each of them was asked about, and none was asked about twice.
    let looks: Vec<u32> = ids.iter().map(|id| node.world.meters.looks(id)).collect();
    assert!(looks.iter().all(|looks| *looks <= 1), "{looks:?}");
    let asked: u32 = looks.iter().sum();
    assert!((8..20).contains(&asked), "{looks:?}");
    ticking.abort();
    node.crash().await;
}
