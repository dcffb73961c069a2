//! A workload by its id or its name. A name has no `_`, an id has one: they never meet.

use std::sync::Arc;

use fleet_model::item::ItemKey;
use fleet_model::{Error, Name, WorkloadId};

use crate::state::{ControllerState, ItemRow, NodeRow, WorkloadRow, item_key};

/// A workload's rows.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// Who and where it is.
    pub(crate) at: Arc<WorkloadRow>,
    /// What should be and what is.
    pub(crate) item: Arc<ItemRow>,
    /// Its node.
    pub(crate) node: Option<Arc<NodeRow>>,
}

impl Found {
    /// The rows of a directory entry.
    ///
    /// # Errors
    /// `internal` where the item is missing: the two are written together.
    pub(crate) fn at(state: &ControllerState, at: &Arc<WorkloadRow>) -> Result<Self, Error> {
        let key = item_key(at.node, &ItemKey::workload(at.id));
        let item = state.items.get(&key).cloned().ok_or_else(|| {
            Error::internal(
                "directory",
                format!(
                    "workload {} is listed and has no item: restore a backup and report this",
                    at.id
                ),
            )
        })?;
        Ok(Self {
            at: at.clone(),
            item,
            node: state.nodes.get(&at.node).cloned(),
        })
    }
}

/// Finds a workload.
///
/// # Errors
/// `not-found`.
pub(crate) fn find(state: &ControllerState, text: &str) -> Result<Found, Error> {
    let id = match text.parse::<WorkloadId>() {
        Ok(id) => Some(id),
        Err(_) => text
            .parse::<Name>()
            .ok()
            .and_then(|name| state.names.get(&name))
            .map(|row| row.id),
    };
    match id.and_then(|id| state.workloads.get(&id)) {
        Some(at) => Found::at(state, at),
        None => Err(Error::not_found(
            "workload-not-found",
            format!(
                "there is no workload `{}`: `fleet-host workload ls` shows those there are",
                crate::api::shorten(text)
            ),
        )),
    }
}
