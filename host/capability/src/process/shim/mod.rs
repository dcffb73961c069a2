//! The shim: the small program between the host and a workload's program.
//!
//! `fleet-host shim SLOT` runs [`shim_main`]. It outlives the host: it parents the program, keeps
//! its output and records its end. It is one thread, waits in one `poll`, and holds a few buffers.
//!
//! How a start goes, and why nothing can be started twice or get lost on the way:
//!
//! 1. The host writes an `Order` (`message.rs`) to the shim's stdin. The environment travels this way,
//!    so it is in no argument list.
//! 2. The shim takes the workload's lock: of many at once the first goes on, and the others wait
//!    until it has decided or an earlier try's shim is gone. It prepares all that may fail without
//!    harm: the sockets (`channels.rs`), and a child process that is in the program's cgroup and
//!    process group and waits (`exec.rs`).
//! 3. It creates the slot's `claim`, which names itself and that child, and makes it durable. Of
//!    many shims one succeeds; the others let their child go and answer `claimed`.
//! 4. It lets the child become the program, with its stdin. So whatever runs is on the disk by its
//!    number before its first instruction, and a shim that dies before this leaves nothing that runs.
//! 5. It tells the host, and keeps the program (`keeper.rs`) until nothing of it is left.
//!
//! A slot below another's, `TRY/execs/KEY`, is one of a program beside a process: see `beside/mod.rs`.

mod beside;
mod bound;
mod channels;
mod commands;
mod control;
mod emitters;
pub(crate) mod exec;
pub(crate) mod keeper;
pub(crate) mod launch;
mod lock;
pub(crate) mod message;
pub mod points;
mod pump;
mod setup;
mod waiting;

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use fleet_model::packet::SOCKET_VARIABLE;
use fleet_model::{Error, ErrorKind};
use serde::de::DeserializeOwned;

use super::exec::slot::ExecSlot;
use super::slot::Slot;
use super::venv;
use crate::fault;
use crate::log::segment;
use crate::log::writer::{self, Writer};
use crate::secret::SecretValue;
use crate::secret::wire::{self, Carried};
use crate::source::Stream;
use channels::Channels;
use keeper::Keeper;
use launch::Launched;
use lock::Lock;
use message::{Answer, Order};
use points::{Claims, NoPoints, ShimPoints};

/// What `fleet-host shim SLOT` runs, with an order on its stdin. Must be called before anything
/// else opens a file or starts a thread: it closes every descriptor above 2 that it finds.
pub fn shim_main(slot: &Path) -> ExitCode {
    shim_main_with(slot, &NoPoints)
}

/// The same, with somebody told of every moment at which something becomes durable.
pub fn shim_main_with(slot: &Path, points: &dyn ShimPoints) -> ExitCode {
    if exec::is_this_stage() {
        return exec::become_program();
    }
    let started = if ExecSlot::is_here(slot) {
        start_beside(slot, points)
    } else {
        start(slot, points)
    };
    match started {
        Ok(Some(kept)) => {
            answer(&Answer::Started);
            setup::release_stdio();
            match kept {
                Kept::Process(keeper) => keeper.keep(),
                Kept::Beside(keeper) => keeper.keep(),
            }
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

/// What a shim keeps.
enum Kept<'a> {
    Process(Box<Keeper<'a>>),
    Beside(Box<beside::Keeper<'a>>),
}

/// Makes this process a shim: its folder, its order, and a stream on which ends of children are told.
fn become_shim<T: DeserializeOwned>(folder: &Path) -> Result<(PathBuf, T, UnixStream), Error> {
    setup::close_inherited().map_err(|error| own("close inherited files", &error))?;
    let children = setup::handle_signals().map_err(|error| own("handle signals", &error))?;
    let order = read_order()?;
    let folder =
        std::fs::canonicalize(folder).map_err(|error| fault::storage("open", folder, &error))?;
    setup::detach(&folder).map_err(|error| own("detach from the host", &error))?;
    Ok((folder, order, children))
}

/// Starts a program beside a process; `None` when another shim does or did.
fn start_beside<'a>(folder: &Path, points: &'a dyn ShimPoints) -> Result<Option<Kept<'a>>, Error> {
    let (folder, order, children) = become_shim(folder)?;
    let keeper = beside::start(folder, order, children, points)?;
    Ok(keeper.map(Box::new).map(Kept::Beside))
}

/// Starts the program; `None` when another shim does or did.
fn start<'a>(folder: &Path, points: &'a dyn ShimPoints) -> Result<Option<Kept<'a>>, Error> {
    let (folder, mut order, children) = become_shim::<Order>(folder)?;
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
    let workload = slot
        .workload()
        .map_err(|error| own("find its workload", &error))?;
    let is_wanted = || !slot.is_claimed() || points.claims() == Claims::Ignored;
    let Some(lock) = Lock::take(&workload.join("keeper.lock"), is_wanted)? else {
        return Ok(None);
    };
    request
        .placement
        .enter_shims()
        .map_err(|error| own("enter the shims' cgroup", &error))?;
    let logs = slot
        .logs()
        .map_err(|error| fault::storage("find the log of", slot.folder(), &error))?;
    // Only looked at: a log that cannot be written is found before anything is decided.
    segment::list(&logs).map_err(|error| fault::storage("open the log in", &logs, &error))?;
    let generation = slot.generation().ok_or_else(|| not_a_slot(&slot))?;
    let channels = Channels::open(&workload, generation, &order, lock, points)?;
    let socket = order.packet_socket.into_os_string().into_encoded_bytes();
    let socket = Carried(SecretValue::new(socket));
    order.env.insert(SOCKET_VARIABLE.to_owned(), socket);
    let Some(launched) = Launched::claim(&slot, &request, order.env, points)? else {
        return Ok(None);
    };
    let mut writer = Writer::new(&logs, order.limits);
    if request.venv.is_some() {
        let text = format!("using the virtual environment {}", venv::FOLDER);
        writer.add(&writer::now(), Stream::Event, true, text.as_bytes());
    }
    let placement = request.placement;
    Keeper::new(
        slot, placement, launched, channels, writer, children, points,
    )
    .release(&request.program)
    .map(|keeper| Some(Kept::Process(Box::new(keeper))))
}

fn not_a_slot(slot: &Slot) -> Error {
    let shown = slot.folder().display();
    Error::invalid("bad-slot", format!("{shown} is not the folder of a try"))
}

fn read_order<T: DeserializeOwned>() -> Result<T, Error> {
    let text = wire::read_all(io::stdin().lock()).map_err(|error| own("read the order", &error))?;
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
