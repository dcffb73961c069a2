//! The shim: the small program between the host and a workload's program.
//!
//! `fleet-host shim SLOT` runs [`shim_main`]. It outlives the host: it parents the program, keeps
//! its output and records its end. It is one thread, waits in one `poll`, and holds a few buffers.
//!
//! How a start goes, and why nothing can be started twice or get lost on the way:
//!
//! 1. The host writes an `Order` (`message.rs`) to the shim's stdin. The environment travels this way,
//!    so it is in no argument list.
//! 2. The shim prepares all that may fail without harm, up to a child process that is in the
//!    program's cgroup and process group and waits (`exec.rs`).
//! 3. It creates the slot's `claim`, which names itself and that child, and makes it durable. Of
//!    many shims one succeeds; the others let their child go and answer `claimed`.
//! 4. It lets the child become the program. So whatever runs is on the disk by its number before
//!    its first instruction, and a shim that dies before this leaves nothing that runs.
//! 5. It tells the host, and keeps the program (`keeper.rs`) until nothing of it is left.

pub(crate) mod exec;
pub(crate) mod keeper;
pub(crate) mod launch;
pub(crate) mod message;
mod pump;
mod setup;

use std::io::{self, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use fleet_model::{Error, ErrorKind};

use super::slot::Slot;
use crate::fault;
use crate::log::segment;
use crate::log::writer::Writer;
use keeper::Keeper;
use launch::Launched;
use message::{Answer, Order};

/// What `fleet-host shim SLOT` runs, with an order on its stdin. Must be called before anything
/// else opens a file or starts a thread: it closes every descriptor above 2 that it finds.
pub fn shim_main(slot: &Path) -> ExitCode {
    if exec::is_this_stage() {
        return exec::become_program();
    }
    match start(slot) {
        Ok(Some(keeper)) => {
            answer(&Answer::Started);
            setup::release_stdio();
            keeper.keep();
            ExitCode::SUCCESS
        }
        Ok(None) => {
            answer(&Answer::Claimed);
            ExitCode::SUCCESS
        }
        Err(error) => {
            answer(&Answer::Failed { error });
            ExitCode::FAILURE
        }
    }
}

/// Starts the program; `None` when another shim does or did.
fn start(folder: &Path) -> Result<Option<Keeper>, Error> {
    setup::close_inherited().map_err(|error| own("close inherited files", &error))?;
    let children = setup::handle_signals().map_err(|error| own("handle signals", &error))?;
    let order = read_order()?;
    let folder =
        std::fs::canonicalize(folder).map_err(|error| fault::storage("open", folder, &error))?;
    setup::detach(&folder).map_err(|error| own("detach from the host", &error))?;
    let slot = Slot::at(folder);
    let request = slot
        .request()
        .map_err(|error| fault::storage("read the request in", slot.folder(), &error))?
        .ok_or_else(|| {
            Error::not_found(
                "no-process",
                format!("nothing is prepared in {}", slot.folder().display()),
            )
        })?;
    if slot.is_claimed() {
        return Ok(None);
    }
    request
        .placement
        .enter_shims()
        .map_err(|error| own("enter the shims' cgroup", &error))?;
    let logs = slot
        .logs()
        .map_err(|error| fault::storage("find the log of", slot.folder(), &error))?;
    // Only looked at: a log that cannot be written is found before anything is decided.
    segment::list(&logs).map_err(|error| fault::storage("open the log in", &logs, &error))?;
    let Some(launched) = Launched::claim(&slot, &request, order.env)? else {
        return Ok(None);
    };
    let writer = Writer::new(&logs, order.limits);
    Keeper::new(slot, request.placement, launched, writer, children)
        .release(&request.program)
        .map(Some)
}

fn read_order() -> Result<Order, Error> {
    let mut text = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut text)
        .map_err(|error| own("read the order", &error))?;
    serde_json::from_slice(&text).map_err(|error| {
        Error::invalid(
            "bad-order",
            format!("the shim is started by the host alone, with an order on its stdin: {error}"),
        )
    })
}

fn answer(answer: &Answer) {
    let mut line = serde_json::to_vec(answer).unwrap_or_default();
    line.push(b'\n');
    // A host that is gone finds the answer in the slot.
    let _ = io::stdout().lock().write_all(&line);
    let _ = io::stdout().lock().flush();
}

/// A failure of the shim itself, before anything was decided: worth another try.
fn own(doing: &str, error: &io::Error) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "shim",
        format!("the shim cannot {doing}: {error}"),
    )
}
