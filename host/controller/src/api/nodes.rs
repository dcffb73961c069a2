//! `/api/v1/nodes`: the machines, to look at.

use std::collections::BTreeMap;

use axum::extract::State;
use fleet_model::id::{NodeId, RunId};
use serde::Serialize;
use utoipa::ToSchema;

use super::Api;
use super::page::{self, Page};
use super::params::Params;
use super::problem::Problem;
use crate::session::Registry;
use crate::state::{Connection, NodeRow};

/// Whether a node can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NodeState {
    /// It has a session.
    Connected,
    /// Its last session ended.
    Disconnected,
    /// It fell silent.
    Unknown,
}

/// One node.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Node {
    /// Its id.
    id: NodeId,
    /// Its name.
    name: String,
    /// Its labels.
    labels: BTreeMap<String, String>,
    /// Whether it can be reached.
    state: NodeState,
    /// Its host's version.
    host_version: String,
    /// The start of its host that was last heard.
    run_id: RunId,
    /// The boot of its machine at that time.
    machine_boot_id: String,
    /// The counter of its newest session.
    session: u64,
    /// When it was last heard, in Unix milliseconds.
    last_seen_ms: u64,
}

/// Nodes, in the order in which they were made.
#[utoipa::path(
    get, path = "/api/v1/nodes", operation_id = "list_nodes", tag = "nodes",
    params(
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before.")
    ),
    responses((status = 200, description = "a page of nodes", body = Page<Node>), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(super) async fn list(
    State(api): State<Api>,
    mut params: Params,
) -> Result<axum::Json<Page<Node>>, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params.read::<NodeId>("cursor", "`next` of the page before")?;
    params.finish()?;
    let snapshot = api.inner.store.snapshot();
    let mut rows = snapshot
        .state
        .nodes
        .values()
        .filter(|row| after.is_none_or(|after| row.id > after))
        .peekable();
    let items: Vec<_> = rows
        .by_ref()
        .take(limit)
        .map(|row| shown(row, &api.inner.registry))
        .collect();
    let next = items
        .last()
        .filter(|_| rows.peek().is_some())
        .map(|last| last.id.to_string());
    Ok(axum::Json(Page { items, next }))
}

fn shown(row: &NodeRow, registry: &Registry) -> Node {
    let live = registry.get(row.id);
    let state = match (&live, row.connection) {
        (Some(_), _) => NodeState::Connected,
        (None, Connection::Unknown) => NodeState::Unknown,
        (None, Connection::Connected | Connection::Disconnected) => NodeState::Disconnected,
    };
    Node {
        id: row.id,
        name: row.name.clone(),
        labels: row.labels.clone(),
        state,
        host_version: row.host_version.clone(),
        run_id: row.run_id,
        machine_boot_id: row.machine_boot_id.clone(),
        session: row.session.issued,
        last_seen_ms: live.map_or(row.last_seen_ms, |live| live.heard.unix_ms()),
    }
}
