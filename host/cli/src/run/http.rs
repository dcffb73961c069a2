//! Serves the API over HTTP/1.1, with a bound on everything a client may keep open by being slow.
//!
//! * The first byte of a connection must come soon, a request's head and each piece of its body within
//!   a time. A kept connection that asks nothing for that long is closed; clients dial again.
//! * So many connections at once, and so many beside them that have not said anything yet: whoever only
//!   connects takes no place from those who ask. More wait at the door, and that is said once in a while.
//!   An answer that goes on (events, logs, packets) keeps its connection for as long as somebody reads, and
//!   its place too when it becomes another protocol (a WebSocket); the API bounds how many of these there are.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use fleet_controller::ConnectionPlace;
use fleet_seam::Clock;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::add_extension::AddExtension;
use tower_http::timeout::RequestBodyTimeoutLayer;

/// How long a request's head, or the next piece of its body, may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long the first byte of a connection may take.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// The same while many have not said anything yet.
const FIRST_BYTE_IN_A_CROWD: Duration = Duration::from_millis(500);

/// Connections at once that have not said anything yet; half of them are a crowd.
const SILENT: usize = 256;

/// Connections at once. Each takes a file; most systems allow a process 1,024 of them.
const CONNECTIONS: usize = 512;

/// How long to wait after a connection could not be accepted: for lack of files, mostly.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stop`, then lets what is under way end.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    serve_within(listener, router, clock, stop, places).await;
}

/// Serves as many connections at once as there are places.
async fn serve_within(
    listener: TcpListener,
    router: Router,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
    places: Arc<Semaphore>,
) {
    let router = router.layer(RequestBodyTimeoutLayer::new(PATIENCE));
    let door = Arc::new(Semaphore::new(SILENT));
    let graceful = GracefulShutdown::new();
    let mut builder = Builder::new(hyper_util::rt::TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(PATIENCE);
    let mut is_said = false;
    loop {
        if places.available_permits() == 0 && !std::mem::replace(&mut is_said, true) {
            tracing::warn!(
                connections = CONNECTIONS,
                "as many connections as may are open; more wait until one is closed"
            );
        }
        let waiting = tokio::select! {
            waiting = door.clone().acquire_owned() => waiting,
            () = stop.cancelled() => break,
        };
        let Ok(waiting) = waiting else { break };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                clock.sleep(PAUSE).await;
                continue;
            }
        };
        is_said = is_said && places.available_permits() == 0;
        // Small answers should not wait for more to come.
        let _ = stream.set_nodelay(true);
        let (router, places) = (router.clone(), places.clone());
        let (builder, clock) = (builder.clone(), clock.clone());
        let watcher = graceful.watcher();
        let patience = if door.available_permits() < SILENT / 2 {
            FIRST_BYTE_IN_A_CROWD
        } else {
            FIRST_BYTE
        };
        let stop = stop.clone();
        tokio::spawn(async move {
            let spoken = async {
                // Readiness alone is told too early.
                let mut byte = [0];
                tokio::select! {
                    peeked = stream.peek(&mut byte) => peeked.ok().filter(|count| *count > 0)?,
                    () = clock.sleep(patience) => return None,
                };
                places.acquire_owned().await.ok()
            };
            let place = tokio::select! {
                place = spoken => place,
                () = stop.cancelled() => None,
            };
            let Some(place) = place.map(ConnectionPlace::new) else {
                return;
            };
            drop(waiting);
            // Whoever carries what is not HTTP any more keeps a clone of it.
            let service = TowerToHyperService::new(AddExtension::new(router, place));
            let connection = builder
                .serve_connection_with_upgrades(TokioIo::new(stream), service)
                .into_owned();
            // A client that breaks off is its own affair.
            let _ = watcher.watch(connection).await;
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::extract::ws::{Message, WebSocketUpgrade};
    use axum::routing::get;
    use fleet_seam::SystemClock;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    /// A WebSocket, asked for by hand, as RFC 6455, 1.2, has it.
    const UPGRADE: &str = "GET / HTTP/1.1\r\nHost: fleet\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    async fn within<T>(what: impl Future<Output = T>) -> T {
        let limit = Duration::from_secs(20);
        tokio::time::timeout(limit, what).await.expect("in time")
    }

    #[tokio::test]
    async fn a_connection_that_became_a_websocket_keeps_its_place() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upgraded = |Extension(place): Extension<ConnectionPlace>, upgrade: WebSocketUpgrade| async {
            upgrade.on_upgrade(|mut socket| async move {
                let _place = place;
                let _ = socket.send(Message::text("upgraded")).await;
                while let Some(Ok(_)) = socket.recv().await {}
            })
        };
        let router = Router::new().route("/", get(upgraded));
        let (places, stop) = (Arc::new(Semaphore::new(2)), CancellationToken::new());
        let clock = Arc::new(SystemClock);
        let serving = serve_within(listener, router, clock, stop.clone(), places.clone());
        let serving = tokio::spawn(serving);

        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(UPGRADE.as_bytes()).await.unwrap();
        let mut heard = Vec::new();
        while !heard.ends_with(b"upgraded") {
            assert!(within(client.read_buf(&mut heard)).await.unwrap() > 0);
        }
        assert!(heard.starts_with(b"HTTP/1.1 101 "));
        assert_eq!(places.available_permits(), 1);

        drop(client);
        let _all = within(places.acquire_many(2)).await.unwrap();
        stop.cancel();
        within(serving).await.unwrap();
    }
}
