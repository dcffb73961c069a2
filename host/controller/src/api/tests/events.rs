//! Events: by page, and as a stream that resumes without loss and without repeat.

use std::convert::Infallible;

use axum::body::{Body, BodyDataStream};
use axum::http::Request;
use fleet_model::event::Event;
use fleet_store::Store;
use futures::StreamExt;
use serde_json::Value;
use tower::ServiceExt;

use crate::ControllerState;
use crate::journal::{Journal, plain};
use crate::tests::support::{Bench, TOKEN, within};

/// Records events about a subject.
async fn happen(
    store: &Store<ControllerState>,
    kind: &'static str,
    subject: &'static str,
    count: usize,
) {
    let journal = Journal {
        at_ms: 5,
        keep: 100_000,
    };
    let write = store.write(move |tx| {
        for _ in 0..count {
            journal.record(tx, plain(kind, subject, "m"));
        }
        Ok::<_, Infallible>(())
    });
    write.await.unwrap();
}

struct Stream {
    body: BodyDataStream,
    text: String,
}

impl Stream {
    async fn open(bench: &Bench, query: &str, headers: &[(&str, &str)]) -> Self {
        let mut request = Request::get(format!("/api/v1/events{query}"))
            .header("authorization", format!("Bearer {TOKEN}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = bench
            .router()
            .oneshot(request.body(Body::empty()).unwrap())
            .await
            .unwrap();
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body().into_data_stream(),
            text: String::new(),
        }
    }

    /// The next event, with its id.
    async fn next(&mut self) -> (u64, Event) {
        loop {
            if let Some((message, rest)) = self.text.split_once("\n\n") {
                let (message, rest) = (message.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| message.lines().find_map(|line| line.strip_prefix(name));
                if let (Some(id), Some(data)) = (field("id: "), field("data: ")) {
                    return (id.parse().unwrap(), serde_json::from_str(data).unwrap());
                }
                continue;
            }
            let chunk = within(self.body.next())
                .await
                .expect("the stream ended")
                .unwrap();
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }
}

#[tokio::test]
async fn pages_lead_to_the_newest_and_filters_pass_over_the_rest() {
    let bench = Bench::new().await;
    happen(&bench.store, "a", "one", 5).await;
    happen(&bench.store, "b", "two", 700).await;
    happen(&bench.store, "a", "two", 3).await;
    for (query, limit, want) in [
        ("", 100, 708),
        ("&type=a", 3, 8),
        ("&subject=two", 500, 703),
        ("&type=a&subject=two", 1, 3),
        ("&type=none", 10, 0),
    ] {
        let (mut seen, mut after) = (Vec::new(), 0);
        loop {
            let page = bench
                .get(&format!(
                    "/api/v1/events?limit={limit}&after={after}{query}"
                ))
                .await
                .json();
            seen.extend(
                page["items"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|event| event["seq"].as_u64().unwrap()),
            );
            match &page["next"] {
                Value::Null => break,
                next => after = next.as_str().unwrap().parse().unwrap(),
            }
        }
        assert!(
            seen.is_sorted_by(|a, b| a < b) && seen.len() == want,
            "{query}: {}",
            seen.len()
        );
    }
    let first = bench.get("/api/v1/events?limit=1").await.json();
    assert_eq!(
        (&first["items"][0]["at_ms"], &first["next"]),
        (&Value::from(5), &Value::from("1"))
    );
}

#[tokio::test]
async fn a_stream_resumes_after_what_was_received() {
    let bench = Bench::new().await;
    happen(&bench.store, "a", "s", 300).await;
    let accept = ("accept", "text/event-stream");
    let mut stream = Stream::open(&bench, "?after=0", &[accept]).await;
    for want in 1..=120 {
        assert_eq!(stream.next().await.0, want);
    }
    drop(stream);
    happen(&bench.store, "a", "s", 300).await;
    // What was received last outranks where it once began.
    let mut stream = Stream::open(&bench, "?after=0", &[accept, ("last-event-id", "120")]).await;
    for want in 121..=600 {
        let (id, event) = stream.next().await;
        assert_eq!((id, event.seq), (want, want));
    }
    happen(&bench.store, "a", "s", 1).await;
    assert_eq!(stream.next().await.0, 601);
}

#[tokio::test]
async fn a_stream_without_a_place_begins_with_what_happens_next() {
    let bench = Bench::new().await;
    happen(&bench.store, "a", "s", 5).await;
    let mut stream = Stream::open(&bench, "?follow=true&type=b", &[]).await;
    // Before the first read: nothing is missed once the answer has begun.
    happen(&bench.store, "a", "s", 2).await;
    happen(&bench.store, "b", "s", 1).await;
    assert_eq!(stream.next().await.0, 8);
}

#[tokio::test]
async fn events_written_while_a_stream_reads_come_once_and_in_order() {
    let bench = Bench::new().await;
    let mut stream = Stream::open(&bench, "?follow", &[]).await;
    let store = bench.store.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..200 {
            happen(&store, "a", "s", 3).await;
            tokio::task::yield_now().await;
        }
    });
    for want in 1..=600 {
        assert_eq!(stream.next().await.0, want);
    }
    within(writer).await.unwrap();
}

#[tokio::test]
async fn what_was_dropped_for_age_is_said_and_a_foreign_place_is_refused() {
    let bench = Bench::new().await;
    let journal = Journal {
        at_ms: 5,
        keep: 100,
    };
    let write = bench.store.write(move |tx| {
        (0..1_000).for_each(|_| journal.record(tx, plain("a", "s", "m")));
        Ok::<_, Infallible>(())
    });
    write.await.unwrap();
    let mut stream = Stream::open(&bench, "?after=10&follow", &[]).await;
    let (id, gap) = stream.next().await;
    assert_eq!(
        (
            id,
            gap.kind.as_str(),
            gap.details["from"].as_str(),
            gap.details["to"].as_str()
        ),
        (900, "events.gap", "11", "900")
    );
    assert_eq!(stream.next().await.0, 901);
    bench
        .ask_with(
            "GET",
            "/api/v1/events?follow",
            Value::Null,
            &[("last-event-id", "5000")],
        )
        .await
        .problem(422, "event-ahead");
}

#[tokio::test]
async fn streams_end_when_the_host_stops() {
    let bench = Bench::new().await;
    let mut stream = Stream::open(&bench, "?follow", &[]).await;
    bench.stop.cancel();
    within(async { while stream.body.next().await.is_some() {} }).await;
}
