//! Starting a shim and hearing what became of it.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use fleet_seam::Clock;
use futures::future::{Either, select};
use serde::Serialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::shim::message::Answer;
use super::slot::Slot;
use crate::secret::wire;

/// The longest answer of a shim.
const ANSWER_BYTES: u64 = 256 * 1024;

/// How a shim is run: the slot is appended as the last argument.
#[derive(Debug, Clone)]
pub struct ShimCommand {
    /// The program: `/proc/self/exe` for the host itself.
    pub program: PathBuf,
    /// What makes it a shim: `shim`.
    pub args: Vec<OsString>,
}

/// Runs a shim for a slot; `None` when it has not answered for so long. The work goes on when the
/// caller stops waiting, and the shim is collected when it ends.
pub(crate) async fn run_shim(
    shim: &ShimCommand,
    slot: &Slot,
    order: impl Serialize,
    clock: &Arc<dyn Clock>,
    patience: Duration,
) -> Result<Option<Answer>, Error> {
    let line = wire::line(&order).map_err(|error| {
        Error::internal("bad-order", format!("the order cannot be written: {error}"))
    })?;
    drop(order);
    let child = spawn(shim, slot).map_err(|error| not_run(shim, &error))?;
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let mut child = child;
        // A caller that is gone asks again.
        let _ = tell.send(talk(&mut child, line).await);
        let _ = child.wait().await;
    });
    match select(told, clock.sleep(patience)).await {
        Either::Left((Ok(Ok(answer)), _)) => Ok(Some(answer)),
        Either::Left((Ok(Err(error)), _)) => Err(not_run(shim, &error)),
        Either::Left((Err(_), _)) => Err(Error::unavailable("stopping", "the host is stopping")),
        Either::Right(_) => Ok(None),
    }
}

fn spawn(shim: &ShimCommand, slot: &Slot) -> io::Result<Child> {
    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(slot.shim_log())?;
    Command::new(&shim.program)
        .args(&shim.args)
        .arg(slot.folder())
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
}

async fn talk(child: &mut Child, line: Zeroizing<Vec<u8>>) -> io::Result<Answer> {
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(&line).await?;
        drop(line);
        // Its end is the end of the order.
        stdin.shutdown().await?;
    }
    let stdout = child
        .stdout
        .take()
        .ok_or_else(|| io::Error::other("the shim has no stdout"))?;
    let mut line = Vec::new();
    BufReader::new(stdout.take(ANSWER_BYTES))
        .read_until(b'\n', &mut line)
        .await?;
    if line.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "the shim ended without an answer; see shim.log in its slot",
        ));
    }
    Ok(serde_json::from_slice(&line)?)
}

fn not_run(shim: &ShimCommand, error: &io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::OutOfMemory | io::ErrorKind::WouldBlock | io::ErrorKind::StorageFull => {
            ErrorKind::Exhausted
        }
        _ => ErrorKind::Unavailable,
    };
    Error::new(
        kind,
        "shim",
        format!(
            "the shim `{}` did not do its work: {error}",
            shim.program.display()
        ),
    )
}
