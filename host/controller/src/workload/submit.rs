//! Carries a request out: looks, judges, and commits in one transaction.
//!
//! What is slow or may be wrong about a spec is judged on a snapshot before the writer is asked. In
//! the writer are only the decisions that must see every change before them: the idempotency key,
//! the name, the secrets and ports it needs, the intent that is there now.

use fleet_model::Error;
use fleet_model::workload::WorkloadSpec;

use super::change::Verb;
use super::create::{Newcomer, create};
use super::names::made_up;
use super::{apply, find, view};
use crate::controller::Inner;
use crate::idempotency::{Answer, Keyed, once};
use crate::refusal::{Refusal, write_failed};

/// Names made up for one workload; one of them is free.
const MADE_UP: usize = 8;

/// HTTP 201.
const CREATED: u16 = 201;
/// HTTP 202.
const ACCEPTED: u16 = 202;

impl Inner {
    /// Accepts a new workload.
    ///
    /// # Errors
    /// Every reason against the spec; what the writer says.
    pub(crate) async fn create_workload(
        &self,
        spec: WorkloadSpec,
        keyed: Option<Keyed>,
    ) -> Result<Answer, Refusal> {
        // One snapshot for both: a copy of this request that is stored in between would otherwise
        // show as a taken name and not as the answer to give again.
        let snapshot = self.store.snapshot();
        if let Some(answer) = self.earlier(&snapshot.state, keyed.as_ref())? {
            return Ok(answer);
        }
        let judgement = self.judge(&snapshot.state, &spec);
        let place = judgement.plan.place;
        Refusal::if_any(judgement.reasons)?;
        let node = place
            .ok_or_else(|| {
                Error::internal("placement", "placement gave neither a node nor a reason")
            })?
            .node
            .id;
        let names = match &spec.name {
            Some(name) => vec![name.clone()],
            None => (0..MADE_UP)
                .filter_map(|_| made_up(&spec.backend, self.entropy.bits()))
                .collect(),
        };
        let newcomer = Newcomer {
            id: self.ids.workload(),
            node,
            names,
            spec,
            reach: self.registry.reach(node),
        };
        let (journal, now) = (self.journal(), self.moment());
        let written = self.store.write(move |tx| {
            once(tx, keyed, journal.at_ms, CREATED, |tx| {
                create(tx, journal, &now, newcomer)
            })
        });
        Ok(written.await.map_err(write_failed)?)
    }

    /// Changes what is intended with a workload.
    ///
    /// # Errors
    /// `not-found`, `conflict`; what the writer says.
    pub(crate) async fn change_workload(
        &self,
        name: String,
        verb: Verb,
        keyed: Option<Keyed>,
    ) -> Result<Answer, Refusal> {
        if let Some(answer) = self.earlier(&self.store.snapshot().state, keyed.as_ref())? {
            return Ok(answer);
        }
        let registry = self.registry.clone();
        let journal = self.journal();
        let written = self.store.write(move |tx| {
            once(tx, keyed, journal.at_ms, ACCEPTED, |tx| {
                let found = find(tx.state(), &name)?;
                let reach = registry.reach(found.at.node);
                apply::verb(tx, journal, &found, verb)?;
                view(&find(tx.state(), &name)?, reach)
            })
        });
        Ok(written.await.map_err(write_failed)?)
    }
}
