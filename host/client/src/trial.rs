//! What would become of a workload, without one being made.

use std::collections::BTreeMap;

use fleet_model::workload::WorkloadSpec;
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::error::ClientError;
use crate::request::Ask;

/// The answer to "would this be accepted?".
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Whether it would be.
    pub admitted: bool,
    /// Everything against it.
    #[serde(default)]
    pub reasons: Vec<Reason>,
    /// The name of the node it would go to.
    pub node: Option<String>,
    /// What speaks against each node.
    #[serde(default)]
    pub placement: Vec<Placement>,
    /// What would be accepted and is probably not meant.
    #[serde(default)]
    pub warnings: Vec<Reason>,
    /// The spec as it would be kept.
    pub spec: WorkloadSpec,
}

/// Something to be said of a spec.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Stable, for matching.
    pub code: String,
    /// What is wrong and what to do about it.
    pub detail: String,
    /// More facts, by name: `pointer` says where in the spec (RFC 6901).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub details: BTreeMap<String, String>,
}

/// A node, as far as placement looked at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placement {
    /// Its name.
    pub node: String,
    /// Whether the workload would go there.
    pub chosen: bool,
    /// Why not there.
    pub reason: Option<String>,
}

impl Client {
    /// Says what would become of a workload. Nothing is changed, so nothing has a key.
    ///
    /// # Errors
    /// As every call; not where the workload would be refused: that is an answer.
    pub async fn try_out(&self, spec: &WorkloadSpec) -> Result<Trial, ClientError> {
        let body = serde_json::to_value(spec).unwrap_or_default();
        let ask = Ask::post("/api/v1/workloads", body).without_effect();
        self.json(ask.with(vec![("dry_run", "true".to_owned())]))
            .await
    }
}
