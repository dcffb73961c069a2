//! How a workload is shown: what was asked for, and what is known of it now. Pure.
//!
//! The state is what the node reported, unless that cannot be so any more: a report of an older
//! intent, of an earlier session, or of a node that cannot be reached says how it was. What has
//! ended stays ended, whoever is away.

use fleet_model::item::ItemStatus;
use fleet_model::workload::{Desired, Workload, WorkloadIntent, WorkloadState, WorkloadStatus};
use fleet_model::{Attempt, Error};
use serde::Deserialize;

use super::change::{Current, Ended};
use crate::session::Reach;
use crate::state::{ItemRow, NodeRow};
use crate::workload::Found;

/// Shows a workload.
///
/// # Errors
/// `internal` where the stored intent cannot be read.
pub(crate) fn view(found: &Found, reach: Reach) -> Result<Workload, Error> {
    let Found { at, item, node } = found;
    let intent = intent(item)?;
    let status = item.status.as_ref().and_then(detail);
    let freshness = freshness(item, node.as_deref(), reach);
    let state = state(item, intent.desired, status.as_ref(), freshness);
    let node_name = node
        .as_ref()
        .map_or_else(|| at.node.to_string(), |node| node.name.clone());
    let message = message(state, status.as_ref(), freshness, &node_name);
    let exit = status
        .as_ref()
        .and_then(|status| status.exit.as_ref())
        .filter(|_| state.has_ended() || state == WorkloadState::Restarting);
    Ok(Workload {
        id: at.id,
        name: at.name.clone(),
        backend: intent.spec.backend.clone(),
        node: node_name,
        node_id: at.node,
        state,
        desired: intent.desired,
        exit_code: exit.map(|exit| exit.code),
        generation: item.generation,
        observed_generation: item.status.as_ref().map(|status| status.generation),
        attempt: status.as_ref().map_or(Attempt(0), |status| status.attempt),
        ports: status
            .as_ref()
            .map(|status| status.ports.clone())
            .unwrap_or_default(),
        labels: intent.spec.labels.clone(),
        attributes: status
            .as_ref()
            .map(|status| status.attributes.clone())
            .unwrap_or_default(),
        message,
        error: item.status.as_ref().and_then(|status| status.error.clone()),
        created_at_ms: item.created_at_ms,
        started_at_ms: status
            .as_ref()
            .and_then(|status| status.started_at_ms)
            .filter(|_| state != WorkloadState::Pending),
        finished_at_ms: exit.and_then(|exit| exit.at_ms),
        expires_at_ms: at.expires.as_ref().map(|expiry| expiry.at_ms),
        removing: item.is_tombstone(),
        spec: intent.spec,
    })
}

/// The intent and how it stands, for a decision.
///
/// # Errors
/// `internal` where the stored intent cannot be read.
pub(crate) fn current(item: &ItemRow) -> Result<Current, Error> {
    let status = item
        .status
        .as_ref()
        .filter(|status| status.generation == item.generation)
        .and_then(detail);
    let ended = match status {
        Some(status) if status.state.has_ended() => Ended::Yes,
        _ => Ended::NotYet,
    };
    Ok(Current {
        intent: intent(item)?,
        standing: item.standing,
        ended,
    })
}

fn intent(item: &ItemRow) -> Result<WorkloadIntent, Error> {
    WorkloadIntent::deserialize(&item.intent).map_err(|error| {
        Error::internal("intent", format!("the stored intent of {} cannot be read ({error}): use the fleet-host that wrote it", item.id))
    })
}

/// What a node reports of a workload; nothing where it reports in another shape.
pub(crate) fn detail(status: &ItemStatus) -> Option<WorkloadStatus> {
    WorkloadStatus::deserialize(&status.detail).ok()
}

/// Whether a report says how it is, or how it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// It came in the session that stands.
    Fresh,
    /// The node is there and has not reported in this session.
    NotYet,
    /// The node cannot be reached.
    Away,
}

fn freshness(item: &ItemRow, node: Option<&NodeRow>, reach: Reach) -> Freshness {
    match (reach, node) {
        (Reach::Online, Some(node)) if node.session.confirmed == item.reported_in => {
            Freshness::Fresh
        }
        (Reach::Online, _) => Freshness::NotYet,
        (Reach::Offline, _) => Freshness::Away,
    }
}

fn state(
    item: &ItemRow,
    desired: Desired,
    status: Option<&WorkloadStatus>,
    freshness: Freshness,
) -> WorkloadState {
    use WorkloadState::{Pending, Restarting, Running, Starting, Stopping, Unknown};
    let Some(status) = status else { return Pending };
    let observed = item.status.as_ref().map(|status| status.generation);
    let is_current = observed == Some(item.generation);
    let should_run = desired == Desired::Running && !item.is_tombstone();
    match status.state {
        // It ended under an intent before this one, and is to run again.
        ended if ended.has_ended() && should_run && !is_current => Pending,
        ended if ended.has_ended() => ended,
        _ if freshness != Freshness::Fresh => Unknown,
        _ if should_run && !is_current => Pending,
        Pending | Starting | Running | Restarting if !should_run => Stopping,
        reported => reported,
    }
}

fn message(
    state: WorkloadState,
    status: Option<&WorkloadStatus>,
    freshness: Freshness,
    node: &str,
) -> Option<String> {
    let reported = status.map(|status| status.state);
    match (freshness, state, reported) {
        (_, state, _) if state.has_ended() => status.and_then(|status| status.message.clone()),
        (Freshness::Away, WorkloadState::Unknown, Some(was)) => Some(format!(
            "node {node} is not connected; at last it was {was}"
        )),
        (Freshness::Away, ..) => Some(format!(
            "node {node} is not connected; it will be told when it is back"
        )),
        (Freshness::NotYet, WorkloadState::Unknown, Some(was)) => Some(format!(
            "node {node} is back and has not reported yet; at last it was {was}"
        )),
        (_, WorkloadState::Pending, _) => None,
        _ => status.and_then(|status| status.message.clone()),
    }
}
