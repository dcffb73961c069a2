//! Signals for a workload's program, each sent once per key.
//!
//! What was sent is written down after it was sent: a node that is killed in between sends the same
//! signal once more when it is asked again, and never less than once. Signals of one workload are sent
//! one after the other, so two requests with the same key cannot both find it unknown; and whoever asked
//! may go away in between, which is no reason not to write it down.

mod book;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use fleet_model::item::{Generation, ItemKey};
use fleet_model::{Error, ErrorKind, Op, Verb};
use fleet_protocol::bulk::Pending;

use crate::context::Context;
use crate::running::running;
use crate::state::{Record, SentSignal};
use book::Standing;

/// Answers one request.
pub(crate) async fn answer(
    context: &Arc<Context>,
    pending: Pending,
    item: ItemKey,
    generation: Generation,
    key: String,
    signal: &str,
) -> io::Result<()> {
    match send(context, &item, generation, key, signal).await {
        Ok(()) => pending.accept().await?.finish().await,
        Err(error) => pending.refuse(error).await,
    }
}

async fn send(
    context: &Arc<Context>,
    item: &ItemKey,
    generation: Generation,
    key: String,
    signal: &str,
) -> Result<(), Error> {
    let turn = context.signals.of(item).lock_owned().await;
    let sent = book::entry(&key, signal);
    let record = context.store.snapshot().state.items.get(item).cloned();
    match book::standing(record.as_deref(), &sent) {
        Standing::Sent => return Ok(()),
        Standing::Other(error) => return Err(error),
        Standing::New => {}
    }
    let found = running(context, item, generation).await?;
    let op = Op {
        item: item.clone(),
        generation: found.run.generation,
        attempt: found.run.attempt,
        verb: Verb::Signal,
        call: key,
    };
    let (own, signal) = (context.clone(), signal.to_owned());
    let effect = async move {
        let _turn = turn;
        let done = found.driver.signal(&op, &found.handle, &signal).await;
        done.map_err(ended)?;
        note(&own, &op.item, sent).await
    };
    context.effects.run(effect).await
}

/// Writes down that it was sent.
async fn note(context: &Context, item: &ItemKey, sent: SentSignal) -> Result<(), Error> {
    let key = item.clone();
    let written = context.store.write(move |tx| -> Result<(), Infallible> {
        if let Some(record) = tx.get::<Record>(&key) {
            let mut record = Record::clone(&record);
            book::note(&mut record, sent);
            tx.put(record);
        }
        Ok(())
    });
    written.await.map_err(|error| {
        tracing::warn!(%item, error = &error as &dyn std::error::Error, "a signal was sent and cannot be written down");
        Error::unavailable(
            "not-recorded",
            "the signal was sent, and the node cannot write that down: free some space on its disk; the same again would send it once more",
        )
    })
}

/// The program ended between the look at it and the signal.
fn ended(error: Error) -> Error {
    if error.kind == ErrorKind::NotFound {
        return Error::conflict(
            "not-running",
            "it has just ended: start it with `fleet-host workload start NAME`",
        );
    }
    error
}
