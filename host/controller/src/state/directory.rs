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
    /// When it will be removed; absent where it has no ttl, or is on its way out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<Expiry>,
}

/// When a workload's time is over, by two clocks: `expiry` says which of them decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiry {
    /// In Unix milliseconds.
    pub(crate) at_ms: u64,
    /// The boot of the controller's machine in which it was set; empty where that is not known.
    pub(crate) boot: String,
    /// By the boot clock of that boot, in milliseconds.
    pub(crate) boot_ms: u64,
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
