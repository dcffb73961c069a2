//! Connections to ports, against a server that ends them in every way.

use std::time::Duration;

use axum::Router;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::HeaderMap;
use axum::response::IntoResponse;
use axum::routing::get;
use bytes::Bytes;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::{Answer, Server};
use crate::{Client, ClientError, ClientOptions};

const PATH: &str = "/api/v1/workloads/{name}/ports/{port}/connect";

/// A host whose port does this.
async fn host<F, Fut>(program: F) -> Client
where
    F: Fn(WebSocket) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    let app = Router::new().route(
        PATH,
        get(|headers: HeaderMap, upgrade: WebSocketUpgrade| async move {
            if headers["authorization"] != "Bearer secret" {
                return axum::http::StatusCode::UNAUTHORIZED.into_response();
            }
            upgrade.on_upgrade(program)
        }),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut options = ClientOptions::new(format!("http://{}", listener.local_addr().unwrap()));
    options.token = Some("secret".to_owned());
    tokio::spawn(async move { axum::serve(listener, app).await });
    Client::new(options).unwrap()
}

fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: reason.into(),
    }))
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .unwrap()
}

/// Sends back everything, after the client's end.
async fn echo(mut socket: WebSocket) {
    let mut all = Vec::new();
    loop {
        match socket.recv().await {
            Some(Ok(Message::Binary(bytes))) if bytes.is_empty() => break,
            Some(Ok(Message::Binary(bytes))) => all.extend_from_slice(&bytes),
            other => panic!("{other:?}"),
        }
    }
    for part in all.chunks(10_000) {
        let part = Bytes::copy_from_slice(part);
        socket.send(Message::Binary(part)).await.unwrap();
    }
    for message in [Message::Binary(Bytes::new()), close(close_code::NORMAL, "")] {
        socket.send(message).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    let client = host(echo).await;
    let connection = client.connect_port("web", "http").await.unwrap();
    let (near, mut local) = tokio::io::duplex(4096);
    let carried = tokio::spawn(connection.carry(near));
    let sent: Vec<u8> = (0..1_000_000_u32).map(|n| (n * 7 % 251) as u8).collect();
    within(local.write_all(&sent)).await.unwrap();
    local.shutdown().await.unwrap();
    let mut got = Vec::new();
    within(local.read_to_end(&mut got)).await.unwrap();
    assert!(got == sent);
    within(carried).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_program_that_takes_nothing_more_has_said_all_it_had_to_say() {
    let client = host(|mut socket: WebSocket| async move {
        socket
            .send(Message::Binary(Bytes::from_static(b"no")))
            .await
            .unwrap();
        socket.send(Message::Binary(Bytes::new())).await.unwrap();
        socket.send(close(close_code::NORMAL, "")).await.unwrap();
        while let Some(Ok(_)) = socket.recv().await {}
    })
    .await;
    let connection = client.connect_port("web", "http").await.unwrap();
    let (near, mut local) = tokio::io::duplex(64);
    let carried = tokio::spawn(connection.carry(near));
    let mut got = Vec::new();
    within(local.read_to_end(&mut got)).await.unwrap();
    assert_eq!(got, b"no");
    within(carried).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_connection_that_breaks_off_says_why() {
    for (code, reason, want) in [
        (
            close_code::ERROR,
            "the connection to the port broke off",
            "broke off",
        ),
        (close_code::AWAY, "", "the host ended it"),
        (0, "", "the host went away"),
    ] {
        let client = host(move |mut socket: WebSocket| async move {
            if code > 0 {
                socket.send(close(code, reason)).await.unwrap();
                while let Some(Ok(_)) = socket.recv().await {}
            }
        })
        .await;
        let connection = client.connect_port("web", "http").await.unwrap();
        let (near, _local) = tokio::io::duplex(64);
        let error = within(connection.carry(near)).await.unwrap_err();
        let text = error.to_string();
        assert!(text.contains(want), "{text}");
    }
}

#[tokio::test]
async fn a_refusal_is_the_apis_own_and_only_a_missing_host_or_node_is_waited_for() {
    let problem = |code: &str| json!({"code": code, "detail": "no", "kind": "unavailable"});
    let server = Server::scripted([
        Answer::Lost,
        Answer::Json(503, problem("node-away")),
        Answer::Json(503, problem("nobody-listens")),
    ])
    .await;
    let failure = server
        .client()
        .connect_port("we/b", "http")
        .await
        .unwrap_err();
    assert!(
        matches!(&failure, ClientError::Api { status: 503, error } if error.code == "nobody-listens"),
        "{failure:?}"
    );
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert_eq!(
        asked[0].line,
        "GET /api/v1/workloads/we%2Fb/ports/http/connect"
    );
    // Something that is no WebSocket.
    let server = Server::scripted([Answer::Json(200, json!({}))]).await;
    let failure = server
        .client()
        .connect_port("web", "http")
        .await
        .unwrap_err();
    assert!(
        matches!(failure, ClientError::Foreign { .. }),
        "{failure:?}"
    );
}
