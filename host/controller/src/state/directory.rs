//! Where to find a workload's item.

use fleet_model::Name;
use fleet_model::id::{NodeId, WorkloadId};
use fleet_store::Row;
use serde::{Deserialize, Serialize};

/// Where a workload is now. Rows are in the order in which workloads were accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkloadRow {
    /// The workload.
    pub(crate) id: WorkloadId,
    /// Its name.
    pub(crate) name: Name,
    /// The node its item belongs to.
    pub(crate) node: NodeId,
}

impl Row for WorkloadRow {
    type Key = WorkloadId;

    fn key(&self) -> WorkloadId {
        self.id
    }
}

/// Whose a name is, until the workload is gone with all that was made for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NameRow {
    /// The name.
    pub(crate) name: Name,
    /// The workload.
    pub(crate) id: WorkloadId,
}

impl Row for NameRow {
    type Key = Name;

    fn key(&self) -> Name {
        self.name.clone()
    }
}
