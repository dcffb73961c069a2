//! The door: whoever shows no token, or another one, comes no further.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fleet_model::Error;

use super::Api;
use super::problem::Problem;

const REMEDY: &str = "send `Authorization: Bearer TOKEN`. On the host's own machine the token is the file `admin.token` at the top \
    of the data folder; the command line finds it in the default folder, by `--data` or FLEET_DATA, or by `--token-file` or FLEET_TOKEN_FILE";

/// Lets the admin in.
pub(super) async fn check(State(api): State<Api>, request: Request, next: Next) -> Response {
    let shown = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(bearer);
    let what = match shown {
        Some(token) if api.inner.gate.admits(token) => return next.run(request).await,
        Some(_) => "this token is not the host's",
        None => "this needs a token",
    };
    Problem::with_status(
        401,
        Error::denied("unauthorized", format!("{what}: {REMEDY}")),
    )
    .into_response()
}

/// The token of a `Bearer` header (RFC 6750); the scheme's case does not matter.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
