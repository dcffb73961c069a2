//! Whether the host lives, whether it is ready, and what its API looks like.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;

/// Whether the host lives.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// Always `ok`: a host that is not does not answer.
    #[schema(example = "ok")]
    status: &'static str,
    /// The host's version.
    version: String,
}

/// Whether the host is ready for work.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// Whether it is.
    ready: bool,
    /// Why it is not.
    reasons: Vec<String>,
}

/// Whether the host lives.
#[utoipa::path(get, path = "/health", tag = "host", security(()), responses((status = 200, description = "it lives", body = Health)))]
pub(super) async fn health(State(api): State<Api>) -> axum::Json<Health> {
    axum::Json(Health {
        status: "ok",
        version: api.inner.options.host_version.clone(),
    })
}

/// Whether the host is ready for work.
#[utoipa::path(
    get, path = "/ready", tag = "host", security(()),
    responses((status = 200, description = "ready", body = Readiness), (status = 503, description = "not ready, and why", body = Readiness))
)]
pub(super) async fn ready(State(api): State<Api>) -> (StatusCode, axum::Json<Readiness>) {
    let reasons = (api.ready)();
    let ready = reasons.is_empty();
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, axum::Json(Readiness { ready, reasons }))
}

/// This description.
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "host", responses((status = 200, description = "OpenAPI 3.1", body = Object)))]
pub(super) async fn description() -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], super::openapi())
}
