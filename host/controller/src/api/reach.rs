//! The way to a workload at its node.

use fleet_model::Error;
use fleet_model::item::{Generation, ItemKey};

use super::Api;
use super::logs::away;
use crate::session::Live;
use crate::workload::find;

/// A workload whose node has a session.
pub(super) struct Reached {
    pub(super) item: ItemKey,
    /// The intent this controller knows.
    pub(super) generation: Generation,
    /// The node's name, for people.
    pub(super) node_name: String,
    pub(super) live: Live,
}

/// Finds it by name or id; `what` is at its node.
///
/// # Errors
/// `not-found`; `unavailable` (`node-away`); `conflict` for one that is being removed.
pub(super) fn reach(api: &Api, name: &str, what: &str) -> Result<Reached, Error> {
    let found = find(&api.inner.store.snapshot().state, name)?;
    if found.item.is_tombstone() {
        return Err(Error::conflict(
            "being-removed",
            format!("workload `{name}` is being removed"),
        ));
    }
    let node_name = found
        .node
        .as_ref()
        .map_or_else(|| found.at.node.to_string(), |node| node.name.clone());
    let live = api
        .inner
        .registry
        .get(found.at.node)
        .ok_or_else(|| away(&node_name, what))?;
    Ok(Reached {
        item: found.item.id.clone(),
        generation: found.item.generation,
        node_name,
        live,
    })
}
