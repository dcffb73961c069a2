use serde_json::{Value, json};

use super::{Answer, ID, NDJSON, Server};
use crate::StatsQuery;

fn look(at_ms: Option<u64>) -> String {
    let sample = at_ms.map(|at_ms| json!({"at_ms": at_ms, "cpu_millis": 250, "memory_bytes": 1}));
    format!("{}\n", json!({"id": ID, "name": "web", "sample": sample}))
}

async fn looks(server: &Server, query: StatsQuery) -> Vec<Option<u64>> {
    let (mut follow, mut seen) = (server.client().stats("web", query), Vec::new());
    while let Some(usage) = follow.next().await.unwrap() {
        seen.push(usage.sample.map(|sample| sample.at_ms));
    }
    seen
}

#[tokio::test]
async fn what_was_missed_while_the_connection_was_broken_comes_first_and_nothing_twice() {
    let server = Server::scripted([
        Answer::Cut(NDJSON, look(None) + &look(Some(10)) + &look(Some(20))),
        Answer::Lost,
        Answer::Stream(
            NDJSON,
            look(Some(10)) + &look(Some(20)) + &look(Some(30)) + &look(Some(5)),
        ),
    ])
    .await;
    let query = StatsQuery {
        history: false,
        follow: true,
    };
    // A clock that was set back makes a look no older.
    assert_eq!(
        looks(&server, query).await,
        [None, Some(10), Some(20), Some(30), Some(5)]
    );
    let asked: Vec<_> = server.asked().into_iter().map(|one| one.line).collect();
    assert_eq!(
        asked,
        [
            "GET /api/v1/workloads/web/stats?follow=true",
            "GET /api/v1/workloads/web/stats?history=true&follow=true",
            "GET /api/v1/workloads/web/stats?history=true&follow=true",
        ]
    );
}

#[tokio::test]
async fn signals_carry_their_key_and_all_looks_say_who_is_missing() {
    let server = Server::scripted([
        Answer::Lost,
        Answer::Json(200, json!({"signal": "HUP", "key": "k"})),
        Answer::Json(
            200,
            json!({
                "items": [{"id": ID, "name": "web", "sample": null}],
                "missing": [{"node": "attic", "detail": "it is not connected"}],
            }),
        ),
    ])
    .await;
    let client = server.client();
    let sent = client
        .signal("web", "hup", &"k".parse().unwrap())
        .await
        .unwrap();
    assert_eq!((sent.signal.as_str(), sent.key.as_str()), ("HUP", "k"));
    let asked = server.asked();
    for one in &asked {
        assert_eq!(one.line, "POST /api/v1/workloads/web/signals");
        assert_eq!(one.key.as_deref(), Some("k"));
        let body: Value = serde_json::from_str(&one.body).unwrap();
        assert_eq!(body, json!({"signal": "hup"}));
    }
    assert_eq!(asked.len(), 2, "sent again, under the same key");
    let all = client.all_stats().await.unwrap();
    assert_eq!(
        (all.items.len(), all.missing[0].node.as_str()),
        (1, "attic")
    );
}
