//! Carries a request out: looks, judges, and commits in one transaction.
//!
//! What is slow or may be wrong about a spec is judged on a snapshot before the writer is asked. In
//! the writer are only the decisions that must see every change before them: the idempotency key,
//! the name, the intent that is there now.

use fleet_model::event::Event;
use fleet_model::item::{Generation, ItemKey, Mode};
use fleet_model::workload::{DEFAULT_GRACE_MS, Desired, Workload, WorkloadIntent, WorkloadSpec};
use fleet_model::{Error, Name, NodeId, WorkloadId};
use fleet_store::Tx;
use serde_json::Value;

use super::change::{Change, Verb, decide};
use super::names::{made_up, no_name, taken};
use super::{Found, admit, find, view};
use crate::controller::Inner;
use crate::idempotency::{Answer, Keyed};
use crate::journal::{self, Journal};
use crate::placement::{Candidate, plan};
use crate::refusal::{Refusal, write_failed};
use crate::session::Reach;
use crate::state::{ControllerState, ItemRow, NameRow, Standing, WorkloadRow};

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
        let node = self.admit(&snapshot.state, &spec)?;
        let names = match &spec.name {
            Some(name) => vec![name.clone()],
            None => (0..MADE_UP)
                .filter_map(|_| made_up(&spec.backend, self.entropy.bits()))
                .collect(),
        };
        let id = self.ids.workload();
        let journal = self.journal();
        let reach = self.registry.reach(node);
        let written = self.store.write(move |tx| {
            once(tx, keyed, journal.at_ms, CREATED, |tx| {
                create(tx, journal, id, node, &names, spec, reach)
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
                change(tx, journal, &found, verb)?;
                view(&find(tx.state(), &name)?, reach)
            })
        });
        Ok(written.await.map_err(write_failed)?)
    }

    fn earlier(
        &self,
        state: &ControllerState,
        keyed: Option<&Keyed>,
    ) -> Result<Option<Answer>, Error> {
        match keyed {
            Some(keyed) => keyed.earlier(state, self.clock.unix_ms()),
            None => Ok(None),
        }
    }

    /// Judges a spec and finds it a node.
    fn admit(&self, state: &ControllerState, spec: &WorkloadSpec) -> Result<NodeId, Refusal> {
        let mut reasons = admit::spec(spec);
        let candidates = state.nodes.values().map(|node| Candidate {
            node,
            reach: self.registry.reach(node.id),
        });
        let place = plan(&spec.backend, candidates)
            .map_err(|reason| reasons.push(reason))
            .ok();
        if let Some(place) = &place {
            reasons.extend(admit::config(spec, place.plugin));
        }
        if let Some(taken) = spec.name.as_ref().and_then(|name| taken(state, name)) {
            reasons.push(taken);
        }
        Refusal::if_any(reasons)?;
        place.map(|place| place.node).ok_or_else(|| {
            Error::internal("placement", "placement gave neither a node nor a reason").into()
        })
    }
}

/// Gives the answer given before under this key, or acts and keeps the answer.
fn once(
    tx: &mut Tx<'_, ControllerState>,
    keyed: Option<Keyed>,
    at_ms: u64,
    status: u16,
    act: impl FnOnce(&mut Tx<'_, ControllerState>) -> Result<Workload, Error>,
) -> Result<Answer, Error> {
    if let Some(keyed) = &keyed
        && let Some(answer) = keyed.earlier(tx.state(), at_ms)?
    {
        return Ok(answer);
    }
    let body = encoded(&act(tx)?)?;
    let answer = Answer { status, body };
    if let Some(keyed) = keyed {
        keyed.keep(tx, &answer, at_ms);
    }
    Ok(answer)
}

fn create(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    id: WorkloadId,
    node: NodeId,
    names: &[Name],
    spec: WorkloadSpec,
    reach: Reach,
) -> Result<Workload, Error> {
    let name = match names.iter().find(|name| !tx.state().names.contains(name)) {
        Some(name) => name.clone(),
        None => {
            return Err(names
                .iter()
                .find_map(|name| taken(tx.state(), name))
                .unwrap_or_else(no_name));
        }
    };
    let message = format!("accepted for backend {}", spec.backend);
    let intent = WorkloadIntent {
        name: name.clone(),
        desired: Desired::Running,
        grace_ms: DEFAULT_GRACE_MS,
        spec,
    };
    let at = WorkloadRow {
        id,
        name: name.clone(),
        node,
    };
    let item = ItemRow {
        node,
        id: ItemKey::workload(id),
        generation: Generation(tx.revision()),
        intent: value(&intent)?,
        standing: Standing::Wanted,
        mode: Mode::default(),
        status: None,
        reported_in: 0,
        created_at_ms: journal.at_ms,
        changed_at_ms: journal.at_ms,
    };
    journal.record(
        tx,
        journal::about_workload("workload.created", &at, item.generation, message),
    );
    tx.put(item);
    tx.put(NameRow { name, id });
    tx.put(at);
    view(&find(tx.state(), &id.to_string())?, reach)
}

fn change(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    found: &Found,
    verb: Verb,
) -> Result<(), Error> {
    let current = super::view::current(&found.item)?;
    let (intent, standing) = match decide(&current, verb)? {
        Change::Nothing => return Ok(()),
        Change::Intent(intent) => (value(&intent)?, Standing::Wanted),
        Change::Tombstone { grace_ms } => {
            (found.item.intent.clone(), Standing::Tombstone { grace_ms })
        }
    };
    let generation = Generation(tx.revision());
    tx.put(ItemRow {
        intent,
        standing,
        generation,
        changed_at_ms: journal.at_ms,
        ..ItemRow::clone(&found.item)
    });
    journal.record(tx, requested(found, generation, verb));
    Ok(())
}

fn requested(found: &Found, generation: Generation, verb: Verb) -> Event {
    let (kind, message, grace_ms) = match verb {
        Verb::Start => ("workload.start-requested", "asked to run", None),
        Verb::Stop { grace_ms } => ("workload.stop-requested", "asked to end", grace_ms),
        Verb::Remove { grace_ms } => ("workload.remove-requested", "asked to go", grace_ms),
    };
    let mut event = journal::about_workload(kind, &found.at, generation, message);
    event
        .details
        .extend(grace_ms.map(|grace| ("grace_ms".to_owned(), grace.to_string())));
    event
}

fn value(intent: &WorkloadIntent) -> Result<Value, Error> {
    serde_json::to_value(intent)
        .map_err(|error| Error::internal("encode", format!("the intent has no JSON form: {error}")))
}

fn encoded(workload: &Workload) -> Result<String, Error> {
    serde_json::to_string(workload)
        .map_err(|error| Error::internal("encode", format!("the answer has no JSON form: {error}")))
}
