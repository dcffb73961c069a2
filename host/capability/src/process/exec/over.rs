//! Ending programs beside a process from outside, whatever state they and their shims are in.

use std::io;

use rustix::process::{Signal, kill_process};

use super::slot::ExecSlot;
use crate::process::evidence::ClaimSeen;
use crate::process::record::Claim;
use crate::process::slot::Slot;
use crate::process::{end, tree};

/// What becomes of a shim whose program is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shims {
    /// It records the end, tells who is attached, and goes by itself.
    Spared,
    /// It has had its time.
    Ended,
}

/// Ends all programs beside a process, as far as they can be reached in one go. Those that were not
/// started never will be.
pub(crate) fn end_all(process: &Slot, now_ms: u64, shims: Shims) -> io::Result<()> {
    for exec in ExecSlot::all(process)? {
        end(&exec, now_ms, shims)?;
    }
    Ok(())
}

/// Whether nothing of any of them runs or ever will.
pub(crate) fn are_all_over(process: &Slot) -> io::Result<bool> {
    for exec in ExecSlot::all(process)? {
        if !is_over(&exec)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether nothing of it runs or ever will.
pub(crate) fn is_over(exec: &ExecSlot) -> io::Result<bool> {
    let evidence = exec.slot.evidence()?;
    Ok(evidence.claim != ClaimSeen::None && !evidence.shim_lives && !evidence.program_lives)
}

/// Ends it and all its descendants. Takes the claim of one nobody started.
pub(crate) fn end(exec: &ExecSlot, now_ms: u64, shims: Shims) -> io::Result<()> {
    let mut evidence = exec.slot.evidence()?;
    if evidence.claim == ClaimSeen::None {
        match exec.slot.claim(&Claim::Host { at_ms: now_ms }) {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            // Removed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        }
        evidence = exec.slot.evidence()?;
    }
    let Some(started) = evidence.started() else {
        return Ok(());
    };
    // What it left running when it ended descends from its shim.
    if evidence.shim_lives || evidence.program_lives {
        end::kill_numbers(started, &evidence)?;
    }
    if shims == Shims::Ended
        && let Some(shim) = started.shim.live_pid()
        && tree::descendants(started.shim.pid)?.is_empty()
    {
        // It may have ended meanwhile, which is what was wanted.
        let _ = kill_process(shim, Signal::KILL);
    }
    Ok(())
}

/// Forgets one that is over: whoever has not read its output has had the time.
pub(crate) fn forget(exec: &ExecSlot, now_ms: u64) -> io::Result<()> {
    end(exec, now_ms, Shims::Ended)?;
    exec.erase()
}
