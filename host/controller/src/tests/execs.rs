//! Programs beside a workload, from a client's request and WebSocket to the node's stream and back.

use bytes::Bytes;
use fleet_model::Error;
use fleet_model::exec::{Exec, ExecId, ExecState};
use fleet_protocol::bulk::{Acceptor, BulkStream, ExecCall, Request};
use fleet_protocol::exec::{Attached, Inward, Outward, key};
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::scripted::Scripted;
use super::support::{Bench, TOKEN, until, within};

const PATH: &str = "/api/v1/workloads/web/execs";

/// A controller with a running workload `web` behind a real listener, and its node's streams.
struct Served {
    bench: Bench,
    node: Scripted,
    workload: Value,
    address: String,
    /// What the node was asked, and the stream it was asked on; attachments are left to the test.
    asked: mpsc::UnboundedReceiver<(ExecCall, Option<BulkStream>)>,
}

impl Served {
    /// The node answers like this; none agrees to all.
    async fn start(refusal: Option<Error>) -> Self {
        let bench = Bench::new().await;
        let mut node = bench.node().await;
        let workload = bench.create("web").await;
        let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
        tokio::spawn(drive);
        let (tell, asked) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Some(mut pending) = acceptor.accept().await {
                let Request::Exec { call, .. } = pending.request().await.unwrap() else {
                    panic!("another request")
                };
                if let Some(error) = refusal.clone() {
                    pending.refuse(error).await.unwrap();
                    tell.send((call, None)).unwrap();
                    continue;
                }
                let mut stream = pending.accept().await.unwrap();
                let left = match &call {
                    ExecCall::Attach { .. } => Some(stream),
                    ExecCall::Start { key, spec } => {
                        let exec = exec(key, &spec.command);
                        stream.send_json(&exec).await.unwrap();
                        stream.finish().await.unwrap();
                        None
                    }
                    ExecCall::Show { .. } => {
                        stream.send_json(&exec("k", &["ls".into()])).await.unwrap();
                        stream.finish().await.unwrap();
                        None
                    }
                    ExecCall::List => {
                        stream
                            .send_json(&[exec("k", &["ls".into()])])
                            .await
                            .unwrap();
                        stream.finish().await.unwrap();
                        None
                    }
                    ExecCall::Signal { .. } | ExecCall::Remove { .. } => {
                        stream.finish().await.unwrap();
                        None
                    }
                };
                tell.send((call, left)).unwrap();
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let router = bench.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            bench,
            node,
            workload,
            address,
            asked,
        }
    }

    fn id(&self) -> ExecId {
        ExecId {
            workload: self.workload["id"].as_str().unwrap().parse().unwrap(),
            key: key("k"),
        }
    }

    async fn attach(&mut self, query: &str) -> (WebSocketStream<TcpStream>, BulkStream) {
        let path = format!("/api/v1/execs/{}/attach{query}", self.id());
        let socket = self.websocket(&path).await.unwrap();
        let (call, stream) = within(self.asked.recv()).await.unwrap();
        assert!(matches!(call, ExecCall::Attach { .. }), "{call:?}");
        (socket, stream.unwrap())
    }

    async fn websocket(&self, path: &str) -> Result<WebSocketStream<TcpStream>, WsError> {
        let mut request = format!("ws://fleet{path}").into_client_request().unwrap();
        let token = format!("Bearer {TOKEN}").parse().unwrap();
        request.headers_mut().insert("authorization", token);
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let opened = within(tokio_tungstenite::client_async(request, stream)).await;
        opened.map(|(socket, _)| socket)
    }
}

fn exec(call: &str, command: &[String]) -> Exec {
    Exec {
        id: ExecId {
            workload: fleet_model::WorkloadId::new(1, 1),
            key: key(call),
        },
        command: command.to_vec(),
        terminal: false,
        started_at_ms: 5,
        state: ExecState::Running,
    }
}

async fn hear(socket: &mut WebSocketStream<TcpStream>) -> Option<Outward> {
    loop {
        match within(socket.next()).await {
            Some(Ok(Message::Binary(frame))) => return Some(Outward::decode(frame).unwrap()),
            // What comes after a close is the end; asking for it answers the close.
            Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Close(_))) => {}
            Some(Err(_)) | None => return None,
            Some(Ok(other)) => panic!("{other:?}"),
        }
    }
}

async fn failed(socket: &mut WebSocketStream<TcpStream>) -> Error {
    match hear(socket).await {
        Some(Outward::Failed(error)) => {
            assert_eq!(hear(socket).await, None, "it is the last frame");
            error
        }
        other => panic!("{other:?}"),
    }
}

