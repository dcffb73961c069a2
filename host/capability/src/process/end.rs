//! Ending a process from outside, whatever state it and its shim are in.

use std::ffi::OsStr;
use std::io;

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::evidence::{ClaimSeen, Evidence};
use super::record::{Claim, Started};
use super::slot::Slot;
use super::tree;
use crate::boot::is_same_process;
use crate::cgroup::Placement;
use crate::{durable, removal};

/// Ends it and all its descendants, as far as they can be reached in one go; a living shim sees to
/// the rest. Takes the claim of a slot nobody started, so that a start under way comes too late.
pub(crate) fn kill(slot: &Slot, placement: &Placement, now_ms: u64) -> io::Result<()> {
    let mut evidence = slot.evidence()?;
    if evidence.claim == ClaimSeen::None {
        if slot.claim(&Claim::Host { at_ms: now_ms })? {
            return Ok(());
        }
        evidence = slot.evidence()?;
    }
    // Before anything else: a group needs no number that may be stale.
    placement.kill()?;
    match evidence.started() {
        Some(started) if evidence.exit.is_none() => kill_numbers(started, &evidence),
        _ => Ok(()),
    }
}

/// Sends a signal to the program's process group, if it still runs.
pub(crate) fn signal(slot: &Slot, signal: Signal) -> io::Result<()> {
    let evidence = slot.evidence()?;
    match evidence
        .started()
        .and_then(|started| started.program.live_pid())
    {
        Some(program) => Ok(signal_group(program, signal)?),
        None => Ok(()),
    }
}

/// Whether nothing of it is left: no shim, no program, nothing in its cgroup.
pub(crate) fn is_over(slot: &Slot, placement: &Placement) -> io::Result<bool> {
    let evidence = slot.evidence()?;
    Ok(!evidence.shim_lives && !evidence.program_lives && placement.processes()?.is_empty())
}

fn kill_numbers(started: &Started, evidence: &Evidence) -> io::Result<()> {
    if evidence.shim_lives {
        let found = tree::descendants(started.shim.pid)?;
        if is_same_process(&started.shim) {
            tree::kill_all(&found);
        }
    } else if evidence.program_lives {
        // Orphans of a shim that died have another parent. Those that did not begin a session of
        // their own are still in the shim's, whose number nobody can have while they are.
        let found = [
            tree::descendants(started.program.pid)?,
            tree::session(started.shim.pid)?,
        ]
        .concat();
        if is_same_process(&started.program) {
            tree::kill_all(&found);
        }
    }
    match started.program.live_pid() {
        Some(program) => Ok(signal_group(program, Signal::KILL)?),
        None => Ok(()),
    }
}

/// The program leads its group unless it chose another: then it is signalled alone.
fn signal_group(program: Pid, signal: Signal) -> rustix::io::Result<()> {
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
