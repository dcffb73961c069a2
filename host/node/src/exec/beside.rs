//! One program beside a run: where it is recorded, and who looks after it.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_model::driver::Handle;
use fleet_model::exec::{ExecId, ExecState};
use fleet_model::item::{Attempt, Generation, ItemKey};
use fleet_model::{Error, ErrorKind, Name, Op, Verb};
use fleet_plugin::Driver;
use fleet_store::WriteError;

use super::record::{ExecRecord, name};
use crate::context::Context;
use crate::state::{Record, Run};

/// Which run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) item: ItemKey,
    pub(super) generation: Generation,
    pub(super) attempt: Attempt,
}

impl At {
    /// This run of this item.
    pub(super) fn of(item: &ItemKey, run: &Run) -> Self {
        Self {
            item: item.clone(),
            generation: run.generation,
            attempt: run.attempt,
        }
    }

    /// The name of an effect on the run's programs.
    pub(super) fn op(&self, verb: Verb, call: impl Into<String>) -> Op {
        Op {
            item: self.item.clone(),
            generation: self.generation,
            attempt: self.attempt,
            verb,
            call: call.into(),
        }
    }
}

/// A program beside a run, as it was recorded a moment ago.
#[derive(Clone)]
pub(super) struct Beside {
    pub(super) context: Arc<Context>,
    pub(super) at: At,
    pub(super) id: ExecId,
    pub(super) driver: Arc<dyn Driver>,
    pub(super) handle: Handle,
    pub(super) record: ExecRecord,
    /// Whether the run itself is over.
    pub(super) is_run_over: bool,
}

impl Beside {
    /// One of a run.
    ///
    /// # Errors
    /// `unavailable` while the run's backend is away.
    pub(super) fn of(
        context: &Arc<Context>,
        item: &ItemKey,
        run: &Run,
        id: ExecId,
        record: ExecRecord,
    ) -> Result<Self, Error> {
        let handle = run.handle.clone().ok_or_else(|| no_such(id))?;
        Ok(Self {
            context: context.clone(),
            at: At::of(item, run),
            id,
            driver: driver(context, &run.backend)?,
            handle,
            record,
            is_run_over: run.stage.is_over(),
        })
    }

    /// How the backend knows it.
    ///
    /// # Errors
    /// `unavailable` (`exec-starting`) until that has answered.
    pub(super) fn known(&self) -> Result<&str, Error> {
        self.record.known.as_deref().ok_or_else(|| {
            Error::unavailable(
                "exec-starting",
                "the program is being started: try again in a moment",
            )
        })
    }

    /// Its name among the run's.
    pub(super) fn name(&self) -> String {
        name(self.id.key)
    }

    /// Changes its record, and answers what it is then. One that is not there any more stays away.
    ///
    /// # Errors
    /// `not-found` (`no-such-exec`); where the store cannot be written.
    pub(super) async fn change(
        &self,
        change: impl FnOnce(&mut ExecRecord) + Send + 'static,
    ) -> Result<ExecRecord, Error> {
        let (name, id) = (self.name(), self.id);
        write(&self.context, &self.at, move |execs| {
            let exec = execs.get_mut(&name).ok_or_else(|| no_such(id))?;
            change(exec);
            Ok(exec.clone())
        })
        .await
    }

    /// Writes down for ever what became of it. What was written first stands.
    pub(super) async fn settle(&self, state: ExecState) -> ExecState {
        let state = self.record.last_word(state);
        let written = self.change({
            let state = state.clone();
            move |exec| {
                if exec.over.is_none() {
                    exec.over = Some(exec.last_word(state));
                }
            }
        });
        match written.await {
            Ok(record) => record.over.unwrap_or(state),
            // It went with its run, or is written down at the next look.
            Err(error) => {
                tracing::debug!(exec = %self.id, %error, "the end of a program is not written down");
                state
            }
        }
    }
}

/// Finds one by its id, whatever has become of its run.
///
/// # Errors
/// `not-found` (`no-such-exec`), `conflict` (`controller-behind`), `unavailable`.
pub(super) fn find(
    context: &Arc<Context>,
    item: &ItemKey,
    generation: Generation,
    id: ExecId,
) -> Result<Beside, Error> {
    let record = recorded(context, item, generation)?;
    let found = record
        .as_ref()
        .filter(|_| id.workload.to_string() == item.key)
        .and_then(|record| record.run.as_ref())
        .and_then(|run| Some((run, run.execs.get(&name(id.key))?)));
    match found {
        Some((run, exec)) => Beside::of(context, item, run, id, exec.clone()),
        None => Err(no_such(id)),
    }
}

/// An item's record, if it is there.
///
/// # Errors
/// `conflict` (`controller-behind`).
pub(super) fn recorded(
    context: &Context,
    item: &ItemKey,
    generation: Generation,
) -> Result<Option<Arc<Record>>, Error> {
    let snapshot = context.store.snapshot();
    let record = snapshot
        .state
        .items
        .get(item)
        .filter(|record| !record.removed);
    match record {
        Some(record) if record.item.generation > generation => Err(Error::conflict(
            "controller-behind",
            "this node has seen a newer intent than its controller states",
        )),
        record => Ok(record.cloned()),
    }
}

/// Changes the programs of a run, durably.
///
/// # Errors
/// What `change` says; `conflict` (`not-running`) when the run is another one by now; where the store
/// cannot be written.
pub(super) async fn write<T: Send + 'static>(
    context: &Context,
    at: &At,
    change: impl FnOnce(&mut BTreeMap<String, ExecRecord>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let at = at.clone();
    let written = context.store.write(move |tx| {
        let Some(record) = tx.get::<Record>(&at.item) else {
            return Err(gone());
        };
        let mut changed = Record::clone(&record);
        let run = changed
            .run
            .as_mut()
            .filter(|run| (run.generation, run.attempt) == (at.generation, at.attempt))
            .ok_or_else(gone)?;
        let answer = change(&mut run.execs)?;
        if changed != *record {
            tx.put(changed);
        }
        Ok(answer)
    });
    written.await.map_err(|error| match error {
        WriteError::Refused(error) => error,
        WriteError::Full(_) => Error::new(
            ErrorKind::Exhausted,
            "disk-full",
            "the disk of the node's data folder is full: free some space",
        ),
        WriteError::Busy(_) | WriteError::Closed | WriteError::Failed(_) => Error::unavailable(
            "node-store",
            "the node cannot write anything down now: try again",
        ),
        WriteError::Panicked(_) | WriteError::Encode { .. } => {
            Error::internal("record", "the node could not write down a step")
        }
    })
}

/// A backend, which may be on its way.
fn driver(context: &Context, backend: &Name) -> Result<Arc<dyn Driver>, Error> {
    context.drivers.driver(backend).map_err(|error| Error {
        kind: ErrorKind::Unavailable,
        ..error
    })
}

fn gone() -> Error {
    Error::conflict(
        "not-running",
        "the workload's program has ended or was started anew meanwhile",
    )
}

pub(super) fn no_such(id: ExecId) -> Error {
    Error::not_found(
        "no-such-exec",
        format!(
            "there is no program `{id}`: `fleet-host workload execs {}` lists those there are; they are forgotten when their workload is started anew or removed",
            id.workload
        ),
    )
}
