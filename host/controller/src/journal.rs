//! The event log: what happened, in order, bounded.

use std::collections::BTreeMap;

use fleet_model::event::Event;
use fleet_model::item::Generation;
use fleet_store::Tx;

use crate::state::{ControllerState, ItemRow, NodeRow, WorkloadRow};

/// Old events are dropped when this many new ones have come, not at each one.
const TRIM_EVERY: u64 = 1_000;

/// A time, and how many events are kept: what an entry needs besides itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Journal {
    /// Now, in Unix milliseconds.
    pub(crate) at_ms: u64,
    /// The newest events that are kept.
    pub(crate) keep: u64,
}

impl Journal {
    /// Appends an event in this transaction.
    pub(crate) fn record(self, tx: &mut Tx<'_, ControllerState>, event: Event) {
        let seq = tx.append(self.at_ms, event);
        if seq.is_multiple_of(TRIM_EVERY) && seq > self.keep {
            tx.trim::<Event>(seq - self.keep);
        }
    }
}

/// An event about a workload.
pub(crate) fn about_workload(
    kind: &str,
    at: &WorkloadRow,
    generation: Generation,
    message: impl Into<String>,
) -> Event {
    Event {
        name: Some(at.name.to_string()),
        generation: Some(generation),
        ..plain(kind, at.id.to_string(), message)
    }
}

/// An event about a workload's item, whatever kind it is of.
pub(crate) fn about_item(
    kind: &str,
    row: &ItemRow,
    name: Option<String>,
    message: impl Into<String>,
) -> Event {
    Event {
        name,
        generation: Some(row.generation),
        ..plain(kind, row.id.key.clone(), message)
    }
}

/// An event about a node.
pub(crate) fn about_node(kind: &str, node: &NodeRow, message: impl Into<String>) -> Event {
    Event {
        name: Some(node.name.clone()),
        ..plain(kind, node.id.to_string(), message)
    }
}

/// An event about anything. `seq` and `at_ms` are the log's own and are filled in when it is read.
pub(crate) fn plain(kind: &str, subject: impl Into<String>, message: impl Into<String>) -> Event {
    Event {
        seq: 0,
        at_ms: 0,
        kind: kind.to_owned(),
        subject: subject.into(),
        name: None,
        generation: None,
        message: message.into(),
        details: BTreeMap::new(),
    }
}
