//! Begins a program beside a run, once per key.
//!
//! It is written down first, then its backend is asked, then the answer is written down. Whoever asks
//! again finds it; after a crash in between the same op is repeated, by whoever asks again or by
//! [`super::watch`], whichever comes first. A key counts within one run: with the run its programs go.

use std::sync::Arc;

use fleet_model::exec::{Exec, ExecId, ExecSpec, ExecState};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::{Error, ErrorKind, Verb};
use fleet_protocol::exec::key;
use futures::StreamExt;

use super::beside::{At, Beside, recorded, write};
use super::book::{Admission, admit};
use super::look::look;
use super::record::{Deadline, ExecRecord, name};
use crate::context::Context;
use crate::running::running;
use crate::state::Run;

/// The code with which a backend refuses a program because as many run as may.
const TOO_MANY: &str = "too-many-execs";

/// Whether anybody has asked a backend for a program before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// Nobody has.
    First,
    /// Somebody may have, and nobody knows what came of it.
    Again,
}

/// Backends asked at once.
const ABREAST: usize = 8;

/// Begins one, or answers what became of it when it was begun before.
pub(super) async fn start(
    context: &Arc<Context>,
    item: &ItemKey,
    generation: Generation,
    call: String,
    spec: ExecSpec,
) -> Result<Exec, Error> {
    let workload = item.key.parse().map_err(|_| {
        Error::invalid(
            "not-a-workload",
            "programs are run beside workloads, and this is none",
        )
    })?;
    let id = ExecId {
        workload,
        key: key(&call),
    };
    let wanted = wanted(context, call, spec);
    let earlier = recorded(context, item, generation)?
        .and_then(|record| record.run.clone())
        .filter(|run| run.execs.contains_key(&name(id.key)));
    let run = match earlier {
        Some(run) => run,
        None => running(context, item, generation).await?.run,
    };
    // From before it is written down: nobody else takes it for one that was left half begun.
    let _under_way = context.execs.begin(id);
    let (record, attempt) = enter(context, item, &run, id, wanted).await?;
    let beside = Beside::of(context, item, &run, id, record)?;
    if beside.record.known.is_some() || beside.record.over.is_some() {
        let state = look(&beside).await?;
        return Ok(beside.record.shown(id, state));
    }
    let begun = begin(&beside, attempt).await?;
    Ok(begun.shown(id, begun.over.clone().unwrap_or(ExecState::Running)))
}

fn wanted(context: &Context, call: String, spec: ExecSpec) -> ExecRecord {
    ExecRecord {
        call,
        number: 0,
        started_at_ms: context.clock.unix_ms(),
        deadline: spec.timeout_ms.map(|timeout_ms| Deadline {
            boot: context.boot.clone(),
            at_ms: context.clock.boot_ms().saturating_add(timeout_ms),
        }),
        spec,
        known: None,
        overdue_ms: None,
        over: None,
        signals: Vec::new(),
    }
}

/// Writes it down, or finds it written down.
async fn enter(
    context: &Arc<Context>,
    item: &ItemKey,
    run: &Run,
    id: ExecId,
    wanted: ExecRecord,
) -> Result<(ExecRecord, Try), Error> {
    let at = At::of(item, run);
    let once = || {
        let (wanted, name) = (wanted.clone(), name(id.key));
        write(context, &at, move |execs| {
            admit(execs, &name, wanted.clone()).map(|admission| (admission, wanted))
        })
    };
    let entered = match once().await {
        // Those whose end nobody has looked at do not count.
        Err(error) if error.code == TOO_MANY => {
            look_at_all(context, item, run, id).await;
            once().await
        }
        entered => entered,
    };
    match entered? {
        (Admission::Known(known), _) => Ok((*known, Try::Again)),
        (Admission::New(forgotten), entered) => {
            forget(context, item, run, id, forgotten).await;
            Ok((entered, Try::First))
        }
    }
}

