//! What is asked about plugins over a session: one key, one swap, whoever listens.

use bytes::Bytes;
use fleet_model::Error;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{Adoption, MAX_COMPONENT_BYTES, SwapReport, SwapRun, SwapWay};
use fleet_protocol::bulk::{BulkStream, Request};
use fleet_protocol::plugin::{CHUNK_BYTES, PluginCall, Reply, Tail};

use super::{Fixture, until};

fn call(key: Option<&str>) -> PluginCall {
    PluginCall::Swap {
        plugin: "double".parse().unwrap(),
        key: key.map(str::to_owned),
        run: SwapRun::Real,
        way: SwapWay::Back,
        adoption: Adoption::Strict,
    }
}

async fn open(node: &Fixture, call: PluginCall) -> Result<BulkStream, Error> {
    node.script.open(&Request::Plugins { call }).await
}

/// Sends a component in two pieces, and its manifest.
async fn send(stream: &mut BulkStream, component: &[u8], manifest: Option<&str>) {
    let (one, other) = component.split_at(component.len() / 2);
    for piece in [one, other] {
        if !piece.is_empty() {
            stream.send(Bytes::copy_from_slice(piece)).await.unwrap();
        }
    }
    stream.send(Bytes::new()).await.unwrap();
    let manifest = manifest.map(str::to_owned);
    stream.send_json(&Tail { manifest }).await.unwrap();
}

/// The last word, and the stages before it.
async fn end(mut stream: BulkStream) -> (Vec<PluginState>, Result<SwapReport, Error>) {
    let mut stages = Vec::new();
    loop {
        match stream.receive_json::<Reply>().await.unwrap().unwrap() {
            Reply::Stage { state } => stages.push(state),
            Reply::Report { report } => return (stages, Ok(*report)),
            Reply::Failed { error } => return (stages, Err(error)),
            other => panic!("{other:?}"),
        }
    }
}

