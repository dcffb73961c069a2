//! What a node is told of the secrets it asks for: those that its own workloads name, and no other.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::{Error, Name, NodeId, StoreId};
use fleet_protocol::message::SecretAnswer;
use zeroize::Zeroizing;

use super::SealingKey;
use super::references;
use super::seal::open;
use crate::state::ControllerState;

/// Values in one message, in bytes; one message has room for all that a workload may name.
const PART_BYTES: usize = 6 * 1024 * 1024;

/// The answers to a node's question, in as many messages as they need: one, but for a question
/// about more than any workload may name.
pub(crate) fn answers(
    state: &ControllerState,
    store: StoreId,
    key: &Result<SealingKey, Error>,
    node: NodeId,
    names: BTreeSet<Name>,
) -> Vec<BTreeMap<Name, SecretAnswer>> {
    let named = references(state.items_of(node));
    let mut parts = Vec::new();
    let (mut part, mut bytes) = (BTreeMap::new(), 0);
    for name in names {
        let row = state
            .secrets
            .get(&name)
            .filter(|_| named.contains_key(name.as_str()));
        let answer = match row.map(|row| open(key, store, row)) {
            None => SecretAnswer::Unset,
            Some(Ok(value)) => SecretAnswer::Set {
                base64: Zeroizing::new(STANDARD.encode(&*value)),
            },
            Some(Err(error)) => SecretAnswer::Sealed { error },
        };
        let weight = weight(&name, &answer);
        if bytes + weight > PART_BYTES && !part.is_empty() {
            parts.push(std::mem::take(&mut part));
            bytes = 0;
        }
        bytes += weight;
        part.insert(name, answer);
    }
    parts.push(part);
    parts
}

/// About how many bytes an answer takes on the link.
fn weight(name: &Name, answer: &SecretAnswer) -> usize {
    const REST: usize = 64;
    let value = match answer {
        SecretAnswer::Set { base64 } => base64.len(),
        SecretAnswer::Unset => 0,
        SecretAnswer::Sealed { error } => error.message.len() * 2,
    };
    name.as_str().len() + value + REST
}