/// What a program that is not over does is asked, so that its end is written down.
async fn look_at_all(context: &Arc<Context>, item: &ItemKey, run: &Run, id: ExecId) {
    let Ok(Some(record)) = recorded(context, item, Generation(u64::MAX)) else {
        return;
    };
    let execs = record
        .run
        .iter()
        .filter(|now| At::of(item, now) == At::of(item, run))
        .flat_map(|run| run.execs.values());
    let asked = execs.filter_map(|exec| {
        let id = ExecId {
            key: key(&exec.call),
            ..id
        };
        Beside::of(context, item, run, id, exec.clone()).ok()
    });
    futures::stream::iter(asked.collect::<Vec<_>>())
        .for_each_concurrent(ABREAST, async |beside| drop(look(&beside).await))
        .await;
}

/// Tells the backend to forget them too; what it keeps goes with the run.
async fn forget(
    context: &Arc<Context>,
    item: &ItemKey,
    run: &Run,
    id: ExecId,
    forgotten: Vec<ExecRecord>,
) {
    for exec in forgotten {
        let id = ExecId {
            key: key(&exec.call),
            ..id
        };
        let Ok(beside) = Beside::of(context, item, run, id, exec) else {
            continue;
        };
        if let Err(error) = super::remove::at_backend(&beside).await {
            tracing::debug!(exec = %id, %error, "a forgotten program stays with its backend");
        }
    }
}

/// Asks the backend, under the one op that the key names, and writes its answer down.
pub(super) async fn begin(beside: &Beside, attempt: Try) -> Result<ExecRecord, Error> {
    let Beside {
        context,
        at,
        handle,
        record,
        ..
    } = beside;
    let _under_way = context.execs.begin(beside.id);
    let op = at.op(Verb::Exec, record.call.clone());
    let answered = beside.driver.exec(&op, handle, &record.spec).await;
    match answered {
        Ok(known) => {
            let (name, record) = (beside.name(), record.clone());
            write(context, at, move |execs| {
                // Another try under the same key may have found it refused; it runs all the same.
                let exec = execs.entry(name).or_insert(record);
                exec.known = Some(known);
                Ok(exec.clone())
            })
            .await
        }
        Err(error) if is_final(&error, attempt) => {
            let name = beside.name();
            let taken_back = write(context, at, move |execs| {
                if execs.get(&name).is_some_and(|exec| exec.known.is_none()) {
                    execs.remove(&name);
                }
                Ok(())
            });
            if let Err(error) = taken_back.await {
                tracing::debug!(exec = %beside.id, %error, "a refused program is still written down");
            }
            Err(error)
        }
        // It stays written down, and is begun later.
        Err(error) => Err(error),
    }
}

/// Whether this answer says that nothing was begun and nothing will be by asking again.
///
/// Where somebody asked before, a lack of room says nothing of what they began. Neither does it ever
/// where the host says so for a backend that it did not reach, which is busy with other calls.
fn is_final(error: &Error, attempt: Try) -> bool {
    match error.kind {
        ErrorKind::Invalid
        | ErrorKind::NotFound
        | ErrorKind::Conflict
        | ErrorKind::Denied
        | ErrorKind::Unsupported => true,
        ErrorKind::Exhausted => attempt == Try::First && error.code == TOO_MANY,
        ErrorKind::Unavailable | ErrorKind::Deadline | ErrorKind::Internal | ErrorKind::Other => {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lack_of_room_is_the_last_word_only_to_whoever_asked_first() {
        let error = |kind, code: &str| Error::new(kind, code, "x");
        for (error, attempt, want) in [
            (error(ErrorKind::Exhausted, TOO_MANY), Try::First, true),
            (error(ErrorKind::Exhausted, TOO_MANY), Try::Again, false),
            (error(ErrorKind::Exhausted, "queue"), Try::First, false),
            (error(ErrorKind::Exhausted, "queue"), Try::Again, false),
            (error(ErrorKind::Invalid, "x"), Try::Again, true),
            (error(ErrorKind::Deadline, "x"), Try::First, false),
        ] {
            assert_eq!(is_final(&error, attempt), want, "{error} {attempt:?}");
        }
    }
}
