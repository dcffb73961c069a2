//! Logs, from the node's stream to the client's lines.

use axum::http::Request;
use bytes::Bytes;
use fleet_model::Error;
use fleet_protocol::bulk::{self, Acceptor, LogOptions};
use fleet_protocol::log::{LogLine, LogStream, encode, encode_error};
use futures::StreamExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::scripted::Scripted;
use super::support::{Bench, TOKEN, within};

/// What the scripted node does with a request for a log.
enum Script {
    Lines(Vec<Bytes>),
    Refuse(Error),
    /// Sends without end.
    Endless,
}

/// Answers every request the same way, and answers how many senders saw their reader go.
fn answer(node: &mut Scripted, script: Script) -> tokio::task::JoinHandle<(bulk::Request, bool)> {
    let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
    tokio::spawn(drive);
    tokio::spawn(async move {
        let mut pending = acceptor.accept().await.unwrap();
        let request = pending.request().await.unwrap();
        match script {
            Script::Refuse(error) => {
                pending.refuse(error).await.unwrap();
                // The acceptor's connection lives until the session ends.
                std::mem::forget(acceptor);
                (request, false)
            }
            Script::Lines(frames) => {
                let mut stream = pending.accept().await.unwrap();
                for frame in frames {
                    stream.send(frame).await.unwrap();
                }
                stream.finish().await.unwrap();
                std::mem::forget(acceptor);
                (request, false)
            }
            Script::Endless => {
                let mut stream = pending.accept().await.unwrap();
                while stream.send(line(&[b'x'; 1024], true)).await.is_ok() {}
                (request, true)
            }
        }
    })
}

fn line(bytes: &[u8], complete: bool) -> Bytes {
    encode(&LogLine {
        stream: LogStream::Stdout,
        time_us: 1_700_000_000_000_000,
        bytes: Bytes::copy_from_slice(bytes),
        complete,
        cursor: "7".into(),
    })
}

async fn lines(bench: &Bench, query: &str) -> Vec<Value> {
    let answer = bench
        .get(&format!("/api/v1/workloads/web/logs{query}"))
        .await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["content-type"]),
        (200, &"application/x-ndjson".parse().unwrap()),
        "{answer:?}"
    );
    answer
        .text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn lines_come_whole_with_any_bytes_and_an_error_comes_last() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    let created = bench.create("web").await;
    let broken = encode_error(&Error::unavailable("log-gone", "rotated away"));
    let node = answer(
        &mut node,
        Script::Lines(vec![line(b"hello", true), line(b"\xff", false), broken]),
    );
    let lines = lines(&bench, "?tail=5&since_ms=3&cursor=6").await;
    assert_eq!(lines.len(), 3);
    assert_eq!(
        lines[0],
        json!({"time": "2023-11-14T22:13:20Z", "stream": "stdout", "text": "hello", "complete": true, "cursor": "7"})
    );
    assert_eq!(
        (&lines[1]["base64"], &lines[1]["complete"]),
        (&json!("/w=="), &json!(false))
    );
    assert_eq!(
        (&lines[2]["error"]["code"], &lines[2]["error"]["kind"]),
        (&json!("log-gone"), &json!("unavailable"))
    );
    let (
        bulk::Request::Logs {
            item,
            generation,
            options,
        },
        _,
    ) = within(node).await.unwrap()
    else {
        panic!("another request")
    };
    assert_eq!(
        (item.key.as_str(), generation.0),
        (
            created["id"].as_str().unwrap(),
            created["generation"].as_u64().unwrap()
        )
    );
    assert_eq!(
        options,
        LogOptions {
            follow: false,
            since_ms: Some(3),
            tail: Some(5),
            cursor: Some("6".into())
        }
    );
}

