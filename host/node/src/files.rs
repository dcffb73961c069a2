//! The folders of workloads, as far as the node itself touches them.

use async_trait::async_trait;
use fleet_capability::workspace::Workspaces;
use fleet_model::{Error, WorkloadId};

/// Workspaces and logs of workloads, owned by the host whatever the backend.
#[async_trait]
pub trait Files: Send + Sync + 'static {
    /// Removes all files of a workload. Fine if there are none.
    async fn remove(&self, workload: WorkloadId) -> Result<(), Error>;
}

#[async_trait]
impl Files for Workspaces {
    async fn remove(&self, workload: WorkloadId) -> Result<(), Error> {
        let folders = self.clone();
        tokio::task::spawn_blocking(move || Workspaces::remove(&folders, workload))
            .await
            .map_err(|_| Error::internal("files", "removing a workload's folder was cut short"))?
    }
}
