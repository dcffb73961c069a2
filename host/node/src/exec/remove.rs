//! Ends a program and forgets it; sends it a signal.
//!
//! What was done is written down after it was done, also where whoever asked for it goes away meanwhile.

use fleet_model::item::Generation;
use fleet_model::{Error, ErrorKind, Verb};

use super::beside::{Beside, find, write};
use super::book::signalled;

/// The code of a signal's error when nothing is left to send it to.
pub(super) const OVER: &str = "exec-over";

/// Ends it and forgets it.
pub(super) async fn remove(beside: &Beside) -> Result<(), Error> {
    if beside.record.known.is_none() && !beside.is_run_over {
        // What is being started can only be ended when its backend has said how it is known.
        beside.known()?;
    }
    let own = beside.clone();
    let effect = async move {
        at_backend(&own).await?;
        let name = own.name();
        write(&own.context, &own.at, move |execs| {
            execs.remove(&name);
            Ok(())
        })
        .await
    };
    beside.context.effects.run(effect).await
}

/// Its backend ends and forgets it.
pub(super) async fn at_backend(beside: &Beside) -> Result<(), Error> {
    let Some(known) = &beside.record.known else {
        return Ok(());
    };
    let op = beside
        .at
        .op(Verb::Destroy, format!("exec:{}", beside.record.call));
    match beside.driver.remove_exec(&op, &beside.handle, known).await {
        Err(error) if error.kind != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Sends it a signal, once per key.
pub(super) async fn signal(beside: &Beside, key: String, signal: &str) -> Result<(), Error> {
    let context = &beside.context;
    let turn = context.execs.signals.of(&beside.id).lock_owned().await;
    // As it is now that those before it are done.
    let own = find(context, &beside.at.item, Generation(u64::MAX), beside.id)?;
    if own.record.signals.contains(&key) {
        return Ok(());
    }
    if own.record.over.is_some() {
        return Err(is_over());
    }
    let signal = signal.to_owned();
    let effect = async move {
        let _turn = turn;
        send(&own, &key, &signal).await?;
        own.change(move |exec| signalled(exec, key)).await?;
        Ok(())
    };
    context.effects.run(effect).await
}

/// Sends it a signal.
pub(super) async fn send(beside: &Beside, call: &str, signal: &str) -> Result<(), Error> {
    let op = beside.at.op(Verb::Signal, call);
    let sent = beside
        .driver
        .signal_exec(&op, &beside.handle, beside.known()?, signal)
        .await;
    sent.map_err(|error| match error.kind {
        ErrorKind::NotFound => is_over(),
        _ => error,
    })
}

fn is_over() -> Error {
    Error::conflict(
        OVER,
        "the program has ended: there is nothing left to send a signal to",
    )
}
