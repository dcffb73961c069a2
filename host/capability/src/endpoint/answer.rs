//! An answer of a service: read up to its bounds, and what of a failure is told.

use std::collections::BTreeMap;

use fleet_model::{Error, ErrorKind};
use serde_json::Value;

use super::pointer::keep;
use super::policy::Rule;
use super::service::Response;
use super::transport::{Answer, odd};

/// How much of a text that explains a failure is passed on.
const EXPLANATION: usize = 1_024;

/// The JSON of a good answer.
pub(super) fn parsed(rule: &Rule, body: &[u8]) -> Result<Value, Error> {
    let value: Value =
        serde_json::from_slice(body).map_err(|error| odd(&format!("it is no JSON: {error}")))?;
    if depth(&value) > rule.bounds.depth {
        return Err(odd(&format!(
            "it is nested deeper than {} levels",
            rule.bounds.depth
        )));
    }
    Ok(value)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

pub(super) fn text(body: &[u8]) -> Result<String, Error> {
    let text = std::str::from_utf8(body).map_err(|_| odd("it is no UTF-8 text"))?;
    Ok(text.to_owned())
}

pub(super) fn headers(rule: &Rule, answer: &Answer) -> Vec<(String, String)> {
    let headers = answer.headers.iter();
    let headers = headers.filter(|(name, _)| rule.response.headers.contains(name));
    headers.cloned().collect()
}

/// A failure of the service, as a response: what the policy keeps of its explanation.
pub(super) fn refused(rule: &Rule, answer: &Answer) -> Result<Response, Error> {
    if !(400..600).contains(&answer.status) {
        return Err(odd(&format!("it has the status {}", answer.status)));
    }
    Ok(Response {
        status: answer.status,
        headers: headers(rule, answer),
        body: explanation(rule, &answer.body),
        attributes: BTreeMap::new(),
    })
}

fn explanation(rule: &Rule, body: &[u8]) -> Vec<u8> {
    let errors = &rule.response.errors;
    if errors.is_empty() {
        return Vec::new();
    }
    match serde_json::from_slice::<Value>(body) {
        Ok(value) => keep(errors, &[], &value).to_string().into_bytes(),
        Err(_) => String::from_utf8_lossy(body)
            .chars()
            .filter(|c| !c.is_control())
            .take(EXPLANATION)
            .collect::<String>()
            .into_bytes(),
    }
}

/// A failure of the service where there is no response: of a stream.
pub(super) fn failure(rule: &Rule, answer: &Answer) -> Error {
    let kind = match answer.status {
        404 => ErrorKind::NotFound,
        409 => ErrorKind::Conflict,
        408 | 429 | 500..=599 => ErrorKind::Unavailable,
        400..=499 => ErrorKind::Invalid,
        status => return odd(&format!("it has the status {status}")),
    };
    let why = match serde_json::from_slice::<Value>(&answer.body) {
        Ok(value) => {
            let texts = rule.response.errors.iter();
            let mut texts = texts.filter_map(|pointer| pointer.get(&value).and_then(Value::as_str));
            texts
                .next()
                .unwrap_or_default()
                .chars()
                .take(EXPLANATION)
                .collect()
        }
        Err(_) => String::from_utf8_lossy(&explanation(rule, &answer.body)).into_owned(),
    };
    Error::new(
        kind,
        "service-refused",
        format!(
            "the service refused it with the status {}: {why}",
            answer.status
        ),
    )
    .with("status", answer.status)
}
