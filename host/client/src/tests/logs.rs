use bytes::Bytes;
use fleet_model::Error;
use fleet_protocol::log::{LogLine, encode, encode_error};
use serde_json::json;

use super::{Answer, Server};
use crate::{ClientError, LogEntry, LogQuery, LogStream};

/// A frame as it travels: its length, then itself.
fn framed(frame: &[u8]) -> Vec<u8> {
    let mut bytes = u32::try_from(frame.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(frame);
    bytes
}

fn line(number: u64) -> Vec<u8> {
    framed(&encode(&LogLine {
        stream: LogStream::Stdout,
        time_us: 1_767_225_600_000_000,
        bytes: Bytes::from(format!("line {number}")),
        complete: true,
        cursor: format!("c{number}"),
    }))
}

fn error(error: &Error) -> Vec<u8> {
    framed(&encode_error(error))
}

async fn read_log(server: &Server, query: LogQuery) -> Result<Vec<String>, ClientError> {
    let (mut log, mut lines) = (server.client().logs("web", query), Vec::new());
    let text = |entry: LogEntry| String::from_utf8(entry.bytes.to_vec()).unwrap();
    while let Some(line) = log.next().await? {
        lines.push(text(line));
        while let Some(line) = log.ready() {
            lines.push(text(line));
        }
    }
    Ok(lines)
}

fn asked(server: &Server) -> Vec<String> {
    server.asked().into_iter().map(|one| one.line).collect()
}

#[tokio::test]
async fn a_log_goes_on_by_cursor_without_loss_or_repeat() {
    let away = Error::unavailable("node-away", "away");
    let cut = [line(1), line(2), line(3)[..9].to_vec()].concat();
    let server = Server::scripted([
        Answer::CutBytes(cut.clone()),
        Answer::Lost,
        // An end within a line is none, also where the connection ended well.
        Answer::Bytes([line(3), line(4)[..9].to_vec()].concat()),
        Answer::Bytes([line(4), error(&away)].concat()),
        Answer::Bytes(line(5)),
    ])
    .await;
    let query = LogQuery {
        follow: true,
        tail: Some(9),
        since_ms: Some(5),
        cursor: None,
    };
    assert_eq!(
        read_log(&server, query).await.unwrap(),
        ["line 1", "line 2", "line 3", "line 4", "line 5"]
    );
    assert_eq!(
        asked(&server),
        [
            "GET /api/v1/workloads/web/logs?follow=true&since_ms=5&tail=9",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c2",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c2",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c3",
            "GET /api/v1/workloads/web/logs?follow=true&cursor=c4",
        ]
    );
}

#[tokio::test]
async fn a_log_that_broke_before_its_first_line_is_asked_for_as_at_first() {
    let server = Server::scripted([Answer::CutBytes(vec![0]), Answer::Bytes(line(1))]).await;
    let query = LogQuery {
        tail: Some(1),
        ..LogQuery::default()
    };
    assert_eq!(read_log(&server, query).await.unwrap(), ["line 1"]);
    assert_eq!(server.asked()[0].line, server.asked()[1].line);
}

#[tokio::test]
async fn an_error_that_will_not_pass_ends_the_log() {
    let gone = Error::not_found("log-gone", "gone");
    let server = Server::scripted([Answer::Bytes([line(1), error(&gone)].concat())]).await;
    let failure = read_log(&server, LogQuery::default()).await.unwrap_err();
    assert!(failure.is_not_found());
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn a_cursor_of_an_earlier_read_is_where_it_goes_on_and_where_a_later_one_may() {
    let server = Server::scripted([Answer::Bytes(Vec::new()), Answer::Bytes(line(8))]).await;
    let query = LogQuery {
        cursor: Some("c7".to_owned()),
        ..LogQuery::default()
    };
    let mut log = server.client().logs("web", query.clone());
    assert!(log.next().await.unwrap().is_none());
    assert_eq!(log.cursor(), Some("c7"), "nothing new");
    let mut log = server.client().logs("web", query);
    assert!(log.next().await.unwrap().is_some());
    assert_eq!(log.cursor(), Some("c8"));
    assert_eq!(
        asked(&server),
        ["GET /api/v1/workloads/web/logs?cursor=c7"; 2]
    );
}

#[tokio::test]
async fn bytes_that_are_no_text_survive_and_read_as_the_api_writes_them() {
    let binary = LogLine {
        stream: LogStream::Stderr,
        time_us: 0,
        bytes: Bytes::from_static(b"\0\xff\n"),
        complete: false,
        cursor: "c".into(),
    };
    let server =
        Server::scripted([Answer::Bytes([framed(&encode(&binary)), line(1)].concat())]).await;
    let mut log = server.client().logs("web", LogQuery::default());
    let entry = log.next().await.unwrap().unwrap();
    assert_eq!(
        (
            &entry.bytes[..],
            entry.stream,
            entry.complete,
            entry.time_us
        ),
        (&b"\0\xff\n"[..], LogStream::Stderr, false, None)
    );
    assert_eq!(
        serde_json::to_value(&entry).unwrap(),
        json!({"stream": "stderr", "base64": "AP8K", "complete": false, "cursor": "c"})
    );
    let entry = log.next().await.unwrap().unwrap();
    assert_eq!(
        serde_json::to_value(&entry).unwrap(),
        json!({"time": "2026-01-01T00:00:00Z", "stream": "stdout", "text": "line 1", "complete": true, "cursor": "c1"})
    );
}
