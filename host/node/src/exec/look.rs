//! What became of a program: from the record when it is over, else from its backend, whose last word
//! is written down.

use std::sync::Arc;

use fleet_model::exec::{Exec, ExecId, ExecState};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::exec::key;
use futures::{StreamExt, stream};

use super::beside::{Beside, recorded};
use crate::context::Context;

/// Backends asked at once.
const ABREAST: usize = 8;

/// What it does now.
///
/// # Errors
/// Where its backend cannot be asked.
pub(super) async fn look(beside: &Beside) -> Result<ExecState, Error> {
    if let Some(over) = &beside.record.over {
        return Ok(over.clone());
    }
    let Some(known) = &beside.record.known else {
        if beside.is_run_over {
            let reason = "its workload ended before its start was confirmed".to_owned();
            return Ok(beside.settle(ExecState::Lost { reason }).await);
        }
        return Ok(ExecState::Running);
    };
    let seen = beside
        .driver
        .inspect_exec(&beside.at.item, &beside.handle, known)
        .await;
    match seen {
        Ok(ExecState::Running) => Ok(ExecState::Running),
        Ok(over) => Ok(beside.settle(over).await),
        Err(error) if error.kind == ErrorKind::NotFound => {
            let reason = "its backend does not know it any more".to_owned();
            Ok(beside.settle(ExecState::Lost { reason }).await)
        }
        Err(error) => Err(error),
    }
}

/// One, as people see it.
pub(super) async fn show(beside: &Beside) -> Result<Exec, Error> {
    let state = look(beside).await?;
    Ok(beside.record.shown(beside.id, state))
}

/// All of an item's run, in the order in which they were begun. One that cannot be asked about is
/// shown as it was last known.
pub(super) async fn list(
    context: &Arc<Context>,
    item: &ItemKey,
    generation: Generation,
) -> Result<Vec<Exec>, Error> {
    let record = recorded(context, item, generation)?;
    let run = record.as_ref().and_then(|record| record.run.as_ref());
    let (Some(run), Ok(workload)) = (run, item.key.parse()) else {
        return Ok(Vec::new());
    };
    let mut execs: Vec<_> = run.execs.values().cloned().collect();
    execs.sort_by_key(|exec| exec.number);
    let shown = execs.into_iter().map(|exec| async move {
        let id = ExecId {
            workload,
            key: key(&exec.call),
        };
        let state = match Beside::of(context, item, run, id, exec.clone()) {
            Ok(beside) => look(&beside).await,
            Err(error) => Err(error),
        };
        let state = state.unwrap_or_else(|error| {
            tracing::debug!(exec = %id, %error, "a program cannot be asked about");
            exec.over.clone().unwrap_or(ExecState::Running)
        });
        exec.shown(id, state)
    });
    Ok(stream::iter(shown).buffered(ABREAST).collect().await)
}
