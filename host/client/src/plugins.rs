//! Plugins: what is there, what was swapped, what is kept out.

use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::swap::{Quarantined, SwapReport};
use serde::{Deserialize, Serialize};

use crate::client::{Client, segment};
use crate::error::ClientError;
use crate::page::{PAGE, Page};
use crate::request::Ask;

/// A plugin with what wanted to take its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShownPlugin {
    /// What serves; where nothing does, the first file of that name.
    #[serde(flatten)]
    pub plugin: Plugin,
    /// What is refused beside it.
    #[serde(default)]
    pub newcomers: Vec<Newcomer>,
}

/// Something that has a plugin's name and is not in use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Newcomer {
    /// The file, relative to the plugin folder.
    pub file: String,
    /// SHA-256 of the component, in hex; absent where the file was never read.
    pub digest: Option<String>,
    /// The manifest's version; absent where the manifest cannot be read.
    pub version: Option<String>,
    /// Rejected or quarantined.
    pub state: PluginState,
    /// Why.
    pub reason: Option<String>,
}

/// A component that is not taken again until somebody allows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuarantinedOn {
    /// The name of the node.
    pub node: String,
    /// Which, since when, and why.
    #[serde(flatten)]
    pub component: Quarantined,
}

impl Client {
    /// All plugins of all nodes, all pages.
    ///
    /// # Errors
    /// As every call.
    pub async fn plugins(&self) -> Result<Page<Plugin>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut pairs = vec![("limit", PAGE.to_string())];
            pairs.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
            let page: Page<Plugin> = self.json(Ask::get("/api/v1/plugins").with(pairs)).await?;
            all.extend(page.items);
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(Page::complete(all)),
            }
        }
    }

    /// One plugin by name, on this node where several have it.
    ///
    /// # Errors
    /// As every call; `not-found`, `several-nodes`.
    pub async fn plugin(&self, name: &str, node: Option<&str>) -> Result<ShownPlugin, ClientError> {
        self.json(Ask::get(plugin_path(name, "")).with(on(node)))
            .await
    }

    /// One page of its swaps and rollbacks, the newest first.
    ///
    /// # Errors
    /// As every call; `not-found`, `several-nodes`.
    pub async fn plugin_history(
        &self,
        name: &str,
        node: Option<&str>,
        cursor: Option<&str>,
    ) -> Result<Page<SwapReport>, ClientError> {
        let mut pairs = on(node);
        pairs.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        self.json(Ask::get(plugin_path(name, "/history")).with(pairs))
            .await
    }

    /// Lets a component in again, on every node that keeps it out. `digest` is its SHA-256 in hex, or
    /// enough of it.
    ///
    /// # Errors
    /// As every call; `not-quarantined`, `several-digests`.
    pub async fn unquarantine(&self, digest: &str) -> Result<Page<QuarantinedOn>, ClientError> {
        let path = format!("/api/v1/quarantine/{}", segment(digest));
        self.json(Ask::delete(path)).await
    }
}

/// A path below a plugin.
pub(crate) fn plugin_path(name: &str, rest: &str) -> String {
    format!("/api/v1/plugins/{}{rest}", segment(name))
}

/// Which node is meant, as a query.
pub(crate) fn on(node: Option<&str>) -> Vec<(&'static str, String)> {
    node.map(|node| ("node", node.to_owned()))
        .into_iter()
        .collect()
}
