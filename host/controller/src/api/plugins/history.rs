//! What was swapped, and how it ended.

use axum::extract::State;
use fleet_model::swap::SwapReport;
use fleet_protocol::plugin::{MAX_PAGE, PluginCall, Reply};

use super::super::Api;
use super::super::page::{self, Page};
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::target::Target;
use super::ask::{ask, foreign, problem};
use super::place::place;
use super::swap::plugin;

/// The swaps and rollbacks of a plugin, the newest first; the last 64 are kept.
#[utoipa::path(
    get, path = "/api/v1/plugins/{name}/history", operation_id = "plugin_history", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name."),
        ("node" = Option<String>, Query, description = "The name of a node that has it; needed where several do."),
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent. No page has more than 64."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before.")
    ),
    responses(
        (status = 200, description = "a page of reports", body = Page<SwapReport>),
        (status = "default", description = "a problem; 503 while the node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn history(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<axum::Json<Page<SwapReport>>, Problem> {
    let node = params.text("node")?;
    let limit = page::limit(&mut params)?;
    let before = params.read::<u64>("cursor", "`next` of the page before")?;
    params.finish()?;
    let place = place(&api.inner.store.snapshot().state, &name, node.as_deref())?;
    let call = PluginCall::History {
        plugin: plugin(&name)?,
        before,
        limit: u32::try_from(limit).unwrap_or(MAX_PAGE).min(MAX_PAGE),
    };
    match ask(&api, place, call).await.map_err(problem)? {
        Reply::History { reports, next } => Ok(axum::Json(Page {
            items: reports,
            next: next.map(|next| next.to_string()),
        })),
        _ => Err(foreign().into()),
    }
}
