//! Events: what happened, in order, for people and programs that follow.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::item::Generation;

/// Something that happened. Durable; `seq` rises by one and is the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Event {
    /// Its place in the order; the `id` of the server-sent event.
    #[serde(default)]
    pub seq: u64,
    /// When the controller stored it, in Unix milliseconds.
    #[serde(default)]
    pub at_ms: u64,
    /// What: `workload.created`, `workload.running`, `workload.exited`, `plugin.rejected`, ...
    #[serde(rename = "type")]
    pub kind: String,
    /// About what: a workload's or node's id, a plugin's name.
    pub subject: String,
    /// Its name, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The intent it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<Generation>,
    /// One line for people.
    pub message: String,
    /// More facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}
