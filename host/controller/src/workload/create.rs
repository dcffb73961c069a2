//! Writes a new workload down: name, place and intent, in one transaction.

use fleet_model::item::{Generation, ItemKey, Mode};
use fleet_model::workload::{DEFAULT_GRACE_MS, Desired, Workload, WorkloadIntent, WorkloadSpec};
use fleet_model::{Error, Name, NodeId, WorkloadId};
use fleet_store::Tx;

use super::names::{no_name, taken};
use super::{admit, apply, find, view};
use crate::expiry::Moment;
use crate::journal::{Journal, about_workload};
use crate::placement;
use crate::session::Reach;
use crate::state::{ControllerState, Expiry, ItemRow, NameRow, NodeRow, Standing, WorkloadRow};

/// A workload that was judged and may be accepted.
pub(super) struct Newcomer {
    /// Its id.
    pub(super) id: WorkloadId,
    /// Where it goes.
    pub(super) node: NodeId,
    /// The name it was given, or some made up: it gets the first that is free.
    pub(super) names: Vec<Name>,
    /// What was asked for.
    pub(super) spec: WorkloadSpec,
    /// Whether the node can be told.
    pub(super) reach: Reach,
}

/// Accepts it.
///
/// # Errors
/// What has been taken or removed since it was judged: its name, a port, a secret.
pub(super) fn create(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    now: &Moment,
    newcomer: Newcomer,
) -> Result<Workload, Error> {
    let name = free_name(tx.state(), &newcomer.names)?;
    still_there(tx.state(), &newcomer)?;
    let Newcomer {
        id,
        node,
        spec,
        reach,
        ..
    } = newcomer;
    let message = format!("accepted for backend {}", spec.backend);
    let at = WorkloadRow {
        id,
        name: name.clone(),
        node,
        expires: spec.ttl.map(|ttl| Expiry::after(now, ttl.as_ms())),
    };
    let intent = WorkloadIntent {
        name: name.clone(),
        desired: Desired::Running,
        grace_ms: DEFAULT_GRACE_MS,
        spec,
    };
    let item = ItemRow {
        node,
        id: ItemKey::workload(id),
        generation: Generation(tx.revision()),
        intent: apply::value(&intent)?,
        standing: Standing::Wanted,
        mode: Mode::default(),
        status: None,
        reported_in: 0,
        created_at_ms: journal.at_ms,
        changed_at_ms: journal.at_ms,
    };
    journal.record(
        tx,
        about_workload("workload.created", &at, item.generation, message),
    );
    tx.put(item);
    tx.put(NameRow { name, id });
    tx.put(at);
    view(&find(tx.state(), &id.to_string())?, reach)
}

fn free_name(state: &ControllerState, names: &[Name]) -> Result<Name, Error> {
    match names.iter().find(|name| !state.names.contains(*name)) {
        Some(name) => Ok(name.clone()),
        None => Err(names
            .iter()
            .find_map(|name| taken(state, name))
            .unwrap_or_else(no_name)),
    }
}

/// What it needs is judged again where every change before it is seen.
fn still_there(state: &ControllerState, newcomer: &Newcomer) -> Result<(), Error> {
    let Newcomer { node, spec, .. } = newcomer;
    if let Some(error) = admit::secrets(spec, state).into_iter().next() {
        return Err(error);
    }
    let clash = state
        .nodes
        .get(node)
        .and_then(|node: &std::sync::Arc<NodeRow>| {
            placement::clashes(state, node, spec).into_iter().next()
        });
    match clash {
        Some(clash) => Err(clash.into()),
        None => Ok(()),
    }
}
