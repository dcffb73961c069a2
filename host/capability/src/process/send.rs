//! Handing a command to the shim, from the host's side.
//!
//! The shim's answer is the truth. Where there is no shim to ask, the workload's journal tells
//! whether the command was taken before: then the answer is what it was, also when the program has
//! ended since.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_model::{Error, ErrorKind, ItemKey, Op};
use fleet_seam::Clock;
use futures::future::{Either, select};

use super::control::Asked;
use super::owned::Own;
use super::{ProcessState, Stdin, control};
use crate::fault;
use crate::input::limits::{CALL_BYTES, COMMAND_BYTES};
use crate::input::message::{Bytes64, Demand, Digest, Reply};
use crate::input::{journal, refusal};

/// When to ask again where it is soon otherwise.
const RETRY_MS: u32 = 200;

/// Hands it over, or finds that it was handed over before.
pub(crate) async fn send(
    own: Own,
    op: &Op,
    bytes: Bytes,
    clock: &Arc<dyn Clock>,
    patience: Duration,
) -> Result<(), Error> {
    check(&own, op, bytes.len())?;
    let demand = Demand::Send {
        call: op.call.clone(),
        bytes: Bytes64(bytes.to_vec()),
    };
    let asking = Box::pin(control::ask(own.slot.folder(), &demand));
    let asked = match select(asking, clock.sleep(patience)).await {
        Either::Left((asked, _)) => asked,
        Either::Right(_) => {
            return Err(again(
                ErrorKind::Deadline,
                "send-slow",
                "the program's keeper has not answered yet; ask again, with the same key",
            ));
        }
    };
    match asked {
        Asked::Answered(Reply::Taken) => return Ok(()),
        Asked::Answered(Reply::Refused { error }) => return Err(error),
        Asked::Absent | Asked::Silent => {}
    }
    let call = op.call.clone();
    let look = move || look(&own, &call, &Digest::of(&bytes));
    match tokio::task::spawn_blocking(look).await {
        Ok(answer) => answer,
        Err(error) => Err(Error::unavailable(
            "stopping",
            format!("the command was not sent: {error}"),
        )),
    }
}

fn check(own: &Own, op: &Op, bytes: usize) -> Result<(), Error> {
    if op.item != ItemKey::workload(own.reference.workload) {
        return Err(Error::invalid(
            "bad-op",
            format!("the op {op} is not one of {}", own.reference),
        ));
    }
    if op.call.is_empty() || op.call.len() > CALL_BYTES {
        return Err(Error::invalid(
            "bad-op",
            format!("a command needs a key of 1 to {CALL_BYTES} bytes, so that it is given once"),
        ));
    }
    if own.request.request.stdin == Stdin::Null {
        return Err(Error::unsupported(
            "no-stdin",
            "the program was started without a standard input, so it takes no commands",
        ));
    }
    if bytes > COMMAND_BYTES {
        return Err(refusal::too_large(bytes));
    }
    Ok(())
}

/// What is true where the shim gave no answer.
fn look(own: &Own, call: &str, digest: &Digest) -> Result<(), Error> {
    let storage = |error: io::Error| fault::storage("read", own.slot.folder(), &error);
    // What runs is looked at first: a shim that ends meanwhile has taken all it ever will.
    let evidence = own.slot.evidence().map_err(storage)?;
    let workload = own.slot.workload().map_err(storage)?;
    match journal::find(&workload, call).map_err(storage)? {
        Some(known) if known == *digest => return Ok(()),
        Some(_) => return Err(refusal::call_reused(call)),
        None => {}
    }
    match evidence.state() {
        ProcessState::Prepared => Err(not_started()),
        ProcessState::Exited(_) | ProcessState::Lost(_) => Err(refusal::not_running()),
        ProcessState::Running if evidence.is_orphaned() => Err(Error::unavailable(
            "keeper-lost",
            "the program runs, and the keeper that held its standard input is gone: restart it to give it commands",
        )),
        ProcessState::Running if !own.is_executed(&evidence) => Err(not_started()),
        ProcessState::Running if evidence.program_lives => Err(again(
            ErrorKind::Unavailable,
            "keeper-busy",
            "the program's keeper gave no answer; ask again, with the same key",
        )),
        ProcessState::Running => Err(refusal::not_running()),
    }
}

fn not_started() -> Error {
    again(
        ErrorKind::Unavailable,
        "not-started",
        "the program has not been started yet; ask again",
    )
}

fn again(kind: ErrorKind, code: &str, message: &str) -> Error {
    Error {
        retry_after_ms: Some(RETRY_MS),
        ..Error::new(kind, code, message)
    }
}
