//! A controller behind a real listener, and a node that connects its ports to a program of the test's.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response};
use fleet_model::Error;
use fleet_protocol::bulk::{self, Acceptor};
use fleet_protocol::port::carry;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::util::MapRequestLayer;

use super::scripted::Scripted;
use super::support::{Bench, TOKEN, within};
use crate::ConnectionPlace;

/// More than any test keeps.
const CONNECTIONS: usize = 64;

/// A controller, served.
pub(super) struct Served {
    pub(super) bench: Bench,
    node: Option<Scripted>,
    connections: Arc<Semaphore>,
    address: String,
}

/// What is behind every port.
#[derive(Clone)]
pub(super) enum Behind {
    /// A program that listens here.
    Program(String),
    /// The node's refusal.
    Nobody(Error),
    /// A connection that breaks off at once.
    Broken,
}

impl Served {
    /// A controller with a running workload `web`, whose ports lead there.
    pub(super) async fn with(behind: Behind) -> Self {
        let bench = Bench::new().await;
        let mut node = bench.node().await;
        bench.create("web").await;
        let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
        tokio::spawn(drive);
        tokio::spawn(async move {
            while let Some(mut pending) = acceptor.accept().await {
                let behind = behind.clone();
                tokio::spawn(async move {
                    let request = pending.request().await.unwrap();
                    assert!(matches!(request, bulk::Request::Port { .. }), "{request:?}");
                    match behind {
                        Behind::Nobody(error) => pending.refuse(error).await.unwrap(),
                        Behind::Broken => drop(pending.accept().await.unwrap()),
                        Behind::Program(address) => {
                            let program = TcpStream::connect(address).await.unwrap();
                            let _ = carry(pending.accept().await.unwrap(), program).await;
                        }
                    }
                });
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = Arc::new(Semaphore::new(CONNECTIONS));
        let router = bench.router().layer(placed(connections.clone()));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            bench,
            node: Some(node),
            connections,
            address,
        }
    }

    /// The same, in front of a program in HTTP.
    pub(super) async fn before(program: axum::Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move { axum::serve(listener, program).await });
        Self::with(Behind::Program(address)).await
    }

    /// The node goes away.
    pub(super) async fn leave(&mut self) {
        self.node = None;
        self.bench.events("node.disconnected", 1).await;
    }

    /// A request as the admin, begun.
    pub(super) fn request(method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("host", "fleet:7300")
            .header("authorization", format!("Bearer {TOKEN}"))
    }

    /// Sends a request on a connection of its own.
    pub(super) async fn ask(&self, request: Request<Body>) -> Response<Incoming> {
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .unwrap();
        tokio::spawn(connection.with_upgrades());
        within(sender.send_request(request)).await.unwrap()
    }

    /// How many answers go on, and how many connections have kept their place.
    pub(super) fn kept(&self) -> (usize, usize) {
        let connections = CONNECTIONS - self.connections.available_permits();
        (self.bench.controller.inner.streams.open(), connections)
    }

    /// A WebSocket at this path.
    pub(super) async fn websocket(
        &self,
        path: &str,
    ) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
        let mut request = format!("ws://fleet:7300{path}")
            .into_client_request()
            .unwrap();
        let token = format!("Bearer {TOKEN}").parse().unwrap();
        request.headers_mut().insert("authorization", token);
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let opened = within(tokio_tungstenite::client_async(request, stream)).await;
        opened.map(|(socket, _)| socket)
    }
}

/// A place among these for each request, as one that serves connections gives it.
fn placed(
    connections: Arc<Semaphore>,
) -> MapRequestLayer<impl Fn(Request<Body>) -> Request<Body> + Clone> {
    MapRequestLayer::new(move |mut request: Request<Body>| {
        let permit = connections.clone().try_acquire_owned().unwrap();
        request
            .extensions_mut()
            .insert(ConnectionPlace::new(permit));
        request
    })
}

pub(super) type Socket = tokio_tungstenite::WebSocketStream<TcpStream>;

/// A body, read to its end.
pub(super) async fn text(response: Response<Incoming>) -> String {
    let body = axum::body::to_bytes(Body::new(response.into_body()), usize::MAX);
    String::from_utf8(within(body).await.unwrap().to_vec()).unwrap()
}
