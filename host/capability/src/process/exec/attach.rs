//! Attaching to a program beside a process: its output as a stream, its input beside it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_model::{Error, ErrorKind};
use fleet_seam::Clock;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream;

use super::incoming::Incoming;
use super::input::NoInput;
use super::link;
use super::slot::ExecSlot;
use super::wire::{Demand, Outward};
use crate::fault;
use crate::process::control;
use crate::process::evidence::Evidence;
use crate::source::{Source, Stream};

/// How long a shim may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// When to ask again where nobody answered.
const RETRY_MS: u32 = 200;

/// Attaches, or tells what is left to tell of one that is over.
pub(crate) async fn open(
    exec: ExecSlot,
    after: u64,
    clock: &Arc<dyn Clock>,
) -> Result<Source, Error> {
    let begun = match select(Box::pin(begin(&exec, after)), clock.sleep(PATIENCE)).await {
        Either::Left((begun, _)) => begun?,
        Either::Right(_) => return Err(again("the program's keeper has not answered yet")),
    };
    match begun {
        Some(source) => Ok(source),
        None => blocking(move || over(&exec, after)).await,
    }
}

/// Attaches; `None` where nobody listens.
async fn begin(exec: &ExecSlot, after: u64) -> Result<Option<Source>, Error> {
    let Ok(mut line) = control::connect(exec.folder()).await else {
        return Ok(None);
    };
    if control::say(&mut line, &Demand::Attach { after })
        .await
        .is_err()
    {
        return Ok(None);
    }
    let (read, write) = line.into_split();
    let mut read = Incoming::new(read);
    match read.next().await {
        Ok(Some(Outward::Begin(intake))) => Ok(Some(link::source(read, write, intake, after))),
        Ok(Some(Outward::Failed(error))) => Err(error),
        Ok(Some(_)) => Err(Error::internal(
            "bad-frame",
            "the program's keeper does not begin as it should",
        )),
        // It left in this moment.
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Of one whose shim is gone: a gap where output was not read, and nothing more.
fn over(exec: &ExecSlot, after: u64) -> Result<Source, Error> {
    let storage = |error: io::Error| fault::storage("look at", exec.folder(), &error);
    let evidence: Evidence = exec.slot.evidence().map_err(storage)?;
    if evidence.shim_lives && evidence.exit.is_none() {
        return Err(again("the program's keeper gave no answer"));
    }
    let exit = exec.exit().map_err(storage)?;
    let gap = exit
        .as_ref()
        .map(|exit| exit.produced)
        .filter(|produced| *produced > after)
        .map(|produced| Ok(link::frame(Stream::Event, produced, Bytes::new())));
    Ok(Source {
        output: stream::iter(gap).boxed(),
        input: Some(Box::new(NoInput {
            taken: exit.map_or(0, |exit| exit.taken),
        })),
    })
}

fn again(message: &str) -> Error {
    Error {
        retry_after_ms: Some(RETRY_MS),
        ..Error::new(
            ErrorKind::Unavailable,
            "keeper-busy",
            format!("{message}; ask again"),
        )
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) => Err(Error::unavailable(
            "stopping",
            format!("the program was not looked at: {error}"),
        )),
    }
}
