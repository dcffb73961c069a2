//! `/api/v1/workloads/{name}/ports/{port}/connect`: a connection to a port of a workload, over a
//! WebSocket.
//!
//! What can be said before there is a connection is an ordinary problem: the upgrade is only answered
//! when the node has connected. See [`tunnel`](super::tunnel) for what comes then.

use axum::Extension;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::request::Parts;
use axum::response::Response;
use fleet_model::Error;
use fleet_protocol::bulk::{BulkStream, Request};
use serde::Deserialize;

use super::logs::away;
use super::params::Params;
use super::problem::Problem;
use super::reach::{Reached, reach};
use super::tunnel::{self, Tunnel};
use super::{Api, ConnectionPlace};

/// The workload and the port that a path names.
#[derive(Debug, Deserialize)]
pub(super) struct Door {
    pub(super) name: String,
    pub(super) port: String,
}

impl<S: Send + Sync> FromRequestParts<S> for Door {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Path::<Self>::from_request_parts(parts, state).await {
            Ok(Path(door)) => Ok(door),
            Err(error) => Err(Error::invalid(
                "invalid-path",
                format!("the path cannot be read: {}", error.body_text()),
            )
            .into()),
        }
    }
}

/// Connects to a port of a workload: a WebSocket whose binary messages are the connection's bytes. An empty
/// message ends its direction and leaves the other open.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/ports/{port}/connect", operation_id = "connect_port", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("port" = String, Path, description = "The port's name, or its number inside the workload or at its node.")
    ),
    responses(
        (status = 101, description = "connected: the WebSocket begins. It is closed with 1000 when both directions have ended, with 1011 when the connection broke off, with 1001 when the host stops"),
        (status = "default", description = "a problem: `no-such-port`, `not-running`, `too-many-streams`; 503 while nobody listens or the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn connect(
    State(api): State<Api>,
    door: Door,
    params: Params,
    connection: Option<Extension<ConnectionPlace>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    params.finish()?;
    let upgrade = upgrade.map_err(|error| no_upgrade(&error))?;
    let reached = reach(&api, &door.name, "the workload")?;
    let place = api.inner.streams.place_of(connection)?;
    let stream = open(&reached, door.port).await?;
    let tunnel = Tunnel {
        stream,
        place,
        clock: api.inner.clock.clone(),
        closing: api.inner.closing.clone(),
    };
    Ok(tunnel::sized(upgrade).on_upgrade(|socket| tunnel.run(socket)))
}

/// Connects, at the workload's node.
///
/// # Errors
/// The node's own, or `unavailable` (`node-away`).
pub(super) async fn open(reached: &Reached, port: String) -> Result<BulkStream, Error> {
    let request = Request::Port {
        item: reached.item.clone(),
        generation: reached.generation,
        port,
    };
    tokio::select! {
        opened = reached.live.opener.open(&request) => opened,
        () = reached.live.over.cancelled() => Err(away(&reached.node_name, "the workload")),
    }
}

fn no_upgrade(error: &WebSocketUpgradeRejection) -> Problem {
    let message = format!(
        "this is a WebSocket and the request does not ask for one ({}): use a WebSocket client, `fleet-host workload port-forward`, or for HTTP the path `.../preview/PORT/`",
        error.body_text()
    );
    Problem::with_status(400, Error::invalid("no-websocket", message))
}
