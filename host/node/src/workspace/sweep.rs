//! Uploads that nobody went on with are removed, at the start and then every hour or so.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::WorkloadId;

use crate::context::Context;
use crate::files::blocking;

/// How long what arrived is kept for whoever goes on with it.
const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// About how long between two looks.
const PAUSE: Duration = Duration::from_secs(60 * 60);

/// Looks now and then; never ends.
pub(crate) async fn watch(context: &Arc<Context>) {
    loop {
        for workload in workloads(context) {
            if let Err(error) = sweep(context, workload).await {
                tracing::debug!(%workload, %error, "its old uploads cannot be removed");
            }
        }
        context.clock.sleep(context.entropy.jitter(PAUSE)).await;
    }
}

fn workloads(context: &Context) -> Vec<WorkloadId> {
    let snapshot = context.store.snapshot();
    let records = snapshot.state.items.values();
    records
        .filter(|record| !record.removed)
        .filter_map(|record| record.item.id.key.parse().ok())
        .collect()
}

async fn sweep(context: &Context, workload: WorkloadId) -> Result<(), fleet_model::Error> {
    let kept_ms = u64::try_from(KEPT.as_millis()).unwrap_or(u64::MAX);
    let before_ms = context.clock.unix_ms().saturating_sub(kept_ms);
    let tree = match context.files.tree(workload).await {
        Err(error) if error.code == "no-workspace" => return Ok(()),
        tree => tree?,
    };
    let removed = blocking(move || tree.remove_uploads_before(before_ms)).await?;
    if removed > 0 {
        tracing::info!(%workload, removed, "removed uploads that nobody went on with");
    }
    Ok(())
}
