//! REST under `/api/v1`, described by the code itself.
//!
//! * Everything but `/health` and `/ready` needs the admin token. That is one layer around all the
//!   rest, unknown paths included: a new route is closed until it is let out here ([`gate`]).
//! * Every failure is a `application/problem+json` with a stable code ([`problem`]).
//! * Every change honours an `Idempotency-Key`; every list is paged.

mod attach;
mod body;
mod commands;
mod connection;
mod events;
mod execs;
mod feed;
mod files;
mod gate;
mod health;
mod logs;
mod nodes;
mod packets;
mod page;
mod params;
mod plugins;
mod ports;
mod preview;
pub(crate) mod problem;
mod reach;
mod secret_body;
mod secrets;
mod signals;
mod stats;
pub(crate) mod streams;
mod target;
mod tunnel;
mod workloads;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware;
use fleet_model::{Error, ErrorKind};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::controller::Inner;
use problem::Problem;

pub use connection::ConnectionPlace;

/// What handlers share.
#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Inner>,
    ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
}

/// The API, served.
pub(crate) fn router(
    inner: Arc<Inner>,
    ready: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
) -> Router {
    let limit = inner.options.limits.body_bytes;
    let api = Api { inner, ready };
    let (closed, _) = closed().split_for_parts();
    let (open, _) = open().split_for_parts();
    closed
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(api.clone(), gate::check))
        .merge(open.method_not_allowed_fallback(no_such_method))
        .layer(DefaultBodyLimit::max(limit))
        .layer(CatchPanicLayer::custom(panicked))
        .with_state(api)
}

/// The API, described.
pub(crate) fn openapi() -> String {
    let (_, mut description) = closed().merge(open()).split_for_parts();
    let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
    description
        .components
        .get_or_insert_default()
        .add_security_scheme("token", bearer);
    match description.to_pretty_json() {
        Ok(json) => json + "\n",
        Err(error) => format!("{{\"error\": \"{error}\"}}\n"),
    }
}

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "fleet-host",
        description = "Runs programs on machines you own. Lists are `{\"items\": [...], \"next\": cursor or null}`; failures are problems (RFC 9457) with a stable `code`; requests that change something honour `Idempotency-Key` for 24 hours.",
        license(name = "MIT OR Apache-2.0")
    ),
    security(("token" = [])),
    tags(
        (name = "workloads", description = "Programs that should run."),
        (name = "execs", description = "Programs beside workloads."),
        (name = "files", description = "What is in the workspaces of workloads."),
        (name = "secrets", description = "Values that workloads use and nobody is shown."),
        (name = "plugins", description = "What the nodes can do."),
        (name = "nodes", description = "The machines."),
        (name = "events", description = "What happened."),
        (name = "host", description = "This host itself.")
    )
)]
struct Description;

/// What needs no token.
fn open() -> OpenApiRouter<Api> {
    OpenApiRouter::default()
        .routes(routes!(health::health))
        .routes(routes!(health::ready))
}

/// What needs the token.
fn closed() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(described())
        .routes(routes!(workloads::list, workloads::create))
        .routes(routes!(workloads::show, workloads::remove))
        .routes(routes!(workloads::start))
        .routes(routes!(workloads::stop))
        .routes(routes!(workloads::extend))
        .routes(routes!(logs::logs))
        .routes(routes!(commands::send))
        .routes(routes!(packets::packets))
        .routes(routes!(execs::list, execs::create))
        .routes(routes!(execs::show, execs::remove))
        .routes(routes!(execs::send_signal))
        .routes(routes!(attach::attach))
        .routes(routes!(files::read, files::write, files::remove))
        .routes(routes!(files::list))
        .routes(routes!(files::stat))
        .routes(routes!(files::uploaded))
        .routes(routes!(files::make_folder))
        .routes(routes!(files::rename))
        .routes(routes!(signals::signal))
        .routes(routes!(stats::of_workload))
        .routes(routes!(stats::of_all))
        .routes(routes!(ports::connect))
        .routes(routes!(preview::preview))
        .merge(preview::others())
        .routes(routes!(secrets::list))
        .routes(routes!(secrets::set, secrets::remove))
        .routes(routes!(plugins::list))
        .routes(routes!(plugins::show))
        .routes(routes!(plugins::swap))
        .routes(routes!(plugins::rollback))
        .routes(routes!(plugins::history))
        .routes(routes!(plugins::unquarantine))
        .routes(routes!(nodes::list))
        .routes(routes!(events::events))
        .routes(routes!(health::description))
}

fn described() -> OpenApi {
    Description::openapi()
}

async fn no_such_path(request: Request) -> Problem {
    let path = shorten(request.uri().path());
    Error::not_found(
        "no-such-path",
        format!("there is nothing at `{path}`: /api/v1/openapi.json lists what there is"),
    )
    .into()
}

async fn no_such_method(request: Request) -> Problem {
    let message = format!(
        "`{}` does not take {}: /api/v1/openapi.json lists what it takes",
        shorten(request.uri().path()),
        request.method()
    );
    Problem::with_status(405, Error::invalid("no-such-method", message))
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the layer hands the panic over"
)]
fn panicked(panic: Box<dyn std::any::Any + Send>) -> axum::response::Response {
    use axum::response::IntoResponse as _;
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(panic = text, "a request's handler panicked");
    let error = Error::new(
        ErrorKind::Internal,
        "panic",
        "this request met a bug in the host; its log says more",
    );
    Problem::from(error).into_response()
}

/// What somebody sent, short enough to be sent back.
pub(crate) fn shorten(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
