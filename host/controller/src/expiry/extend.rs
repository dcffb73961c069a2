//! Puts a workload's end off.

use fleet_model::Error;
use fleet_model::quantity::Span;
use fleet_model::workload::Workload;
use fleet_store::Tx;

use super::Moment;
use crate::controller::Inner;
use crate::idempotency::{Answer, Keyed, once};
use crate::journal::{Journal, about_workload};
use crate::refusal::{Refusal, write_failed};
use crate::session::Registry;
use crate::state::{ControllerState, WorkloadRow};
use crate::workload::{admit, find, removing, view};

/// HTTP 200.
const OK: u16 = 200;

impl Inner {
    /// Lets a workload exist for so much longer. As long as it is not on its way out, that is possible,
    /// also when its time was over a moment ago.
    ///
    /// # Errors
    /// `invalid-ttl`, `no-ttl`, `workload-removing`, `not-found`; what the writer says.
    pub(crate) async fn extend_workload(
        &self,
        name: String,
        by: Span,
        keyed: Option<Keyed>,
    ) -> Result<Answer, Refusal> {
        if let Some(error) = admit::ttl(by) {
            return Err(error.into());
        }
        let (journal, now, registry) = (self.journal(), self.moment(), self.registry.clone());
        let written = self.store.write(move |tx| {
            once(tx, keyed, journal.at_ms, OK, |tx| {
                extend(tx, journal, &now, &registry, &name, by)
            })
        });
        Ok(written.await.map_err(write_failed)?)
    }
}

fn extend(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    now: &Moment,
    registry: &Registry,
    name: &str,
    by: Span,
) -> Result<Workload, Error> {
    let found = find(tx.state(), name)?;
    if found.item.is_tombstone() {
        return Err(removing(&found.at.name));
    }
    let Some(expiry) = &found.at.expires else {
        let message = format!(
            "workload `{}` has no ttl and exists until it is removed: there is nothing to extend",
            found.at.name
        );
        return Err(Error::conflict("no-ttl", message));
    };
    let expiry = expiry.extended(now, by.as_ms())?;
    let mut event = about_workload(
        "workload.extended",
        &found.at,
        found.item.generation,
        format!("may exist for {by} more"),
    );
    event
        .details
        .insert("expires_at_ms".to_owned(), expiry.at_ms.to_string());
    journal.record(tx, event);
    tx.put(WorkloadRow {
        expires: Some(expiry),
        ..WorkloadRow::clone(&found.at)
    });
    view(&find(tx.state(), name)?, registry.reach(found.at.node))
}
