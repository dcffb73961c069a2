//! Ending a process from outside, whatever state it and its shim are in.
//!
//! What belongs to it is found, in this order: by its cgroup; as what descends from a living shim,
//! the reaper of its orphans; and where both are missing, as what descends from the program or
//! carries its mark (`marker.rs`). A number is signalled only while it is known to be one of these.
//! Programs beside it go with it (`exec/over.rs`).

use std::ffi::OsStr;
use std::io;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::evidence::{ClaimSeen, Evidence};
use super::exec::over::{self, Shims};
use super::exec::slot::ExecSlot;
use super::record::{Claim, RequestRecord, Started};
use super::signalled::Delivery;
use super::slot::Slot;
use super::tree;
use crate::boot::{ProcessStat, is_same_process};
use crate::cgroup::Placement;
use crate::{durable, removal};

/// Ends it and all its descendants, as far as they can be reached in one go; a living shim sees to
/// the rest. Takes the claim of a slot nobody started, so that a start under way comes too late.
pub(crate) fn kill(
    slot: &Slot,
    request: &RequestRecord,
    now_ms: u64,
    shims: Shims,
) -> io::Result<()> {
    let mut evidence = slot.evidence()?;
    if evidence.claim == ClaimSeen::None {
        if slot.claim(&Claim::Host { at_ms: now_ms })? {
            return Ok(());
        }
        evidence = slot.evidence()?;
    }
    // Before anything else: a group needs no number that may be stale.
    request.placement.kill()?;
    if let Some(started) = evidence.started().filter(|_| evidence.exit.is_none()) {
        kill_numbers(started, &evidence)?;
    }
    over::end_all(slot, now_ms, shims)?;
    tree::kill_all(&leftovers(slot, &evidence, request)?);
    Ok(())
}

/// Sends a signal to the program's process group, if it runs.
pub(crate) fn signal(slot: &Slot, signal: Signal) -> io::Result<Delivery> {
    let evidence = slot.evidence()?;
    match evidence
        .started()
        .and_then(|started| started.program.live_pid())
    {
        Some(program) => signal_group(program, signal)
            .map(|()| Delivery::Sent)
            .map_err(io::Error::from),
        None => Ok(Delivery::NobodyThere),
    }
}

/// Whether nothing of it is left: no shim, no program, none beside it, nothing in its cgroup or,
/// without one, of its mark.
pub(crate) fn is_over(slot: &Slot, request: &RequestRecord) -> io::Result<bool> {
    let evidence = slot.evidence()?;
    Ok(!evidence.shim_lives
        && !evidence.program_lives
        && over::are_all_over(slot)?
        && request.placement.processes()?.is_empty()
        && leftovers(slot, &evidence, request)?.is_empty())
}

/// What only its mark leads to: a shim that lives, or recorded the end, leaves nothing of the kind. One
/// of a program beside it may have.
fn leftovers(
    slot: &Slot,
    evidence: &Evidence,
    request: &RequestRecord,
) -> io::Result<Vec<ProcessStat>> {
    let is_orphaned = !evidence.shim_lives && evidence.exit.is_none();
    let is_suspect = is_orphaned || ExecSlot::were_any(slot);
    match (&request.placement, &request.marker) {
        (Placement::None, Some(marker)) if is_suspect => tree::marked(marker),
        _ => Ok(Vec::new()),
    }
}

/// Ends a program that was not recorded to have ended, and what descends from it or its shim.
pub(crate) fn kill_numbers(started: &Started, evidence: &Evidence) -> io::Result<()> {
    let keeper = if evidence.shim_lives {
        &started.shim
    } else {
        &started.program
    };
    let found = tree::descendants(keeper.pid)?;
    if is_same_process(keeper) {
        tree::kill_all(&found);
    }
    match started.program.live_pid() {
        Some(program) => Ok(signal_group(program, Signal::KILL)?),
        None => Ok(()),
    }
}

/// The program leads its group unless it chose another: then it is signalled alone.
pub(crate) fn signal_group(program: Pid, signal: Signal) -> rustix::io::Result<()> {
    use rustix::io::Errno;
    match kill_process_group(program, signal) {
        Err(Errno::SRCH) => match kill_process(program, signal) {
            Err(Errno::SRCH) => Ok(()),
            other => other,
        },
        other => other,
    }
}

/// Removes its cgroup and its slot, durably. Nothing of it may run.
pub(crate) fn erase(slot: &Slot, placement: &Placement) -> io::Result<()> {
    placement.remove()?;
    placement.remove_parents();
    let (Some(runs), Some(name)) = (
        slot.folder().parent(),
        slot.folder().file_name().and_then(OsStr::to_str),
    ) else {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not the folder of a try",
        ));
    };
    removal::remove_folder(runs, name)?;
    durable::sync_folder(runs)
}
