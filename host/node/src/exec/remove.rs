//! Ends a program and forgets it; sends it a signal.

use fleet_model::{Error, ErrorKind, Verb};

use super::beside::{Beside, write};
use super::book::signalled;

/// The code of a signal's error when nothing is left to send it to.
pub(super) const OVER: &str = "exec-over";

/// Ends it and forgets it.
pub(super) async fn remove(beside: &Beside) -> Result<(), Error> {
    if beside.record.known.is_none() && !beside.is_run_over {
        // What is being started can only be ended when its backend has said how it is known.
        beside.known()?;
    }
    at_backend(beside).await?;
    let name = beside.name();
    write(&beside.context, &beside.at, move |execs| {
        execs.remove(&name);
        Ok(())
    })
    .await
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
    if beside.record.signals.contains(&key) {
        return Ok(());
    }
    if beside.record.over.is_some() {
        return Err(is_over());
    }
    send(beside, &key, signal).await?;
    beside.change(move |exec| signalled(exec, key)).await?;
    Ok(())
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
