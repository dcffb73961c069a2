//! Workloads of a host that runs.

use std::time::Duration;

use fleet_client::Client;
use fleet_model::workload::{Workload, WorkloadSpec, WorkloadState};
use serde_json::Value;

use crate::Result;

/// How long one may take to come there.
const LIMIT: Duration = Duration::from_secs(300);
/// How often to look.
const LOOK: Duration = Duration::from_millis(5);

/// Creates one and waits until it runs.
pub(crate) async fn running(client: &Client, spec: Value) -> Result<Workload> {
    until(client, spec, WorkloadState::Running).await
}

/// Creates one and waits until it has ended.
pub(crate) async fn printed(client: &Client, spec: Value) -> Result<Workload> {
    until(client, spec, WorkloadState::Exited).await
}

async fn until(client: &Client, spec: Value, state: WorkloadState) -> Result<Workload> {
    let spec: WorkloadSpec = serde_json::from_value(spec)?;
    let made = client.create(&spec).await?;
    let wait = async {
        loop {
            let seen = client.workload(made.name.as_str()).await?;
            if seen.state == state {
                return Ok(seen);
            }
            if seen.state == WorkloadState::Failed {
                return Err(format!("it has failed: {}", serde_json::to_string(&seen)?).into());
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::time::timeout(LIMIT, wait).await.map_err(|_| {
        format!(
            "`{}` is not {state:?} after {} s",
            made.name,
            LIMIT.as_secs()
        )
    })?
}
