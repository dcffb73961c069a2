//! Making the slot of a program beside a process, or finding the one that an op made before.

use std::sync::{Mutex, PoisonError};

use fleet_model::{Error, ItemKey, Op};

use super::plan::{self, Standing};
use super::record::ExecRecord;
use super::reference::ExecReference;
use super::slot::ExecSlot;
use super::{key, over};
use crate::fault;
use crate::input::limits::CALL_BYTES;
use crate::process::evidence::ClaimSeen;
use crate::process::launcher::Launcher;
use crate::process::owned::Own;
use crate::process::{ExecRequest, ProcessState};
use crate::workspace::Workspaces;

/// Whether one more may begin is decided one at a time.
#[derive(Debug, Default)]
pub(crate) struct Door(Mutex<()>);

/// What an op asks for.
pub(crate) struct Asked<'a> {
    pub(crate) op: &'a Op,
    pub(crate) launcher: &'a Launcher,
    pub(crate) request: &'a ExecRequest,
    pub(crate) now_ms: u64,
}

/// The slot of this op: its name and where it is.
pub(crate) fn create(
    workspaces: &Workspaces,
    own: &Own,
    door: &Door,
    asked: &Asked<'_>,
) -> Result<(ExecReference, ExecSlot), Error> {
    let op = asked.op;
    check(own, op)?;
    let reference = ExecReference {
        process: own.reference,
        key: key(&op.call),
    };
    let exec = ExecSlot::of(&own.slot, reference.key);
    let _one = door.0.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(found) = read(&exec)? {
        same(&found, asked).map(|()| (reference, exec))
    } else {
        is_running(own)?;
        let workspace = workspaces.path(own.reference.workload);
        let mut base = own.request.base_env.clone();
        base.extend(own.request.request.env.clone());
        let request = asked.request;
        let launcher = asked.launcher;
        let program = launcher.check(&request.command, &request.env, &base, &workspace)?;
        make_room(own, asked.now_ms)?;
        let record = ExecRecord {
            op: op.to_string(),
            request: request.clone(),
            program,
            at_ms: asked.now_ms,
        };
        let created = exec
            .create(&record)
            .map_err(|error| fault::storage("write", exec.folder(), &error))?;
        match read(&exec)? {
            // Another host was faster.
            Some(found) if !created => same(&found, asked).map(|()| (reference, exec)),
            _ => Ok((reference, exec)),
        }
    }
}

fn check(own: &Own, op: &Op) -> Result<(), Error> {
    if op.item != ItemKey::workload(own.reference.workload) {
        return Err(Error::invalid(
            "bad-op",
            format!("the op {op} is not one of {}", own.reference),
        ));
    }
    if op.call.is_empty() || op.call.len() > CALL_BYTES {
        return Err(Error::invalid(
            "bad-op",
            format!("an exec needs a key of 1 to {CALL_BYTES} bytes, so that it is started once"),
        ));
    }
    Ok(())
}

fn read(exec: &ExecSlot) -> Result<Option<ExecRecord>, Error> {
    exec.request()
        .map_err(|error| fault::storage("read", exec.folder(), &error))
}

fn same(found: &ExecRecord, asked: &Asked<'_>) -> Result<(), Error> {
    if found.op == asked.op.to_string() && found.request == *asked.request {
        return Ok(());
    }
    Err(Error::conflict(
        "call-reused",
        format!(
            "the key `{}` was another exec's: use a key of its own for each",
            asked.op.call
        ),
    ))
}

/// A program is started beside one that runs.
fn is_running(own: &Own) -> Result<(), Error> {
    let evidence = own
        .slot
        .evidence()
        .map_err(|error| fault::storage("read", own.slot.folder(), &error))?;
    let not = |text: String| Err(Error::conflict("not-running", text));
    match evidence.state() {
        ProcessState::Running if evidence.is_orphaned() => Err(Error::unavailable(
            "keeper-lost",
            "the process runs, and its keeper is gone: restart it to run something beside it",
        )),
        ProcessState::Running if evidence.program_lives && own.is_executed(&evidence) => Ok(()),
        ProcessState::Prepared | ProcessState::Running if !own.slot.is_executed() => not(format!(
            "{} has not started yet: nothing can run beside it; ask again when it runs",
            own.reference
        )),
        _ => not(format!(
            "{} has ended: nothing can run beside it; start it again first",
            own.reference
        )),
    }
}

/// Forgets what is over and too much, where one more may run at all.
fn make_room(own: &Own, now_ms: u64) -> Result<(), Error> {
    let storage = |error: std::io::Error| fault::storage("look at", own.slot.folder(), &error);
    let known = ExecSlot::all(&own.slot).map_err(storage)?;
    let standings = known
        .iter()
        .map(standing)
        .collect::<std::io::Result<Vec<_>>>()
        .map_err(storage)?;
    for place in plan::admit(&standings, now_ms)? {
        if let Some(exec) = known.get(place) {
            over::forget(exec, now_ms).map_err(storage)?;
        }
    }
    Ok(())
}

fn standing(exec: &ExecSlot) -> std::io::Result<Standing> {
    let evidence = exec.slot.evidence()?;
    // A crash may have left a folder without a request.
    let asked_ms = exec.request()?.map_or(0, |record| record.at_ms);
    let is_live = evidence.exit.is_none() && (evidence.shim_lives || evidence.program_lives);
    Ok(match evidence.claim {
        ClaimSeen::None => Standing::Asked(asked_ms),
        _ if is_live => Standing::Live,
        _ => Standing::Over(asked_ms),
    })
}
