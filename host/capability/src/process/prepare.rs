//! Preparing: the launcher's check, then a slot that says all a start needs.

use fleet_model::{Error, ItemKey, Op};

use super::launcher::Launcher;
use super::marker::Marker;
use super::record::RequestRecord;
use super::reference::Reference;
use super::slot::Slot;
use super::{Caller, Prepared, Request, environment, venv};
use crate::cgroup::detect::tag;
use crate::cgroup::{Isolation, Placement};
use crate::fault;
use crate::log::LogLimits;
use crate::workspace::Workspaces;

/// Makes the slot of this op, or finds the one it made before.
pub(crate) fn prepare(
    workspaces: &Workspaces,
    isolation: &Isolation,
    caller: &Caller,
    launcher: &Launcher,
    op: &Op,
    request: Request,
) -> Result<Prepared, Error> {
    if op.item != ItemKey::workload(request.workload) {
        return Err(Error::invalid(
            "bad-op",
            format!("the op {op} is not one of workload {}", request.workload),
        ));
    }
    let reference = Reference {
        workload: request.workload,
        generation: op.generation,
        attempt: op.attempt,
    };
    let slot = Slot::of(workspaces, reference);
    let read = || {
        slot.request()
            .map_err(|error| fault::storage("read", slot.folder(), &error))
    };
    if let Some(found) = read()? {
        return answer(reference, &found, caller, op, &request);
    }
    let workspace = workspaces.path(request.workload);
    let name = format!("{}.{}", reference.workload, reference.try_name());
    let mut base_env = environment::base(launcher);
    let venv = venv::find(launcher, &request.env, &workspace);
    if let Some(venv) = &venv {
        venv::activate(venv, &mut base_env);
    }
    let program = launcher.check(&request.command, &request.env, &base_env, &workspace)?;
    let settings = isolation.settings(&name, &request.limits)?;
    LogLimits::check(request.limits.log)?;
    workspaces.create(request.workload)?;
    let record = RequestRecord {
        op: op.to_string(),
        plugin: caller.plugin.clone(),
        request: request.clone(),
        program,
        base_env,
        placement: isolation.place(&name),
        settings,
        venv,
        marker: Some(Marker::new(reference, &tag(workspaces.root()))),
    };
    let created = slot
        .create(&record)
        .map_err(|error| fault::storage("write", slot.folder(), &error))?;
    match read()? {
        // Another call of the same op was faster.
        Some(found) if !created => answer(reference, &found, caller, op, &request),
        _ => Ok(prepared(reference, &record.placement)),
    }
}

/// What an op that finds its slot made is told.
fn answer(
    reference: Reference,
    found: &RequestRecord,
    caller: &Caller,
    op: &Op,
    request: &Request,
) -> Result<Prepared, Error> {
    if found.op == op.to_string() && found.plugin == caller.plugin && found.request == *request {
        return Ok(prepared(reference, &found.placement));
    }
    Err(Error::conflict(
        "prepared-otherwise",
        format!(
            "{reference} was prepared before, with another request; a new try needs a new attempt"
        ),
    ))
}

fn prepared(reference: Reference, placement: &Placement) -> Prepared {
    Prepared {
        reference: reference.to_string(),
        kill_target: placement.kill_target(),
    }
}
