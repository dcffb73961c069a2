//! `application/problem+json` (RFC 9457) as the host's own error.

use std::collections::BTreeMap;

use fleet_model::{Error, ErrorKind};
use serde::Deserialize;
use serde_json::Value;

/// What the API sends of an error, as a whole answer or as the last line of a stream. All of it is
/// optional, so that an answer of some proxy in between still becomes an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    message: Option<String>,
    status: Option<u16>,
    code: Option<String>,
    kind: Option<ErrorKind>,
    retry_after_ms: Option<u32>,
    details: BTreeMap<String, Value>,
}

/// Reads the body of an answer with an error status. Never fails: what cannot be read is told.
pub(crate) fn from_body(status: u16, body: &[u8]) -> Error {
    let problem = serde_json::from_slice(body).unwrap_or_default();
    error(problem, Some(status))
}

/// Reads an error that came inside a stream.
pub(crate) fn from_value(value: Value) -> Error {
    error(serde_json::from_value(value).unwrap_or_default(), None)
}

fn error(problem: Problem, answered: Option<u16>) -> Error {
    let status = answered.or(problem.status);
    let kind = problem
        .kind
        .unwrap_or_else(|| status.map_or(ErrorKind::Other, kind_of_status));
    let message = problem
        .detail
        .or(problem.message)
        .or(problem.title)
        .unwrap_or_else(|| match status {
            Some(status) => format!("the server answered with status {status} and no explanation"),
            None => "the server broke the answer off and gave no reason".to_owned(),
        });
    let code = problem.code.unwrap_or_else(|| "unexplained".to_owned());
    let text = |value: Value| match value {
        Value::String(text) => text,
        other => other.to_string(),
    };
    let details = problem
        .details
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect();
    Error {
        kind,
        code,
        message,
        retry_after_ms: problem.retry_after_ms,
        details,
    }
}

/// What a status means where the body does not say it.
fn kind_of_status(status: u16) -> ErrorKind {
    match status {
        400 | 405 | 406 | 411 | 413..=415 | 422 | 431 => ErrorKind::Invalid,
        401 | 403 => ErrorKind::Denied,
        404 | 410 => ErrorKind::NotFound,
        409 | 412 => ErrorKind::Conflict,
        408 | 504 => ErrorKind::Deadline,
        429 | 507 => ErrorKind::Exhausted,
        501 => ErrorKind::Unsupported,
        502 | 503 => ErrorKind::Unavailable,
        500..=599 => ErrorKind::Internal,
        _ => ErrorKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_the_hosts_own_error() {
        let body = br#"{"type":"about:blank","title":"Conflict","status":409,"kind":"conflict",
            "detail":"a workload named web exists","code":"name-taken","details":{"id":"wl_1","n":2}}"#;
        let error = from_body(409, body);
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Conflict, "name-taken")
        );
        assert_eq!(error.message, "a workload named web exists");
        assert_eq!(error.details["n"], "2");
    }

    #[test]
    fn the_status_speaks_where_the_body_does_not() {
        for (status, kind) in [
            (400, ErrorKind::Invalid),
            (401, ErrorKind::Denied),
            (404, ErrorKind::NotFound),
            (409, ErrorKind::Conflict),
            (429, ErrorKind::Exhausted),
            (500, ErrorKind::Internal),
            (503, ErrorKind::Unavailable),
            (418, ErrorKind::Other),
        ] {
            let error = from_body(status, b"<html>");
            assert_eq!(error.kind, kind, "{status}");
            assert!(error.message.contains(&status.to_string()), "{error}");
        }
    }

    #[test]
    fn an_error_inside_a_stream_may_have_either_shape() {
        let own =
            serde_json::json!({"kind": "unavailable", "code": "node-away", "message": "away"});
        assert_eq!(from_value(own).kind, ErrorKind::Unavailable);
        let problem = serde_json::json!({"status": 503, "code": "node-away", "detail": "away"});
        assert_eq!(from_value(problem).kind, ErrorKind::Unavailable);
    }
}
