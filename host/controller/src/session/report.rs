//! What a node reports, written down: statuses, and what its outbox holds.
//!
//! A status replaces the one before it. An outbox entry is stored once, whatever is sent again: its
//! number is compared and raised in the transaction that stores it.

use fleet_model::Error;
use fleet_model::event::Event;
use fleet_model::item::{ItemKey, ItemStatus, Phase, workload_kind};
use fleet_model::packet::Gap;
use fleet_model::workload::{WorkloadIntent, WorkloadState};
use fleet_protocol::message::OutboxEntry;
use fleet_store::Tx;
use serde::Deserialize;

use super::handshake::Settled;
use super::{counter, presence};
use crate::journal::{Journal, about_item, about_node};
use crate::state::{
    ControllerState, ItemRow, NameRow, NodeRow, Outbox, PacketEntry, PacketsRow, WorkloadRow,
    item_key,
};
use crate::workload::detail;

/// Writes reports down, and answers those that are about nothing this controller stated.
///
/// # Errors
/// When a later session was issued meanwhile.
pub(super) fn statuses(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    Settled { node, session }: Settled,
    statuses: Vec<ItemStatus>,
) -> Result<Vec<ItemKey>, Error> {
    counter::check(presence::row(tx, node)?.session, session)?;
    let mut ignored = Vec::new();
    for status in statuses {
        match tx.get::<ItemRow>(&item_key(node, &status.id)) {
            Some(row) if status.generation <= row.generation => {
                one(tx, journal, &row, status, session)
            }
            _ => ignored.push(status.id),
        }
    }
    Ok(ignored)
}

fn one(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    row: &ItemRow,
    status: ItemStatus,
    session: u64,
) {
    if row.is_tombstone() && status.phase == Phase::Removed && status.generation == row.generation {
        return forget(tx, journal, row);
    }
    if row.status.as_ref() == Some(&status) && row.reported_in == session {
        return;
    }
    if let Some(event) = observed(row, &status) {
        journal.record(tx, event);
    }
    tx.put(ItemRow {
        status: Some(status),
        reported_in: session,
        ..row.clone()
    });
}

/// The node has acknowledged a tombstone: nothing of the item is left anywhere.
fn forget(tx: &mut Tx<'_, ControllerState>, journal: Journal, row: &ItemRow) {
    let mut name = None;
    if row.id.kind == workload_kind()
        && let Ok(id) = row.id.key.parse()
        && let Some(at) = tx.delete::<WorkloadRow>(&id)
    {
        tx.delete::<NameRow>(&at.name);
        if tx.delete::<PacketsRow>(&id).is_some() {
            tx.stream_drop::<PacketEntry>(&id);
        }
        name = Some(at.name.to_string());
    }
    tx.delete::<ItemRow>(&item_key(row.node, &row.id));
    journal.record(
        tx,
        about_item(
            "workload.removed",
            row,
            name,
            "gone with all that was made for it",
        ),
    );
}

/// The event that a report means something new: a state, or a generation the node has caught up
/// with. What happened in between, and how it ended, the node tells itself through its outbox.
fn observed(row: &ItemRow, status: &ItemStatus) -> Option<Event> {
    let facts = |status: &ItemStatus| Some((status.generation, detail(status)?.state));
    let now = facts(status)?;
    if row.status.as_ref().and_then(facts) == Some(now) {
        return None;
    }
    let (generation, state): (_, WorkloadState) = now;
    let name = WorkloadIntent::deserialize(&row.intent)
        .ok()
        .map(|intent| intent.name.to_string());
    let mut event = about_item("workload.observed", row, name, state.as_str());
    event.generation = Some(generation);
    event.details.insert("state".to_owned(), state.to_string());
    Some(event)
}

/// Entries a node had to give up because nobody took them for too long.
fn missing(node: &NodeRow, gap: Gap) -> Event {
    let message = format!(
        "{} events of this node are missing: it was away for long and had to let them go",
        gap.count
    );
    let mut event = about_node("node.events-missing", node, message);
    event
        .details
        .insert("count".to_owned(), gap.count.to_string());
    event
}

/// Writes outbox entries down, and answers the highest number that is stored.
///
/// # Errors
/// When a later session was issued meanwhile.
pub(super) fn outbox(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    Settled { node, session }: Settled,
    entries: Vec<OutboxEntry>,
) -> Result<u64, Error> {
    let row = presence::row(tx, node)?;
    counter::check(row.session, session)?;
    let mut seq = row.outbox.seq;
    for entry in entries {
        if entry.seq > seq {
            if let Some(gap) = Gap::between(seq, entry.seq) {
                journal.record(tx, missing(&row, gap));
            }
            seq = entry.seq;
            let mut event = entry.event;
            event
                .details
                .insert("node_at_ms".to_owned(), entry.at_ms.to_string());
            journal.record(tx, event);
        }
    }
    if seq > row.outbox.seq {
        tx.put(NodeRow {
            outbox: Outbox { seq, ..row.outbox },
            ..row
        });
    }
    Ok(seq)
}
