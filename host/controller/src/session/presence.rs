//! A node comes, changes its plugins, and goes: what is written down of that.

use std::collections::BTreeMap;

use fleet_model::event::Event;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::{Error, NodeId};
use fleet_protocol::message::Hello;
use fleet_store::Tx;

use super::counter;
use crate::journal::{Journal, about_node, plain};
use crate::state::{Connection, ControllerState, NodeRow};

type Write<'a, 'b> = &'a mut Tx<'b, ControllerState>;

/// A session begins: its counter is confirmed.
///
/// # Errors
/// When a later session was issued meanwhile.
pub(super) fn begin(
    tx: Write<'_, '_>,
    journal: Journal,
    hello: Hello,
    session: u64,
) -> Result<(), Error> {
    let known = row(tx, hello.node)?;
    let row = NodeRow {
        id: known.id,
        session: counter::confirm(known.session, session)?,
        outbox: known.outbox,
        name: hello.name,
        labels: hello.labels,
        run_id: hello.run_id,
        machine_boot_id: hello.machine_boot_id,
        last_seen_ms: journal.at_ms,
        plugins: hello.plugins,
        host_version: hello.host_version,
        connection: Connection::Connected,
    };
    let mut event = about_node(
        "node.connected",
        &row,
        format!("session {session} of fleet-host {}", row.host_version),
    );
    event
        .details
        .insert("session".to_owned(), session.to_string());
    journal.record(tx, event);
    record_plugins(tx, journal, &known.plugins, &row);
    tx.put(row);
    Ok(())
}

/// The node's plugins have changed.
///
/// # Errors
/// When a later session was issued meanwhile.
pub(super) fn plugins(
    tx: Write<'_, '_>,
    journal: Journal,
    node: NodeId,
    session: u64,
    plugins: Vec<Plugin>,
) -> Result<(), Error> {
    let known = row(tx, node)?;
    counter::check(known.session, session)?;
    if known.plugins != plugins {
        let now = NodeRow {
            plugins,
            ..known.clone()
        };
        record_plugins(tx, journal, &known.plugins, &now);
        tx.put(now);
    }
    Ok(())
}

/// The session has ended. One that was replaced meanwhile leaves no trace.
///
/// # Errors
/// When a later session was issued meanwhile.
pub(super) fn end(
    tx: Write<'_, '_>,
    journal: Journal,
    node: NodeId,
    session: u64,
    (connection, last_seen_ms): (Connection, u64),
    reason: String,
) -> Result<(), Error> {
    let known = row(tx, node)?;
    counter::check(known.session, session)?;
    let kind = match connection {
        Connection::Unknown => "node.unknown",
        Connection::Connected | Connection::Disconnected => "node.disconnected",
    };
    journal.record(tx, about_node(kind, &known, reason));
    tx.put(NodeRow {
        connection,
        last_seen_ms,
        ..known
    });
    Ok(())
}

/// The row of a node that has said hello.
pub(super) fn row(tx: &Tx<'_, ControllerState>, node: NodeId) -> Result<NodeRow, Error> {
    let row = tx
        .get::<NodeRow>(&node)
        .ok_or_else(|| Error::not_found("node-gone", "the node was removed"))?;
    Ok(NodeRow::clone(&row))
}

fn record_plugins(tx: Write<'_, '_>, journal: Journal, before: &[Plugin], node: &NodeRow) {
    for event in plugin_events(before, node) {
        journal.record(tx, event);
    }
}

/// What to tell of plugins that have come to rest since. What takes the place of an active one, or does
/// not, its node tells by itself ([`fleet_model::swap`]). Pure.
fn plugin_events(before: &[Plugin], node: &NodeRow) -> Vec<Event> {
    let is_active = |plugin: &Plugin| plugin.state == PluginState::Active;
    let same = |a: &Plugin, b: &Plugin| {
        let is_same_code = is_active(a) || a.digest == b.digest;
        is_same_code
            && (&a.name, &a.file, a.state, &a.reason) == (&b.name, &b.file, b.state, &b.reason)
    };
    let is_newcomer = |plugin: &Plugin| {
        let mut others = node.plugins.iter();
        !is_active(plugin) && others.any(|other| is_active(other) && other.name == plugin.name)
    };
    let news = node.plugins.iter().filter(|now| {
        now.state.is_settled()
            && !is_newcomer(now)
            && !before.iter().any(|before| same(before, now))
    });
    news.map(|plugin| {
        let (kind, message) = match (plugin.state, &plugin.reason) {
            (PluginState::Rejected, reason) => {
                ("plugin.rejected", reason.clone().unwrap_or_default())
            }
            (PluginState::Quarantined, reason) => {
                ("plugin.quarantined", reason.clone().unwrap_or_default())
            }
            (_, Some(reason)) => (
                "plugin.active",
                format!("active; cannot be used on this machine: {reason}"),
            ),
            (_, None) => ("plugin.active", "active".to_owned()),
        };
        let facts = [
            ("version", &plugin.version),
            ("digest", &plugin.digest),
            ("file", &Some(plugin.file.clone())),
            ("node", &Some(node.name.clone())),
        ];
        let details: BTreeMap<_, _> = facts
            .into_iter()
            .filter_map(|(name, fact)| Some((name.to_owned(), fact.clone()?)))
            .collect();
        Event {
            name: Some(plugin.name.clone()),
            details,
            ..plain(kind, plugin.name.clone(), message)
        }
    })
    .collect()
}