async fn swap(node: &Fixture, key: Option<&str>, component: &[u8]) -> Result<SwapReport, Error> {
    let mut stream = open(node, call(key)).await?;
    send(&mut stream, component, None).await;
    end(stream).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_component_arrives_whole_with_its_manifest_and_stages_are_told() {
    let mut node = Fixture::start().await;
    let component: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
    node.world.swaps.hold();
    let mut stream = open(&node, call(None)).await.unwrap();
    send(&mut stream, &component, Some("name = \"double\"")).await;
    until("the swap to begin", || {
        (!node.world.swaps.begun().is_empty()).then_some(())
    })
    .await;
    for state in [PluginState::Compiled, PluginState::Adopted] {
        node.world.reach(Some(state));
        let told = stream.receive_json::<Reply>().await.unwrap().unwrap();
        assert_eq!(told, Reply::Stage { state });
    }
    node.world.swaps.release(1);
    let (stages, report) = end(stream).await;
    assert_eq!((stages, report.unwrap().id), (Vec::new(), 1));
    let begun = node.world.swaps.begun();
    assert!(begun[0].0 == component);
    assert_eq!(begun[0].1.as_deref(), Some("name = \"double\""));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_swap_while_it_is_under_way_and_afterwards() {
    let mut node = Fixture::start().await;
    node.world.swaps.hold();
    let first = {
        let mut stream = open(&node, call(Some("k"))).await.unwrap();
        send(&mut stream, b"new", None).await;
        stream
    };
    until("the swap to begin", || {
        (node.world.swaps.begun().len() == 1).then_some(())
    })
    .await;
    // Whoever asked first is gone, and it goes on.
    drop(first);
    let other = swap(&node, Some("k"), b"other").await.unwrap_err();
    assert_eq!(other.code, "idempotency-key-reused");
    let again = async {
        let asked = (0..3).map(|_| swap(&node, Some("k"), b"new"));
        futures::future::join_all(asked).await
    };
    let release = async {
        tokio::task::yield_now().await;
        node.world.swaps.release(1);
    };
    let (answers, ()) = tokio::join!(again, release);
    for answer in answers {
        assert_eq!(answer.unwrap().id, 1);
    }
    // Its report stands in the history, with its key.
    assert_eq!(swap(&node, Some("k"), b"new").await.unwrap().id, 1);
    let other = swap(&node, Some("k"), b"other").await.unwrap_err();
    assert_eq!(other.code, "idempotency-key-reused");
    let back = open(
        &node,
        PluginCall::Rollback {
            plugin: "double".parse().unwrap(),
            key: Some("k".to_owned()),
        },
    );
    let back = end(back.await.unwrap()).await.1.unwrap_err();
    assert_eq!(back.code, "idempotency-key-reused");
    assert_eq!(node.world.swaps.begun().len(), 1);

    node.world.swaps.release(2);
    assert_eq!(swap(&node, Some("l"), b"new").await.unwrap().id, 2);
    assert_eq!(swap(&node, None, b"new").await.unwrap().id, 3);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_leaves_the_key_free() {
    let mut node = Fixture::start().await;
    node.world
        .swaps
        .refuse(Error::conflict("already-active", "same digest"));
    let refused = swap(&node, Some("k"), b"new").await.unwrap_err();
    assert_eq!(refused.code, "already-active");
    assert_eq!(swap(&node, Some("k"), b"newer").await.unwrap().id, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_component_and_too_much_of_one_begin_nothing() {
    let mut node = Fixture::start().await;
    let mut stream = open(&node, call(None)).await.unwrap();
    stream.send(Bytes::from_static(b"half")).await.unwrap();
    drop(stream);
    let mut stream = open(&node, call(None)).await.unwrap();
    let piece = Bytes::from(vec![0; CHUNK_BYTES]);
    let mut sent = 0;
    while sent <= MAX_COMPONENT_BYTES {
        // The node may have had enough already.
        if stream.send(piece.clone()).await.is_err() {
            break;
        }
        sent += piece.len() as u64;
    }
    assert_eq!(end(stream).await.1.unwrap_err().code, "too-large");
    assert!(node.world.swaps.begun().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_components_arrive_at_once() {
    let mut node = Fixture::start().await;
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(open(&node, call(None)).await.unwrap());
    }
    let crowded = open(&node, call(None)).await.unwrap_err();
    assert_eq!(crowded.code, "too-many-uploads");
    drop(waiting.pop());
    // A place is free as soon as the node has seen that.
    let found = async {
        loop {
            match open(&node, call(None)).await {
                Ok(stream) => return stream,
                Err(error) => assert_eq!(error.code, "too-many-uploads"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    let found = tokio::time::timeout(std::time::Duration::from_secs(10), found);
    let mut stream = found.await.expect("no place becomes free");
    send(&mut stream, b"new", None).await;
    assert_eq!(end(stream).await.1.unwrap().id, 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_are_paged_and_refusals_passed_on() {
    let mut node = Fixture::start().await;
    for _ in 0..3 {
        swap(&node, None, b"new").await.unwrap();
    }
    let page = async |before, limit| {
        let call = PluginCall::History {
            plugin: "double".parse().unwrap(),
            before,
            limit,
        };
        let mut stream = open(&node, call).await.unwrap();
        match stream.receive_json::<Reply>().await.unwrap().unwrap() {
            Reply::History { reports, next } => {
                let ids: Vec<u64> = reports.iter().map(|report| report.id).collect();
                (ids, next)
            }
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(page(None, 2).await, (vec![3, 2], Some(2)));
    assert_eq!(page(Some(2), 2).await, (vec![1], None));
    let digest = "0123456789".to_owned();
    let refused = open(&node, PluginCall::Unquarantine { digest }).await;
    assert_eq!(refused.unwrap_err().code, "not-quarantined");
    node.stop().await;
}
