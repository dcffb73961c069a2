//! After a restart: asks each backend once, in pages, what became of the runs it had.
//!
//! What cannot be asked here is looked at one by one later; nothing is ever started by this.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_model::Name;
use fleet_model::driver::{Handle, Observation};
use fleet_model::item::ItemKey;

use crate::context::Context;
use crate::state::Stage;

/// Handles per call.
const PAGE: usize = 64;

/// What became of every run that was started and is not over, as far as backends can be asked now.
pub(crate) async fn recover(context: &Arc<Context>) -> BTreeMap<ItemKey, Observation> {
    let mut found = BTreeMap::new();
    for (backend, runs) in started(context) {
        let Ok(driver) = context.drivers.driver(&backend) else {
            continue;
        };
        for page in runs.chunks(PAGE) {
            let handles: Vec<Handle> = page.iter().map(|(_, handle)| handle.clone()).collect();
            match driver.recover(&handles).await {
                Ok(seen) if seen.len() == page.len() => {
                    found.extend(page.iter().map(|(key, _)| key.clone()).zip(seen));
                }
                Ok(seen) => {
                    tracing::warn!(%backend, asked = page.len(), answered = seen.len(), "recover did not answer for every handle; each is looked at alone");
                }
                Err(error) => {
                    tracing::warn!(%backend, %error, "recover failed; each run is looked at alone");
                    break;
                }
            }
        }
    }
    found
}

fn started(context: &Context) -> BTreeMap<Name, Vec<(ItemKey, Handle)>> {
    let snapshot = context.store.snapshot();
    let mut by_backend = BTreeMap::<Name, Vec<_>>::new();
    for record in snapshot.state.items.values() {
        if let Some(run) = &record.run
            && run.stage == Stage::Started
            && let Some(handle) = &run.handle
        {
            by_backend
                .entry(run.backend.clone())
                .or_default()
                .push((record.item.id.clone(), handle.clone()));
        }
    }
    by_backend
}
