//! `/api/v1/execs/{id}/attach`: a program's output and input, over a WebSocket.
//!
//! Each binary message is one frame of [`fleet_protocol::exec`], and each goes through as it is: nothing
//! is kept here but what is on its way. Neither direction waits for the other, and each is read only as
//! fast as its far end takes. What can be said before the upgrade is an ordinary problem.

use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use bytes::Bytes;
use fleet_model::Error;
use fleet_protocol::bulk::{BulkSink, BulkSource, BulkStream, ExecCall};
use fleet_protocol::exec::{Inward, Outward};
use fleet_seam::Clock;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};

use super::execs::{open, reach_exec};
use super::logs::away;
use super::params::Params;
use super::problem::Problem;
use super::reach::Reached;
use super::streams::StreamPlace;
use super::target::Target;
use super::{Api, ConnectionPlace, tunnel};

/// How often a quiet connection is used, so that nobody in between takes it for dead. A client that does
/// not answer may be slow, which is its right: whether it is gone, its connection tells.
const PING: Duration = Duration::from_secs(20);

/// How long a client may take to read the end.
const PARTING: Duration = Duration::from_secs(2);

/// Attaches to a program beside a workload: a WebSocket whose binary messages are frames (see docs/exec.md).
/// Whoever was attached before is told so and let go.
#[utoipa::path(
    get, path = "/api/v1/execs/{id}/attach", operation_id = "attach_exec", tag = "execs",
    params(
        ("id" = String, Path, description = "Its id."),
        ("after" = Option<u64>, Query, description = "Output up to this offset is known; 0 if absent.")
    ),
    responses(
        (status = 101, description = "attached: the WebSocket begins"),
        (status = "default", description = "a problem: `no-such-exec`, `no-websocket`, `too-many-streams`; 503 while its node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn attach(
    State(api): State<Api>,
    Target(id): Target,
    mut params: Params,
    connection: Option<Extension<ConnectionPlace>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let after = params.read("after", "an offset in bytes")?.unwrap_or(0);
    params.finish()?;
    let upgrade = upgrade.map_err(|error| no_upgrade(&error))?;
    let (exec, reached) = reach_exec(&api, &id)?;
    let place = api.inner.streams.place_of(connection)?;
    let stream = open(&reached, ExecCall::Attach { exec, after }).await?;
    Ok(tunnel::sized(upgrade).on_upgrade(move |socket| carry(api, reached, stream, socket, place)))
}

fn no_upgrade(error: &WebSocketUpgradeRejection) -> Problem {
    let message = format!(
        "this is a WebSocket and the request does not ask for one ({}): use a WebSocket client, or `fleet-host workload attach`",
        error.body_text()
    );
    Problem::with_status(400, Error::invalid("no-websocket", message))
}

/// Carries frames until one of the sides has ended.
async fn carry(
    api: Api,
    reached: Reached,
    stream: BulkStream,
    socket: WebSocket,
    _place: StreamPlace,
) {
    let inner = &api.inner;
    let (mut sink, mut source) = stream.split();
    let (mut say, mut hear) = socket.split();
    let ended = tokio::select! {
        ended = outward(&mut source, &mut say, &*inner.clock) => ended,
        ended = inward(&mut hear, &mut sink) => ended,
        () = inner.closing.cancelled() => Err(stopping()),
    };
    let last = match ended {
        Ok(Ended::Gone) => return,
        Ok(Ended::Told) => None,
        Ok(Ended::Broken) => Some(away(&reached.node_name, "the program")),
        Err(error) => Some(error),
    };
    let part = async {
        if let Some(error) = last {
            let frame = Outward::Failed(error).encode();
            say.send(Message::Binary(frame)).await.ok()?;
        }
        say.send(Message::Close(None)).await.ok()?;
        // What the client still says, above all what it has seen, goes on to the node.
        let _ = inward(&mut hear, &mut sink).await;
        sink.finish().await.ok()
    };
    tokio::select! {
        _ = part => {}
        () = inner.clock.sleep(PARTING) => {}
    }
}

/// How one direction ended.
enum Ended {
    /// The client is gone.
    Gone,
    /// The node has said its last word.
    Told,
    /// The node is gone.
    Broken,
}

/// From the node to the client.
async fn outward(
    source: &mut BulkSource,
    say: &mut SplitSink<WebSocket, Message>,
    clock: &dyn Clock,
) -> Result<Ended, Error> {
    loop {
        let first = tokio::select! {
            first = source.receive() => first,
            () = clock.sleep(PING) => {
                if say.send(Message::Ping(Bytes::new())).await.is_err() {
                    return Ok(Ended::Gone);
                }
                continue;
            }
        };
        // What is ready goes out together; what is not is not waited for.
        let mut next = Some(first);
        while let Some(frame) = next {
            let Some(Ok(frame)) = frame else {
                let _ = say.flush().await;
                return Ok(Ended::Broken);
            };
            let is_last = Outward::is_last(&frame);
            if say.feed(Message::Binary(frame)).await.is_err() {
                return Ok(Ended::Gone);
            }
            if is_last {
                let _ = say.flush().await;
                return Ok(Ended::Told);
            }
            next = source.receive().now_or_never();
        }
        if say.flush().await.is_err() {
            return Ok(Ended::Gone);
        }
    }
}

/// From the client to the node.
///
/// # Errors
/// `invalid` (`exec-frame`) for what is no frame.
async fn inward(hear: &mut SplitStream<WebSocket>, sink: &mut BulkSink) -> Result<Ended, Error> {
    while let Some(Ok(message)) = hear.next().await {
        match message {
            Message::Binary(frame) => {
                Inward::decode(frame.clone())?;
                if sink.send(frame).await.is_err() {
                    // What the node said before it went is still to be told.
                    std::future::pending::<()>().await;
                }
            }
            Message::Text(_) => {
                return Err(Error::invalid(
                    "exec-frame",
                    "a text message came where a frame belongs: send binary messages, see docs/exec.md for their shapes",
                ));
            }
            Message::Ping(_) | Message::Pong(_) => {}
            Message::Close(_) => break,
        }
    }
    Ok(Ended::Gone)
}

fn stopping() -> Error {
    Error::unavailable(
        "host-stopping",
        "the host is stopping and the program goes on: attach again when the host is back",
    )
}
