use serde_json::{Value, json};

use super::{Answer, NDJSON, SSE, Server};
use crate::{EventQuery, Followed, LogQuery, LogStream};

fn event(seq: u64) -> String {
    let event = json!({"seq": seq, "at_ms": 1, "type": "t", "subject": "s", "message": "m"});
    format!("id: {seq}\ndata: {event}\n\n")
}

fn line(number: u64) -> String {
    let line = json!({"time": "2026-01-01T00:00:00Z", "stream": "stdout", "text": format!("line {number}"),
        "complete": true, "cursor": format!("c{number}")});
    format!("{line}\n")
}

#[tokio::test]
async fn events_go_on_after_the_last_one_however_the_stream_ends() {
    let server = Server::scripted([
        Answer::Cut(
            SSE,
            format!(": hello\n\n{}{}id: 3\ndata: {{\"half", event(1), event(2)),
        ),
        Answer::Lost,
        Answer::Stream(SSE, format!("{}{}", event(2), event(3))),
        Answer::Json(503, json!({"code": "starting", "detail": "starting"})),
        Answer::Open(SSE, event(4)),
    ])
    .await;
    let mut follow = server.client().follow_events(EventQuery {
        after: Some(0),
        ..EventQuery::default()
    });
    let mut seen = Vec::new();
    while seen.len() < 7 {
        seen.push(match follow.next().await.unwrap() {
            Followed::Connected => 0,
            Followed::Event(event) => event.seq,
        });
    }
    assert_eq!(seen, [0, 1, 2, 0, 3, 0, 4]);
    let ids: Vec<_> = server
        .asked()
        .into_iter()
        .map(|one| one.last_event_id)
        .collect();
    let id = |text: &str| Some(text.to_owned());
    assert_eq!(ids, [None, id("2"), id("2"), id("3"), id("3")]);
    assert_eq!(server.asked()[0].line, "GET /api/v1/events?after=0");
}

#[tokio::test]
async fn a_refused_stream_is_an_error_at_once() {
    let server = Server::scripted([Answer::Json(
        401,
        json!({"code": "no-token", "detail": "no"}),
    )])
    .await;
    let error = server
        .client()
        .follow_events(EventQuery::default())
        .next()
        .await
        .unwrap_err();
    assert!(error.is_unauthenticated());
}

#[tokio::test]
async fn patience_ends() {
    let server = Server::scripted([Answer::Cut(SSE, event(1))]).await;
    let mut options = crate::ClientOptions::new(&server.url);
    options.patience = std::time::Duration::ZERO;
    let mut follow = crate::Client::new(options)
        .unwrap()
        .follow_events(EventQuery::default());
    assert_eq!(follow.next().await.unwrap(), Followed::Connected);
    assert!(matches!(follow.next().await.unwrap(), Followed::Event(_)));
    follow.next().await.unwrap_err();
}

async fn read_log(server: &Server, query: LogQuery) -> Result<Vec<String>, crate::ClientError> {
    let (mut log, mut lines) = (server.client().logs("web", query), Vec::new());
    while let Some(line) = log.next().await? {
        lines.push(String::from_utf8(line.bytes()).unwrap());
    }
    Ok(lines)
}

#[tokio::test]
async fn a_log_goes_on_by_cursor_without_loss_or_repeat() {
    let away = json!({"error": {"kind": "unavailable", "code": "node-away", "message": "away"}});
    let server = Server::scripted([
        Answer::Cut(NDJSON, format!("{}{}{{\"half", line(1), line(2))),
        Answer::Lost,
        Answer::Stream(NDJSON, format!("{}{away}\n", line(3))),
        Answer::Stream(NDJSON, line(4)),
    ])
    .await;
    let query = LogQuery {
        follow: true,
        tail: Some(9),
        since_ms: Some(5),
    };
    assert_eq!(
        read_log(&server, query).await.unwrap(),
        ["line 1", "line 2", "line 3", "line 4"]
    );
    let asked: Vec<_> = server.asked().into_iter().map(|one| one.line).collect();
    assert_eq!(
        asked,
        [
            "GET /api/v1/workloads/web/logs?follow=true&since_ms=5&tail=9",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c2",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c2",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c3",
        ]
    );
}

#[tokio::test]
async fn a_log_that_broke_before_its_first_line_is_asked_for_as_at_first() {
    let server = Server::scripted([
        Answer::Cut(NDJSON, "\n".to_owned()),
        Answer::Stream(NDJSON, line(1)),
    ])
    .await;
    let query = LogQuery {
        tail: Some(1),
        ..LogQuery::default()
    };
    assert_eq!(read_log(&server, query).await.unwrap(), ["line 1"]);
    assert_eq!(server.asked()[0].line, server.asked()[1].line);
}

#[tokio::test]
async fn an_error_that_will_not_pass_ends_the_log() {
    let gone = json!({"error": {"kind": "not-found", "code": "log-gone", "message": "gone"}});
    let server = Server::scripted([Answer::Stream(NDJSON, format!("{}{gone}\n", line(1)))]).await;
    let error = read_log(&server, LogQuery::default()).await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn bytes_that_are_no_text_survive() {
    let binary: Value =
        json!({"stream": "stderr", "base64": "AP8K", "complete": false, "cursor": "c"});
    let server = Server::scripted([Answer::Stream(NDJSON, format!("{binary}\n"))]).await;
    let entry = server
        .client()
        .logs("web", LogQuery::default())
        .next()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (entry.bytes(), entry.stream, entry.complete),
        (vec![0, 255, 10], LogStream::Stderr, false)
    );
}
