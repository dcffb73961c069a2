//! `/api/v1/plugins`: what the nodes can do, and why not more.

use axum::extract::State;
use fleet_model::Error;
use fleet_model::plugin::{Plugin, PluginState};

use super::page::{self, Page};
use super::params::Params;
use super::problem::Problem;
use super::target::Target;
use super::{Api, shorten};
use crate::state::ControllerState;

/// Every plugin file on every node, by name, as last heard.
#[utoipa::path(
    get, path = "/api/v1/plugins", operation_id = "list_plugins", tag = "plugins",
    params(
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before.")
    ),
    responses((status = 200, description = "a page of plugins", body = Page<Plugin>), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(super) async fn list(
    State(api): State<Api>,
    mut params: Params,
) -> Result<axum::Json<Page<Plugin>>, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params.text("cursor")?;
    params.finish()?;
    let all = plugins(&api.inner.store.snapshot().state);
    let mut rest = all
        .into_iter()
        .map(|plugin| (cursor(&plugin), plugin))
        .skip_while(|(at, _)| after.as_ref().is_some_and(|after| at <= after))
        .peekable();
    let page: Vec<_> = rest.by_ref().take(limit).collect();
    let next = page
        .last()
        .filter(|_| rest.peek().is_some())
        .map(|(at, _)| at.clone());
    Ok(axum::Json(Page {
        items: page.into_iter().map(|(_, plugin)| plugin).collect(),
        next,
    }))
}

/// One plugin. Where several nodes have it, `node` says which is meant.
#[utoipa::path(
    get, path = "/api/v1/plugins/{name}", operation_id = "show_plugin", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name."),
        ("node" = Option<String>, Query, description = "The name of a node that has it.")
    ),
    responses((status = 200, description = "the plugin", body = Plugin), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(super) async fn show(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<axum::Json<Plugin>, Problem> {
    let node = params.text("node")?;
    params.finish()?;
    let mut all = plugins(&api.inner.store.snapshot().state);
    all.retain(|plugin| {
        plugin.name == name && node.as_ref().is_none_or(|node| plugin.node == *node)
    });
    let mut nodes: Vec<_> = all.iter().map(|plugin| plugin.node.clone()).collect();
    nodes.dedup();
    if nodes.len() > 1 {
        let message = format!(
            "plugin `{}` is on the nodes {}: say which with `node=NAME`",
            shorten(&name),
            nodes.join(", ")
        );
        return Err(Error::conflict("several-nodes", message).into());
    }
    // Of two files of one name on one node, the one that is in use is meant.
    let in_use = all
        .iter()
        .position(|plugin| plugin.state == PluginState::Active)
        .unwrap_or(0);
    match all.into_iter().nth(in_use) {
        Some(plugin) => Ok(axum::Json(plugin)),
        None => {
            let message = format!(
                "there is no plugin `{}`: `fleet-host plugin ls` shows those there are",
                shorten(&name)
            );
            Err(Error::not_found("plugin-not-found", message).into())
        }
    }
}

/// All plugins of all nodes, ordered as their cursors are.
fn plugins(state: &ControllerState) -> Vec<Plugin> {
    let named = |node: &str, plugin: &Plugin| Plugin {
        node: node.to_owned(),
        ..plugin.clone()
    };
    let mut all: Vec<_> = state
        .nodes
        .values()
        .flat_map(|row| {
            row.plugins
                .iter()
                .map(move |plugin| named(&row.name, plugin))
        })
        .collect();
    all.sort_by_cached_key(cursor);
    all
}

/// A plugin's place in the list.
fn cursor(plugin: &Plugin) -> String {
    format!("{}/{}/{}", plugin.name, plugin.node, plugin.file)
}
