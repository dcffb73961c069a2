//! Lists, page by page.

use std::collections::BTreeMap;

use fleet_model::workload::WorkloadState;
use serde::{Deserialize, Serialize};

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The cursor of the next page; absent on the last one.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// A list that is complete.
    #[must_use]
    pub fn complete(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// Which workloads to list.
#[derive(Debug, Clone, Default)]
pub struct WorkloadQuery {
    /// Only those that carry all of these.
    pub labels: BTreeMap<String, String>,
    /// Only those in this state.
    pub state: Option<WorkloadState>,
}

impl WorkloadQuery {
    /// The query as the API reads it, for one page.
    pub(crate) fn pairs(&self, cursor: Option<&str>) -> Vec<(&'static str, String)> {
        let mut pairs = vec![("limit", PAGE.to_string())];
        pairs.extend(
            self.labels
                .iter()
                .map(|(key, value)| ("label", format!("{key}={value}"))),
        );
        pairs.extend(self.state.map(|state| ("state", state.to_string())));
        pairs.extend(cursor.map(|cursor| ("cursor", cursor.to_owned())));
        pairs
    }
}

/// How many entries one request asks for.
pub(crate) const PAGE: u32 = 200;
