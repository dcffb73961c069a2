//! The shim of a program beside a process.
//!
//! It is the same command as any shim; the place of its slot says what it keeps. A start goes as that
//! of a process does (`shim/mod.rs`): lock, waiting child, claim, word. What it keeps is different: the
//! output stays in memory ([`ring`](crate::ring)) for who attaches to its socket (`attachment.rs`), and it ends with
//! the process it is beside (`vitals.rs`). What it does when is in `plan.rs`.

mod attachment;
mod ends;
mod intake;
mod keeper;
mod plan;
mod serve;
mod vitals;

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use fleet_model::Error;

use super::bound::Bound;
use super::control::Control;
use super::lock::Lock;
use super::message::{BesideOrder, ExecOrder, Streams};
use super::own;
use super::points::{Claims, ShimPoint, ShimPoints};
use crate::fault;
use crate::process::exec::record::ExecRecord;
use crate::process::exec::slot::ExecSlot;
use crate::process::record::{Claim, RequestRecord};
use crate::process::slot::{CONTROL, Slot};
use crate::ring;
use ends::Ends;
pub(super) use keeper::Keeper;
use vitals::Vitals;

/// Starts the program; `None` when another shim does or did.
pub(super) fn start<'a>(
    folder: PathBuf,
    order: BesideOrder,
    children: UnixStream,
    points: &'a dyn ShimPoints,
) -> Result<Option<Keeper<'a>>, Error> {
    let slot = ExecSlot::at(folder);
    let (request, process, beside) = read(&slot)?;
    let is_wanted = || !slot.slot.is_claimed() || points.claims() == Claims::Ignored;
    let Some(lock) = Lock::take(&slot.folder().join("lock"), is_wanted)? else {
        return Ok(None);
    };
    let vitals = Vitals::of(&process)
        .map_err(|error| fault::storage("look at", process.folder(), &error))?
        .ok_or_else(over)?;
    beside
        .placement
        .enter_shims()
        .map_err(|error| own("enter the shims' cgroup", &error))?;
    // By its name alone: the shim is in its slot, and the path may be too long for a socket.
    let control = Bound::at(Path::new(CONTROL))
        .map_err(|error| fault::storage("listen at", Path::new(CONTROL), &error))?;
    points.reach(ShimPoint::BeforeClaim);
    let (terminal, stdin) = (request.request.terminal, request.request.stdin);
    let (mut waiting, ends) =
        Ends::open(terminal, stdin).map_err(|error| own("start a child", &error))?;
    let workspace = process
        .workspace()
        .map_err(|error| own("find its workspace", &error))?;
    waiting.make_ready(&ExecOrder {
        program: request.program.path.clone(),
        command: request.request.command.clone(),
        env: order.env,
        workspace,
        groups: beside.placement.groups(),
        streams: match terminal {
            Some(_) => Streams::Terminal,
            None => Streams::Pipes,
        },
    })?;
    points.reach(ShimPoint::ChildReady);
    let claimed = slot
        .slot
        .claim(&Claim::Shim(waiting.identify()?))
        .map_err(|error| fault::storage("claim", slot.folder(), &error))?;
    if !claimed && points.claims() == Claims::Honoured {
        return Ok(None);
    }
    points.reach(ShimPoint::AfterClaim);
    let intake = ends.intake(stdin);
    let held = keeper::Held {
        slot,
        placement: beside.placement,
        waiting,
        ends,
        intake,
        control: Control::new(control),
        vitals,
        children,
        lock,
    };
    Keeper::new(held, points)
        .release(&request.program)
        .map(Some)
}

/// What is to run, and beside what.
fn read(slot: &ExecSlot) -> Result<(ExecRecord, Slot, RequestRecord), Error> {
    let storage =
        |error: std::io::Error| fault::storage("read the request in", slot.folder(), &error);
    let nothing = || {
        let shown = slot.folder().display();
        Error::not_found("no-exec", format!("nothing is asked for in {shown}"))
    };
    let request = slot.request().map_err(storage)?.ok_or_else(nothing)?;
    let process = slot.process().map_err(storage)?;
    let beside = process.request().map_err(storage)?.ok_or_else(nothing)?;
    Ok((request, process, beside))
}

fn over() -> Error {
    Error::conflict(
        "not-running",
        "the process has ended: nothing can be started beside it",
    )
}
