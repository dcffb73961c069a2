//! Plugins as their nodes last told of them.

use axum::extract::State;
use fleet_model::plugin::{Plugin, PluginState};
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::page::{self, Page};
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::target::Target;
use super::place::{none, place};
use crate::state::ControllerState;

/// A plugin with what wanted to take its place.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ShownPlugin {
    /// What serves; where nothing does, the first file of that name.
    #[serde(flatten)]
    plugin: Plugin,
    /// What is refused beside it, and why: the newest newcomer, and what was put into quarantine.
    newcomers: Vec<Newcomer>,
}

/// Something that has a plugin's name and is not in use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Newcomer {
    /// The file, relative to the plugin folder.
    file: String,
    /// SHA-256 of the component, in hex; absent where the file was never read.
    digest: Option<String>,
    /// The manifest's version; absent where the manifest cannot be read.
    version: Option<String>,
    /// `rejected` or `quarantined`.
    state: PluginState,
    /// Why.
    reason: Option<String>,
}

/// Every plugin on every node, by name, as last heard: what serves, and beside it what is refused.
#[utoipa::path(
    get, path = "/api/v1/plugins", operation_id = "list_plugins", tag = "plugins",
    params(
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent."),
        ("cursor" = Option<String>, Query, description = "`next` of the page before.")
    ),
    responses((status = 200, description = "a page of plugins", body = Page<Plugin>), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(crate) async fn list(
    State(api): State<Api>,
    mut params: Params,
) -> Result<axum::Json<Page<Plugin>>, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params.text("cursor")?;
    params.finish()?;
    let all = plugins(&api.inner.store.snapshot().state);
    let all = all.into_iter().map(|plugin| (cursor(&plugin), plugin));
    Ok(axum::Json(Page::cut(all, after.as_deref(), limit)))
}

/// One plugin. Where several nodes have it, `node` says which is meant.
#[utoipa::path(
    get, path = "/api/v1/plugins/{name}", operation_id = "show_plugin", tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's name."),
        ("node" = Option<String>, Query, description = "The name of a node that has it.")
    ),
    responses((status = 200, description = "the plugin", body = ShownPlugin), (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem))
)]
pub(crate) async fn show(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<axum::Json<ShownPlugin>, Problem> {
    let node = params.text("node")?;
    params.finish()?;
    let snapshot = api.inner.store.snapshot();
    let place = place(&snapshot.state, &name, node.as_deref())?;
    let mut all = plugins(&snapshot.state);
    all.retain(|plugin| plugin.name == name && plugin.node == place.name);
    // In the order of the list, what serves is before what is refused.
    let mut all = all.into_iter();
    let plugin = all.next().ok_or_else(|| none(&name))?;
    let newcomers = all.map(|plugin| Newcomer {
        file: plugin.file,
        digest: plugin.digest,
        version: plugin.version,
        state: plugin.state,
        reason: plugin.reason,
    });
    Ok(axum::Json(ShownPlugin {
        plugin,
        newcomers: newcomers.collect(),
    }))
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

/// A plugin's place in the list. Of one name, node and file there is what serves and what is refused.
fn cursor(plugin: &Plugin) -> String {
    let Plugin {
        name, node, file, ..
    } = plugin;
    let rank = u8::from(plugin.state != PluginState::Active);
    let digest = plugin.digest.as_deref().unwrap_or_default();
    format!("{name}/{node}/{rank}/{file}/{digest}")
}
