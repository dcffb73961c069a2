//! `/api/v1/workloads/{name}/signals`: a signal for a workload's program.
//!
//! The key makes it one signal, however often the request is sent: the node remembers the keys of the
//! signals it sent.

use axum::extract::State;
use fleet_model::signal;
use fleet_protocol::bulk::Request;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Api;
use super::body::{Key, Sent};
use super::logs::away;
use super::params::Params;
use super::problem::Problem;
use super::reach::reach;
use super::target::Target;

/// A signal to send.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Signal)]
pub(super) struct SignalBody {
    /// Its name, with or without `SIG`, in any case.
    #[schema(example = "HUP")]
    signal: String,
}

/// A signal that was sent.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignalSent {
    /// Its name without `SIG`.
    #[schema(example = "HUP")]
    signal: &'static str,
    /// Its key: the client's, or one made up. The same key again sends nothing.
    key: String,
}

/// Sends a workload's program a signal, once per key.
#[utoipa::path(
    post, path = "/api/v1/workloads/{name}/signals", operation_id = "signal_workload", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the same key and signal again are answered as before, and nothing is sent. The last 64 of a workload are remembered.")
    ),
    request_body = SignalBody,
    responses(
        (status = 200, description = "sent", body = SignalSent),
        (status = "default", description = "a problem: `unknown-signal`, `not-running`, `no-signals` where the backend sends none; 503 while the workload's node is away or the workload is being made", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn signal(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    params: Params,
    body: Sent<SignalBody>,
) -> Result<axum::Json<SignalSent>, Problem> {
    params.finish()?;
    let signal = signal::named(&body.value.signal)?;
    let reached = reach(&api, &name, "the workload")?;
    let key = key
        .into_text()
        .unwrap_or_else(|| format!("{:032x}", api.inner.entropy.bits()));
    let request = Request::Signal {
        item: reached.item,
        generation: reached.generation,
        key: key.clone(),
        signal: signal.to_owned(),
    };
    tokio::select! {
        sent = reached.live.opener.open(&request) => drop(sent?),
        () = reached.live.over.cancelled() => return Err(away(&reached.node_name, "the workload").into()),
    }
    Ok(axum::Json(SignalSent { signal, key }))
}
