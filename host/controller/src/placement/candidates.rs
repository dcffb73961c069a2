//! What placement looks at: the nodes, what they have to do, and which ports are taken there.

use std::collections::BTreeMap;

use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::workload::WorkloadSpec;

use super::obstacle::{Clash, Holder};
use crate::session::{Reach, Registry};
use crate::state::{ControllerState, NodeRow};
use crate::workload::Glance;

/// A node, as far as placement looks at it.
#[derive(Debug, Clone)]
pub(crate) struct Candidate<'a> {
    /// Who it is and what it has.
    pub(crate) node: &'a NodeRow,
    /// Whether it can be told.
    pub(crate) reach: Reach,
    /// The workloads it should have. Not counted where there is only one node.
    pub(crate) workloads: usize,
    /// The fixed ports of the spec that are not free there.
    pub(crate) clashes: Vec<Clash>,
}

/// All nodes, as candidates for this spec.
pub(crate) fn candidates<'a>(
    state: &'a ControllerState,
    registry: &Registry,
    spec: &WorkloadSpec,
) -> Vec<Candidate<'a>> {
    let is_choice = state.nodes.len() > 1;
    let nodes = state.nodes.values();
    nodes
        .map(|node| Candidate {
            node,
            reach: registry.reach(node.id),
            workloads: if is_choice { workloads(state, node) } else { 0 },
            clashes: clashes(state, node, spec),
        })
        .collect()
}

fn workloads(state: &ControllerState, node: &NodeRow) -> usize {
    let items = state.items_of(node.id);
    items.filter(|item| !item.is_tombstone()).count()
}

/// The fixed ports of a spec that are not free on a node. A backend whose workloads have a network of
/// their own takes none of the node's. A port is a workload's until that is gone.
pub(crate) fn clashes(state: &ControllerState, node: &NodeRow, spec: &WorkloadSpec) -> Vec<Clash> {
    let wanted = spec.ports.iter().filter(|(_, port)| **port != 0);
    let mut wanted = wanted.peekable();
    if wanted.peek().is_none() || network(node, spec.backend.as_str()) == Network::Own {
        return Vec::new();
    }
    let mut taken = taken(state, node);
    let mut clashes = Vec::new();
    for (name, port) in wanted {
        match taken.get(port) {
            Some(holder) => clashes.push(Clash {
                name: name.clone(),
                port: *port,
                holder: holder.clone(),
            }),
            None => {
                taken.insert(*port, Holder::Sibling(name.clone()));
            }
        }
    }
    clashes
}

fn taken(state: &ControllerState, node: &NodeRow) -> BTreeMap<u16, Holder> {
    let mut taken = BTreeMap::new();
    for item in state.items_of(node.id) {
        let shared =
            Glance::of(item).filter(|glance| network(node, glance.backend()) == Network::Shared);
        let Some(glance) = shared else { continue };
        let holder = match item.is_tombstone() {
            true => Holder::Leaving(glance.name.to_owned()),
            false => Holder::Workload(glance.name.to_owned()),
        };
        taken.extend(glance.fixed_ports().map(|port| (port, holder.clone())));
    }
    taken
}

/// Whose network a backend's workloads are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    /// The node's: a port inside is a port of the node.
    Shared,
    /// Their own: the node maps a port of its own to the one inside.
    Own,
}

/// As the backend describes itself: `network = "mapped"` is a network of its own.
fn network(node: &NodeRow, backend: &str) -> Network {
    let network = plugin_of(node, backend).and_then(|plugin| plugin.attributes.get("network"));
    match network.map(String::as_str) {
        Some("mapped") => Network::Own,
        _ => Network::Shared,
    }
}

/// A node's plugin of this name. Beside an active one there may be a rejected newcomer.
pub(super) fn plugin_of<'a>(node: &'a NodeRow, backend: &str) -> Option<&'a Plugin> {
    let mut named = node.plugins.iter().filter(|plugin| plugin.name == backend);
    named
        .clone()
        .find(|plugin| plugin.state == PluginState::Active)
        .or_else(|| named.next())
}
