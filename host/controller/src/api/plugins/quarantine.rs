//! Components that are not taken again until somebody allows it.

use axum::extract::State;
use fleet_model::Error;
use fleet_model::swap::Quarantined;
use fleet_protocol::plugin::{PluginCall, Reply};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::page::Page;
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::shorten;
use super::super::target::Target;
use super::ask::{ask, foreign, problem};
use super::heard::allowed;
use super::place::Place;

/// A component in quarantine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct QuarantinedOn {
    /// The name of the node.
    node: String,
    /// Which, since when, and why.
    #[serde(flatten)]
    component: Quarantined,
}

/// Lets a component in again, on every node that has it in quarantine. Nothing is swapped by this.
#[utoipa::path(
    delete, path = "/api/v1/quarantine/{digest}", operation_id = "unquarantine", tag = "plugins",
    params(
        ("digest" = String, Path, description = "Its SHA-256 in hex, or the first 8 digits and more."),
        ("node" = Option<String>, Query, description = "Only on the node of this name.")
    ),
    responses(
        (status = 200, description = "let in again: what it was", body = Page<QuarantinedOn>),
        (status = "default", description = "a problem: `not-quarantined`, `several-digests`; 503 while a node that may have it is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn unquarantine(
    State(api): State<Api>,
    Target(digest): Target,
    mut params: Params,
) -> Result<axum::Json<Page<QuarantinedOn>>, Problem> {
    let node = params.text("node")?;
    params.finish()?;
    let places: Vec<Place> = {
        let snapshot = api.inner.store.snapshot();
        let rows = snapshot.state.nodes.values();
        rows.filter(|row| node.as_ref().is_none_or(|node| row.name == *node))
            .map(|row| Place {
                node: row.id,
                name: row.name.clone(),
            })
            .collect()
    };
    let asked = places.into_iter().map(|place| {
        let (api, digest) = (api.clone(), digest.clone());
        async move {
            let (id, node) = (place.node, place.name.clone());
            let answer = ask(&api, place, PluginCall::Unquarantine { digest }).await;
            if let Ok(Reply::Allowed { entries }) = &answer {
                for component in entries {
                    allowed(&api, id, &component.digest).await;
                }
            }
            (node, answer)
        }
    });
    let (mut items, mut refusal) = (Vec::new(), None);
    for (node, answer) in futures::future::join_all(asked).await {
        match answer {
            Ok(Reply::Allowed { entries }) => {
                items.extend(entries.into_iter().map(|component| QuarantinedOn {
                    node: node.clone(),
                    component,
                }));
            }
            Ok(_) => return Err(foreign().into()),
            // A node that knows nothing of it says less than one that cannot be asked.
            Err(error) if error.code == "not-quarantined" => {
                refusal.get_or_insert(error);
            }
            Err(error) => refusal = Some(error),
        }
    }
    if items.is_empty() {
        return Err(problem(refusal.unwrap_or_else(|| unknown(&digest))));
    }
    Ok(axum::Json(Page { items, next: None }))
}

fn unknown(digest: &str) -> Error {
    Error::not_found(
        "not-quarantined",
        format!(
            "nothing in quarantine has the digest `{}`: `fleet-host plugin ls` shows what is",
            shorten(digest)
        ),
    )
}