fn refusal(error: &WsError) -> (u16, Value) {
    let WsError::Http(response) = error else {
        panic!("{error}")
    };
    let body = response.body().as_deref().unwrap();
    let body = serde_json::from_slice(body).unwrap();
    (response.status().as_u16(), body)
}

#[tokio::test]
async fn requests_reach_the_node_under_the_clients_key() {
    let mut served = Served::start(None).await;
    let body = json!({"command": ["ls"], "env": {"A": "b"}, "input": "stream"});
    let bench = &served.bench;
    let keyed = bench
        .ask_with("POST", PATH, body.clone(), &[("idempotency-key", "k")])
        .await;
    assert_eq!(keyed.status, 201, "{keyed:?}");
    assert_eq!(
        (&keyed.json()["state"], &keyed.json()["command"]),
        (&json!("running"), &json!(["ls"]))
    );
    let (call, _) = within(served.asked.recv()).await.unwrap();
    let spec = serde_json::from_value(body.clone()).unwrap();
    let key = "k".to_owned();
    assert_eq!(call, ExecCall::Start { key, spec });
    bench.ask("POST", PATH, body).await;
    let (call, _) = within(served.asked.recv()).await.unwrap();
    assert!(matches!(call, ExecCall::Start { key, .. } if key.len() == 32));

    let exec = served.id();
    let page = bench.get(PATH).await.json();
    assert_eq!(
        (page["items"].as_array().unwrap().len(), &page["next"]),
        (1, &Value::Null)
    );
    let (call, _) = within(served.asked.recv()).await.unwrap();
    assert_eq!(call, ExecCall::List);
    let path = format!("/api/v1/execs/{exec}");
    assert_eq!(bench.get(&path).await.json()["state"], "running");
    let (call, _) = within(served.asked.recv()).await.unwrap();
    assert_eq!(call, ExecCall::Show { exec });
    let sent = bench
        .ask_with(
            "POST",
            &format!("{path}/signals"),
            json!({"signal": "sigint"}),
            &[("idempotency-key", "s")],
        )
        .await;
    assert_eq!(
        (sent.status.as_u16(), sent.json()),
        (200, json!({"key": "s"}))
    );
    let (call, _) = within(served.asked.recv()).await.unwrap();
    let signal = ExecCall::Signal {
        exec,
        key: "s".into(),
        signal: "INT".into(),
    };
    assert_eq!(call, signal);
    let removed = bench.ask("DELETE", &path, Value::Null).await;
    assert_eq!(
        (removed.status.as_u16(), removed.json()),
        (200, json!({"id": exec}))
    );
    let (call, _) = within(served.asked.recv()).await.unwrap();
    assert_eq!(call, ExecCall::Remove { exec });
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let missing = Error::invalid("program-missing", "there is no program `nope`");
    let mut served = Served::start(Some(missing)).await;
    let bench = &served.bench;
    for (body, status, code) in [
        (json!({"command": []}), 422, "command-empty"),
        (json!({"cmd": ["a"]}), 422, "invalid-body"),
        (json!({"command": ["nope"]}), 422, "program-missing"),
    ] {
        bench.ask("POST", PATH, body).await.problem(status, code);
    }
    let other = "/api/v1/workloads/other/execs";
    let body = json!({"command": ["ls"]});
    bench
        .ask("POST", other, body.clone())
        .await
        .problem(404, "workload-not-found");
    for path in ["/api/v1/execs/nonsense", "/api/v1/execs/ex_1_2"] {
        bench.get(path).await.problem(404, "no-such-exec");
    }
    let elsewhere = ExecId {
        workload: fleet_model::WorkloadId::new(9, 9),
        key: 1,
    };
    let path = format!("/api/v1/execs/{elsewhere}");
    bench.get(&path).await.problem(404, "no-such-exec");
    let path = format!("/api/v1/execs/{}", served.id());
    let signals = format!("{path}/signals");
    bench
        .ask("POST", &signals, json!({"signal": "NOPE"}))
        .await
        .problem(422, "unknown-signal");
    let attach = format!("{path}/attach");
    let plain = bench.get(&attach).await.problem(400, "no-websocket");
    assert!(plain["detail"].as_str().unwrap().contains("attach"));
    // What the node refuses is refused before there is a WebSocket.
    let refused = served.websocket(&attach).await.unwrap_err();
    let (status, problem) = refusal(&refused);
    assert_eq!((status, &problem["code"]), (422, &json!("program-missing")));
    let unread = served.websocket(&format!("{attach}?after=x")).await;
    assert_eq!(refusal(&unread.unwrap_err()).1["code"], "invalid-parameter");

    served.asked.close();
    drop(served.node);
    served.bench.events("node.disconnected", 1).await;
    let answer = served.bench.ask("POST", PATH, body).await;
    answer.problem(503, "node-away");
}

