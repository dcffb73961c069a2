//! Which node a plugin is on.

use fleet_model::{Error, NodeId};

use super::super::shorten;
use crate::state::ControllerState;

/// A node that has it.
pub(super) struct Place {
    pub(super) node: NodeId,
    /// The node's name.
    pub(super) name: String,
}

/// The node that has a plugin of this name, or of several the one that is meant.
///
/// # Errors
/// `not-found` (`plugin-not-found`); `conflict` (`several-nodes`).
pub(super) fn place(
    state: &ControllerState,
    plugin: &str,
    node: Option<&str>,
) -> Result<Place, Error> {
    let mut places = state.nodes.values().filter(|row| {
        let is_meant = node.is_none_or(|node| row.name == node);
        is_meant && row.plugins.iter().any(|one| one.name == plugin)
    });
    let Some(first) = places.next() else {
        return Err(none(plugin));
    };
    let mut names = vec![first.name.as_str()];
    names.extend(places.map(|row| row.name.as_str()));
    if names.len() > 1 {
        let message = format!(
            "plugin `{}` is on the nodes {}: say which with `node=NAME`",
            shorten(plugin),
            names.join(", ")
        );
        return Err(Error::conflict("several-nodes", message));
    }
    Ok(Place {
        node: first.id,
        name: first.name.clone(),
    })
}

/// What is told where nothing has this name.
pub(super) fn none(plugin: &str) -> Error {
    let message = format!(
        "there is no plugin `{}`: `fleet-host plugin ls` shows those there are",
        shorten(plugin)
    );
    Error::not_found("plugin-not-found", message)
}
