//! A request as it goes over the wire: what was allowed, with the values of secrets where they belong.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use fleet_model::{Error, Name};
use serde_json::Value;
use zeroize::{Zeroize, Zeroizing};

use super::policy::BodyRule;
use super::service::{Call, Inner};
use super::transport::Message;
use super::verdict::Allowed;
use crate::secret::fill::Filler;

/// The words of a request, with the values of secrets where they belong.
pub(super) async fn message(
    host: &Inner,
    call: &Call,
    allowed: &Allowed<'_>,
) -> Result<Message, Error> {
    let outgoing = &allowed.outgoing;
    let body = match (&outgoing.body, &allowed.rule.body) {
        (Some(body), Some(rule)) => {
            let secrets = call.terms.as_ref().map(|terms| &terms.secrets);
            let mut texts = Vec::new();
            let mut body = body.clone();
            for pointer in &rule.secrets {
                pointer.visit(&mut body, &mut |value| {
                    texts.extend(value.as_str().map(str::to_owned));
                });
            }
            let wanted: BTreeMap<String, Name> = secrets
                .into_iter()
                .flatten()
                .filter(|(placeholder, _)| {
                    !placeholder.is_empty() && texts.iter().any(|text| text.contains(*placeholder))
                })
                .map(|(placeholder, name)| (placeholder.clone(), name.clone()))
                .collect();
            Some(if wanted.is_empty() {
                Bytes::from(body.to_string())
            } else {
                filled(host, &wanted, rule, body).await?
            })
        }
        _ => None,
    };
    Ok(Message {
        method: outgoing.method.clone(),
        target: outgoing.target(),
        headers: outgoing.headers.clone(),
        body,
    })
}

async fn filled(
    host: &Inner,
    wanted: &BTreeMap<String, Name>,
    rule: &BodyRule,
    mut body: Value,
) -> Result<Bytes, Error> {
    let names: BTreeSet<Name> = wanted.values().cloned().collect();
    let values = host.options.secrets.values(&names).await?;
    let filler = Filler::new(wanted, &values)?;
    let mut is_text = true;
    for pointer in &rule.secrets {
        pointer.visit(&mut body, &mut |value| {
            if let Value::String(text) = value {
                match std::str::from_utf8(filler.fill(text).expose()) {
                    Ok(filled) => *text = filled.to_owned(),
                    Err(_) => is_text = false,
                }
            }
        });
    }
    // Of its full size at once: a vector that grows leaves its content behind.
    let mut size = Size(0);
    let sized = serde_json::to_writer(&mut size, &body);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
    let written = sized.and_then(|()| serde_json::to_writer(&mut *bytes, &body));
    for pointer in &rule.secrets {
        pointer.visit(&mut body, &mut |value| {
            if let Value::String(text) = value {
                text.zeroize();
            }
        });
    }
    if !is_text || written.is_err() {
        return Err(Error::invalid(
            "bad-secret",
            "a secret is no UTF-8 text, which JSON cannot hold: set it anew as text, or give it to the workload as a file",
        ));
    }
    Ok(Bytes::from_owner(bytes))
}

/// Counts what is written.
struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
