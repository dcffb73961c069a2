//! JSON bodies and idempotency keys.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use fleet_model::Error;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{Api, shorten};
use crate::idempotency::{Keyed, MAX_KEY_CHARS};

/// The header a client sends to have one effect however often it sends a request.
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// A body, read, with the bytes it was read from.
#[derive(Debug)]
pub(super) struct Sent<T> {
    /// What it says.
    pub(super) value: T,
    /// What was sent.
    pub(super) bytes: Bytes,
}

impl<T: DeserializeOwned> FromRequest<Api> for Sent<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, api: &Api) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = Bytes::from_request(request, api)
            .await
            .map_err(|error| unread(&error, api.inner.options.limits.body_bytes))?;
        if !is_json && !bytes.is_empty() {
            let message = "the body is not declared as JSON: send the header `Content-Type: application/json`";
            return Err(Problem::with_status(
                415,
                Error::invalid("not-json", message),
            ));
        }
        // No body is an empty object: what has no required field can be left out.
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'[') {
            let message = "the body is a list: send an object, as in {\"command\": [\"true\"]}";
            return Err(Error::invalid("invalid-body", message).into());
        }
        let value = serde_json::from_slice(text).map_err(|error| malformed(&error))?;
        Ok(Self { value, bytes })
    }
}

/// Whether a body is declared as JSON.
pub(super) fn is_json(headers: &HeaderMap) -> bool {
    let declared = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = declared.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
        || essence.to_ascii_lowercase().ends_with("+json")
}

fn unread(error: &BytesRejection, limit: usize) -> Problem {
    if error.status() == StatusCode::PAYLOAD_TOO_LARGE {
        let message = format!(
            "the body is larger than the limit of {limit} bytes: put large data into a file that the workload reads"
        );
        return Problem::with_status(
            413,
            Error::invalid("body-too-large", message).with("limit_bytes", limit),
        );
    }
    Problem::with_status(
        400,
        Error::invalid("body-broken", "the body ended early: send it again"),
    )
}

/// JSON that is none is status 400; JSON that says something else than what is read here is 422.
fn malformed(error: &serde_json::Error) -> Problem {
    let text = shorten(&error.to_string());
    if error.is_data() {
        return Error::invalid("invalid-body", format!("the body does not fit: {text}")).into();
    }
    Problem::with_status(
        400,
        Error::invalid("malformed-json", format!("the body is not JSON: {text}")),
    )
}

/// The client's idempotency key, if it sent one, and the request line it came with.
#[derive(Debug)]
pub(super) struct Key {
    key: Option<String>,
    line: String,
}

impl Key {
    /// The key alone.
    pub(super) fn into_text(self) -> Option<String> {
        self.key
    }

    /// Binds the key to the whole request.
    pub(super) fn bind(self, body: &[u8]) -> Option<Keyed> {
        let Self { key, line } = self;
        key.map(|key| Keyed::new(key, &[line.as_bytes(), body]))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Key {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let key = match parts
            .headers
            .get(IDEMPOTENCY_KEY)
            .map(|value| value.to_str())
        {
            None => None,
            Some(Ok(key)) if !key.is_empty() && key.chars().count() <= MAX_KEY_CHARS => {
                Some(key.to_owned())
            }
            Some(_) => {
                let message = format!(
                    "an Idempotency-Key has 1 to {MAX_KEY_CHARS} printable ASCII characters: send another one"
                );
                return Err(Error::invalid("invalid-idempotency-key", message).into());
            }
        };
        Ok(Self {
            key,
            line: format!("{} {}", parts.method, parts.uri),
        })
    }
}
