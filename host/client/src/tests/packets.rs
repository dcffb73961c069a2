use std::time::Duration;

use serde_json::json;

use super::{Answer, NDJSON, Server};
use crate::{ClientError, Command, PacketEntry};

fn packet(seq: u64) -> String {
    format!(
        "{}\n",
        json!({"seq": seq, "at_ms": 1, "packet": {"n": seq}})
    )
}

fn gap(from: u64, to: u64) -> String {
    let gap =
        json!({"seq": to, "at_ms": 1, "gap": {"from": from, "to": to, "count": to - from + 1}});
    format!("{gap}\n")
}

/// What was read: a number for a packet, negative for a gap that ends there.
async fn read(
    server: &Server,
    after: u64,
    count: usize,
) -> (Vec<i64>, Result<PacketEntry, ClientError>) {
    let mut follow = server.client().follow_packets("web", after);
    let mut seen = Vec::new();
    while seen.len() < count {
        let entry = follow.next().await.unwrap();
        assert!(entry.packet.is_some() != entry.gap.is_some());
        let seq = i64::try_from(entry.seq).unwrap();
        seen.push(if entry.gap.is_some() { -seq } else { seq });
    }
    (seen, follow.next().await)
}

#[tokio::test]
async fn packets_go_on_after_the_last_one_however_the_stream_ends() {
    let away =
        json!({"error": {"kind": "unavailable", "code": "host-stopping", "message": "stopping"}});
    let gone = json!({"kind": "not-found", "code": "no-workload", "detail": "gone"});
    let server = Server::scripted([
        Answer::Cut(NDJSON, format!("{}{}{{\"half", packet(3), packet(4))),
        Answer::Lost,
        Answer::Stream(NDJSON, format!("{}{away}\n", packet(5))),
        Answer::Json(503, json!({"code": "starting", "detail": "starting"})),
        // What was given out comes again, and once more.
        Answer::Stream(NDJSON, format!("{}{}{}", packet(4), gap(6, 8), packet(9))),
        Answer::Json(404, gone),
    ])
    .await;
    let (seen, end) = read(&server, 2, 5).await;
    assert_eq!(seen, [3, 4, 5, -8, 9]);
    assert!(end.unwrap_err().is_not_found());
    let asked: Vec<_> = server.asked().into_iter().map(|one| one.line).collect();
    let line = |after: u64| format!("GET /api/v1/workloads/web/packets?follow=true&after={after}");
    assert_eq!(asked, [2, 4, 4, 5, 5, 9].map(line));
}

#[tokio::test]
async fn a_packet_is_kept_to_the_letter() {
    let long = r#"{"z":123456789012345678901234567890,"a":1.50}"#;
    let line = |seq: u64, json: &str| format!("{{\"seq\":{seq},\"at_ms\":1,\"packet\":{json}}}\n");
    let stream = [long, "null", "\"error\""];
    let text: String = (1..)
        .zip(stream)
        .map(|(seq, json)| line(seq, json))
        .collect();
    let server = Server::scripted([Answer::Open(NDJSON, text)]).await;
    let mut follow = server.client().follow_packets("web", 0);
    for json in stream {
        let entry = follow.next().await.unwrap();
        assert_eq!(entry.packet.as_ref().unwrap().get(), json);
        assert_eq!(
            serde_json::to_string(&entry).unwrap() + "\n",
            line(entry.seq, json)
        );
    }
}

#[tokio::test]
async fn an_error_that_will_not_pass_ends_it() {
    let gone = json!({"error": {"kind": "not-found", "code": "no-workload", "message": "gone"}});
    let server = Server::scripted([Answer::Stream(NDJSON, format!("{}{gone}\n", packet(1)))]).await;
    let (seen, end) = read(&server, 0, 1).await;
    assert_eq!(seen, [1]);
    assert!(end.unwrap_err().is_not_found());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_line_that_is_none_of_this_api_is_told_apart() {
    for line in ["7", "[]", "{}", "null", "{", "{\"error\":\"no object\"}"] {
        let server = Server::scripted([Answer::Open(NDJSON, format!("{line}\n"))]).await;
        let error = server.client().follow_packets("web", 0).next().await;
        let error = error.unwrap_err();
        assert!(
            matches!(error, ClientError::Foreign { .. }),
            "{line}: {error:?}"
        );
    }
}

#[tokio::test]
async fn the_newest_number_is_the_controllers() {
    let first = json!({"seq": 1, "at_ms": 1, "packet": {}});
    for (page, newest) in [
        (json!({"items": [], "next": null, "head": 0}), 0),
        (json!({"items": [first], "next": "1", "head": 41}), 41),
    ] {
        let server = Server::scripted([Answer::Json(200, page)]).await;
        assert_eq!(server.client().newest_packet("web").await.unwrap(), newest);
        assert_eq!(
            server.asked()[0].line,
            "GET /api/v1/workloads/web/packets?after=0&limit=1"
        );
    }
}

#[tokio::test]
async fn a_turn_outlives_a_restart_at_each_of_its_steps() {
    let away = || Answer::Json(503, json!({"code": "starting", "detail": "starting"}));
    let server = Server::scripted([
        Answer::Lost,
        Answer::Json(200, json!({"items": [], "next": null, "head": 7})),
        Answer::Lost,
        Answer::Json(200, json!({"key": "k"})),
        Answer::Lost,
        away(),
        Answer::Cut(NDJSON, String::new()),
        Answer::Open(NDJSON, format!("{}{}", gap(8, 9), packet(10))),
    ])
    .await;
    let patience = Duration::from_secs(30);
    let client = server.client().insisting(patience);
    let newest = client.newest_packet("web").await.unwrap();
    client
        .send(
            "web",
            &Command::Text("go\n".to_owned()),
            &"k".parse().unwrap(),
        )
        .await
        .unwrap();
    let mut follow = client.follow_packets("web", newest).patient(patience);
    let first = follow.next().await.unwrap();
    assert_eq!(first.gap.unwrap().count, 2);
    let second = follow.next().await.unwrap();
    assert_eq!(second.packet.unwrap().get(), r#"{"n":10}"#);
    assert_eq!(follow.after(), 10);
    let asked = server.asked();
    assert_eq!(asked.len(), 8, "each fault fired");
    assert_eq!(asked[2].key, asked[3].key);
    assert!(asked[7].line.ends_with("after=7"));
}

#[tokio::test]
async fn without_patience_a_first_connection_that_fails_is_told_at_once() {
    let server = Server::scripted([Answer::Lost]).await;
    let error = server
        .client()
        .follow_packets("web", 0)
        .next()
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Broken { .. }), "{error:?}");
    assert_eq!(server.asked().len(), 1);
}