#[tokio::test]
async fn frames_pass_both_ways_as_they_are_and_the_end_closes() {
    let mut served = Served::start(None).await;
    let (mut socket, mut node) = served.attach("?after=7").await;
    assert_eq!(served.bench.controller.inner.streams.open(), 1);
    let attached = Outward::Attached(Attached {
        after: 7,
        taken: 0,
        terminal: false,
    });
    node.send(attached.encode()).await.unwrap();
    assert_eq!(hear(&mut socket).await, Some(attached));
    let much = Bytes::from(vec![7; 64 * 1024]);
    for n in 1..=64 {
        let out = Outward::Stdout(7 + n * much.len() as u64, much.clone());
        let put = async { node.send(out.encode()).await.unwrap() };
        let (_, heard) = tokio::join!(put, hear(&mut socket));
        assert_eq!(heard, Some(out));
    }
    for said in [Inward::Input(0, much), Inward::InputEnd, Inward::Seen(9)] {
        let message = Message::Binary(said.encode());
        socket.send(message).await.unwrap();
        let heard = within(node.receive()).await.unwrap().unwrap();
        assert_eq!(Inward::decode(heard).unwrap(), said);
    }
    let ended = json!({"state": "exited", "code": 3});
    let ended = Outward::Ended(serde_json::from_value(ended).unwrap());
    node.send(ended.encode()).await.unwrap();
    assert_eq!(hear(&mut socket).await, Some(ended));
    // The client's last word still arrives.
    let seen = Inward::Seen(11);
    socket.send(Message::Binary(seen.encode())).await.unwrap();
    let heard = within(node.receive()).await.unwrap().unwrap();
    assert_eq!(Inward::decode(heard).unwrap(), seen);
    assert_eq!(hear(&mut socket).await, None);
    assert!(within(node.receive()).await.is_none());
    until(|| served.bench.controller.inner.streams.open() == 0).await;
}

#[tokio::test]
async fn what_is_no_frame_is_answered_and_whoever_goes_away_ends_the_nodes_stream() {
    let mut served = Served::start(None).await;
    for message in [
        Message::text("hello"),
        Message::binary(vec![99]),
        Message::binary(vec![]),
        // Only the host says this.
        Message::binary(Outward::Taken(1).encode()),
    ] {
        let (mut socket, mut node) = served.attach("").await;
        socket.send(message).await.unwrap();
        assert_eq!(failed(&mut socket).await.code, "exec-frame");
        assert!(within(node.receive()).await.is_none());
    }
    for in_order in [true, false] {
        let (mut socket, mut node) = served.attach("").await;
        if in_order {
            socket.close(None).await.unwrap();
        }
        drop(socket);
        assert!(
            within(node.receive())
                .await
                .is_none_or(|frame| frame.is_err())
        );
    }
}

#[tokio::test]
async fn a_node_that_goes_away_and_a_host_that_stops_are_told() {
    let mut served = Served::start(None).await;
    let (mut socket, node) = served.attach("").await;
    drop(node);
    assert_eq!(failed(&mut socket).await.code, "node-away");
    let (mut socket, _node) = served.attach("").await;
    // Its sessions end first, or it says that it stops: both may pass.
    served.bench.stop.cancel();
    let told = failed(&mut socket).await;
    assert_eq!(told.kind, fleet_model::ErrorKind::Unavailable, "{told:?}");
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_back_the_node_and_is_still_heard() {
    let mut served = Served::start(None).await;
    let (mut socket, node) = served.attach("").await;
    let (mut sink, mut source) = node.split();
    let much = Outward::Stdout(1, Bytes::from(vec![7; 64 * 1024])).encode();
    let fill = async {
        let mut sent = 0_u64;
        loop {
            // Far more than all buffers in between have room for.
            assert!(sent < 64 << 20, "nobody holds it back");
            let one = tokio::time::timeout(
                std::time::Duration::from_millis(500),
                sink.send(much.clone()),
            );
            match one.await {
                Ok(sent) => sent.unwrap(),
                Err(_) => return,
            }
            sent += much.len() as u64;
        }
    };
    within(fill).await;
    let signal = Inward::Signal("INT".into());
    socket.send(Message::Binary(signal.encode())).await.unwrap();
    let heard = within(source.receive()).await.unwrap().unwrap();
    assert_eq!(Inward::decode(heard).unwrap(), signal);
}
