use serde_json::json;

use super::{Answer, SSE, Server};
use crate::{EventQuery, Followed};

fn event(seq: u64) -> String {
    let event = json!({"seq": seq, "at_ms": 1, "type": "t", "subject": "s", "message": "m"});
    format!("id: {seq}\ndata: {event}\n\n")
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