#[tokio::test]
async fn a_refusal_of_the_node_is_the_answer_and_without_a_node_there_is_none() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    let refused = answer(
        &mut node,
        Script::Refuse(Error::not_found("no-log", "nothing was printed")),
    );
    bench
        .get("/api/v1/workloads/web/logs")
        .await
        .problem(404, "no-log");
    within(refused).await.unwrap();
    drop(node);
    bench.events("node.disconnected", 1).await;
    let problem = bench
        .get("/api/v1/workloads/web/logs")
        .await
        .problem(503, "node-away");
    assert!(problem["retry_after_ms"].is_u64());
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_nodes_stream() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    let sender = answer(&mut node, Script::Endless);
    let request = Request::get("/api/v1/workloads/web/logs?follow=true")
        .header("authorization", format!("Bearer {TOKEN}"))
        // It counts among answers that go on whatever it is sent as.
        .header("accept", "application/octet-stream");
    let response = bench
        .router()
        .oneshot(request.body(axum::body::Body::empty()).unwrap())
        .await
        .unwrap();
    let mut body = response.into_body().into_data_stream();
    assert!(!within(body.next()).await.unwrap().unwrap().is_empty());
    let streams = &bench.controller.inner.streams;
    assert_eq!(streams.open(), 1);
    drop(body);
    assert_eq!(streams.open(), 0);
    let (_, saw_reader_go) = within(sender).await.unwrap();
    assert!(saw_reader_go);
}

#[tokio::test]
async fn a_followed_log_ends_with_an_error_when_its_session_or_the_host_ends() {
    for stops in [true, false] {
        let bench = Bench::new().await;
        let mut node = bench.node().await;
        bench.create("web").await;
        let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
        let driving = tokio::spawn(drive);
        let serve = tokio::spawn(async move {
            let mut pending = acceptor.accept().await.unwrap();
            pending.request().await.unwrap();
            let mut stream = pending.accept().await.unwrap();
            stream.send(line(b"one", true)).await.unwrap();
            stream.closed().await;
            drop(acceptor);
        });
        let request = Request::get("/api/v1/workloads/web/logs?follow")
            .header("authorization", format!("Bearer {TOKEN}"));
        let response = bench
            .router()
            .oneshot(request.body(axum::body::Body::empty()).unwrap())
            .await
            .unwrap();
        let mut body = response.into_body().into_data_stream();
        within(body.next()).await.unwrap().unwrap();
        if stops {
            bench.stop.cancel();
        } else {
            node.say(fleet_protocol::NodeMessage::Goodbye {
                reason: "enough".into(),
            })
            .await;
        }
        let last = within(body.next()).await.unwrap().unwrap();
        let last: Value = serde_json::from_slice(&last).unwrap();
        assert_eq!(last["error"]["kind"], "unavailable", "{last}");
        assert!(within(body.next()).await.is_none());
        within(serve).await.unwrap();
        driving.abort();
    }
}

#[tokio::test]
async fn whoever_prefers_bytes_gets_the_nodes_own_frames() {
    let bench = Bench::new().await;
    let mut node = bench.node().await;
    bench.create("web").await;
    let broken = encode_error(&Error::unavailable("log-gone", "rotated away"));
    let frames = vec![line(b"hello", true), line(b"\xff\0", false), broken];
    let node = answer(&mut node, Script::Lines(frames.clone()));
    let request = Request::get("/api/v1/workloads/web/logs")
        .header("authorization", format!("Bearer {TOKEN}"))
        .header(
            "accept",
            "application/x-ndjson;q=0.1, application/octet-stream",
        );
    let response = bench
        .router()
        .oneshot(request.body(axum::body::Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(
        (
            response.status().as_u16(),
            &response.headers()["content-type"]
        ),
        (200, &"application/octet-stream".parse().unwrap())
    );
    let body = axum::body::to_bytes(response.into_body(), usize::MAX);
    let body = within(body).await.unwrap();
    let want: Vec<u8> = frames
        .iter()
        .flat_map(|frame| {
            let length = u32::try_from(frame.len()).unwrap().to_be_bytes();
            [&length[..], frame].concat()
        })
        .collect();
    assert_eq!(body, want);
    within(node).await.unwrap();
}
