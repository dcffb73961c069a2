//! The client against a server that loses answers, breaks streams and restarts.

mod attach;
mod commands;
mod files;
mod follow;
mod logs;
mod packets;
mod ports;
mod requests;
mod secrets;
mod stats;
mod swap;
mod wait;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::Response;
use fleet_model::workload::Workload;
use futures::stream;
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Client, ClientOptions};

/// What was asked, in order.
#[derive(Debug, Clone)]
struct Asked {
    line: String,
    key: Option<String>,
    last_event_id: Option<String>,
    authorization: Option<String>,
    content_type: Option<String>,
    body: String,
}

/// How the server deals with one request.
enum Answer {
    /// JSON with a status.
    Json(u16, serde_json::Value),
    /// The connection is closed without an answer.
    Lost,
    /// A stream of this media type that ends well.
    Stream(&'static str, String),
    /// A stream of this media type that breaks off after the text.
    Cut(&'static str, String),
    /// A stream of this media type that stays open after the text.
    Open(&'static str, String),
    /// A stream of bytes that ends well.
    Bytes(Vec<u8>),
    /// A stream of bytes that breaks off.
    CutBytes(Vec<u8>),
}

const SSE: &str = "text/event-stream";
const NDJSON: &str = "application/x-ndjson";
const BYTES: &str = "application/octet-stream";

/// A server that answers from a script per kind of request, and remembers what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// `answer` sees the request and how many came before it.
    async fn start(answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self::at(listener, answer)
    }

    /// The same, where somebody listens already.
    fn at(
        listener: TcpListener,
        answer: impl Fn(&Asked, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (answer, seen) = (Arc::new(answer), asked.clone());
        let app = Router::new().fallback(move |request: Request| {
            let (answer, seen) = (answer.clone(), seen.clone());
            async move {
                let request = read(request).await;
                let count = {
                    let mut seen = seen.lock().unwrap();
                    seen.push(request.clone());
                    seen.len() - 1
                };
                respond(answer(&request, count))
            }
        });
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { url, asked }
    }

    /// Answers in this order, then with an error.
    async fn scripted(answers: impl IntoIterator<Item = Answer>) -> Self {
        let script = Mutex::new(answers.into_iter().collect::<VecDeque<_>>());
        let end = || Answer::Json(500, json!({"detail": "the script is over", "code": "over"}));
        Self::start(move |_, _| script.lock().unwrap().pop_front().unwrap_or_else(end)).await
    }

    fn client(&self) -> Client {
        let mut options = ClientOptions::new(&self.url);
        options.token = Some("secret".to_owned());
        Client::new(options).unwrap()
    }

    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn read(request: Request) -> Asked {
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap().to_owned())
    };
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    Asked {
        line: format!("{} {}", parts.method, parts.uri),
        key: header("idempotency-key"),
        last_event_id: header("last-event-id"),
        authorization: header("authorization"),
        content_type: header("content-type"),
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

fn respond(answer: Answer) -> Response<Body> {
    let stream = |kind: &str, body: Body| {
        Response::builder()
            .header("content-type", kind)
            .body(body)
            .unwrap()
    };
    match answer {
        Answer::Json(status, value) => Response::builder()
            .status(status)
            .header("content-type", "application/json")
            .body(Body::from(value.to_string()))
            .unwrap(),
        // The connection's task dies with its handler, and the connection with it.
        Answer::Lost => std::panic::panic_any("lost on purpose"),
        Answer::Stream(kind, text) => {
            let chunks = [Ok::<_, std::io::Error>(Bytes::from(text))];
            stream(kind, Body::from_stream(stream::iter(chunks)))
        }
        Answer::Cut(kind, text) => stream(kind, cut(text.into())),
        Answer::Bytes(bytes) => stream(BYTES, Body::from(bytes)),
        Answer::CutBytes(bytes) => stream(BYTES, cut(bytes.into())),
        Answer::Open(kind, text) => {
            use futures::StreamExt as _;
            let first = stream::iter([Ok::<_, std::io::Error>(Bytes::from(text))]);
            stream(kind, Body::from_stream(first.chain(stream::pending())))
        }
    }
}

fn cut(bytes: Bytes) -> Body {
    use futures::StreamExt as _;
    // The bytes first, alone; the break after they have gone out.
    let first = stream::iter([Ok(bytes)]);
    let broken = stream::once(async {
        tokio::task::yield_now().await;
        Err(std::io::Error::other("cut"))
    });
    Body::from_stream(first.chain(broken))
}

/// A workload as the API shows it.
fn workload(state: &str, generation: u64, observed: Option<u64>) -> serde_json::Value {
    let value = json!({
        "id": ID, "name": "web", "backend": "native", "node": "local",
        "node_id": "nd_01aryz6s41tsv4rrffq69g5fav", "state": state, "desired": "running",
        "exit_code": null, "generation": generation, "observed_generation": observed, "attempt": 1,
        "ports": {}, "labels": {}, "attributes": {}, "message": null, "error": null,
        "created_at_ms": 1, "started_at_ms": null, "finished_at_ms": null, "removing": false,
        "spec": {"backend": "native", "command": ["true"]},
    });
    serde_json::from_value::<Workload>(value.clone()).unwrap();
    value
}

const ID: &str = "wl_01aryz6s41tsv4rrffq69g5fav";
