//! Failures, as RFC 9457 has them. The one place where a kind of error becomes a status.

use std::collections::BTreeMap;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use fleet_model::{Error, ErrorKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::refusal::Refusal;

/// How long a client waits where nobody knows better, in milliseconds.
const RETRY_AFTER_MS: u32 = 1_000;

/// A failure: `application/problem+json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// A name for this sort of problem: `urn:fleet-host:problem:` and the code.
    #[serde(rename = "type")]
    pub uri: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// Stable, for matching: `name-taken`, `no-backend`.
    pub code: String,
    /// What sort of failure: decides whether another try makes sense.
    pub kind: ErrorKind,
    /// When another try makes sense, in milliseconds from now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u32>,
    /// More facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
    /// Every reason, where there is more than one; the first is the problem's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Reason>,
}

/// One of several reasons.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reason {
    /// Stable, for matching.
    pub code: String,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// More facts, by name: `pointer` says where in the body (RFC 6901).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

impl Problem {
    /// A problem of a status that its kind does not say.
    pub(crate) fn with_status(status: u16, error: Error) -> Self {
        Self {
            status,
            ..Self::from(error)
        }
    }

    /// The problem as one line of JSON, for streams.
    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_else(|_| "{}".to_owned())
    }
}

/// The status of a kind, and its title.
fn status(kind: ErrorKind) -> (u16, &'static str) {
    match kind {
        ErrorKind::Invalid => (422, "Invalid request"),
        ErrorKind::NotFound => (404, "Not found"),
        ErrorKind::Conflict => (409, "Conflict"),
        ErrorKind::Denied => (403, "Denied"),
        ErrorKind::Unsupported => (422, "Unsupported"),
        ErrorKind::Unavailable => (503, "Unavailable"),
        ErrorKind::Deadline => (504, "Took too long"),
        ErrorKind::Exhausted => (429, "Limit reached"),
        ErrorKind::Internal | ErrorKind::Other => (500, "Internal error"),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let (status, title) = status(error.kind);
        let retry_after_ms = error
            .retry_after_ms
            .or(error.kind.is_retryable().then_some(RETRY_AFTER_MS));
        Self {
            uri: format!("urn:fleet-host:problem:{}", error.code),
            title: title.to_owned(),
            status,
            detail: error.message,
            code: error.code,
            kind: error.kind,
            retry_after_ms,
            details: error.details,
            reasons: Vec::new(),
        }
    }
}

impl From<&Error> for Reason {
    fn from(error: &Error) -> Self {
        Self {
            code: error.code.clone(),
            detail: error.message.clone(),
            details: error.details.clone(),
        }
    }
}

impl From<Refusal> for Problem {
    fn from(Refusal { first, more }: Refusal) -> Self {
        if more.is_empty() {
            return first.into();
        }
        let all = || std::iter::once(&first).chain(&more);
        let reasons = all().map(Reason::from).collect();
        let detail = all()
            .map(|error| error.message.as_str())
            .collect::<Vec<_>>()
            .join("; ");
        Self {
            detail,
            reasons,
            ..first.into()
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, self.to_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(after) = self.retry_after_ms {
            headers.insert(RETRY_AFTER, HeaderValue::from(after.div_ceil(1_000)));
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_status_and_retryable_ones_say_when() {
        for (kind, want) in [
            (ErrorKind::Invalid, 422),
            (ErrorKind::NotFound, 404),
            (ErrorKind::Conflict, 409),
            (ErrorKind::Denied, 403),
            (ErrorKind::Unsupported, 422),
            (ErrorKind::Unavailable, 503),
            (ErrorKind::Deadline, 504),
            (ErrorKind::Exhausted, 429),
            (ErrorKind::Internal, 500),
            (ErrorKind::Other, 500),
        ] {
            let problem = Problem::from(Error::new(kind, "c", "m"));
            assert_eq!((problem.status, problem.kind), (want, kind));
            let response = problem.into_response();
            assert_eq!(
                response.headers().contains_key(RETRY_AFTER),
                kind.is_retryable(),
                "{kind:?}"
            );
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
    }

    #[test]
    fn several_reasons_are_all_told_and_the_first_one_decides() {
        let refusal = Refusal {
            first: Error::conflict("a", "one"),
            more: vec![Error::invalid("b", "two")],
        };
        let problem = Problem::from(refusal);
        assert_eq!(
            (
                problem.status,
                problem.code.as_str(),
                problem.detail.as_str()
            ),
            (409, "a", "one; two")
        );
        assert_eq!(problem.reasons.len(), 2);
    }
}
