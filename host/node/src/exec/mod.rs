//! Programs beside a workload's own: begun once per key, looked at, attached to, ended.
//!
//! | room | what happens there |
//! |---|---|
//! | [`record`], `book` | what is remembered of them, durably, with their run |
//! | `beside` | finding one, and the transactions |
//! | `start`, `look`, `remove` | beginning one, what became of it, ending it |
//! | `attach` | its output and input, for one at a time |
//! | `overdue`, `watch` | those whose time is over, and those a crash left half begun |
//!
//! A program is its backend's: it goes on when the node is gone, and is found again by its name.

mod attach;
mod beside;
mod book;
mod look;
mod overdue;
pub(crate) mod record;
mod remove;
mod start;
mod under_way;
mod watch;

use std::io;
use std::sync::Arc;

use fleet_model::item::{Generation, ItemKey};
use fleet_model::{Error, signal};
use fleet_protocol::bulk::{ExecCall, Pending};
use serde::Serialize;

use crate::context::Context;
pub(crate) use under_way::Execs;
pub(crate) use watch::watch;

/// Answers one request.
pub(crate) async fn answer(
    context: &Arc<Context>,
    pending: Pending,
    item: ItemKey,
    generation: Generation,
    call: ExecCall,
) -> io::Result<()> {
    let find = |exec| beside::find(context, &item, generation, exec);
    match call {
        ExecCall::Start { key, spec } => {
            let begun = start::start(context, &item, generation, key, spec).await;
            tell(pending, begun).await
        }
        ExecCall::List => {
            let listed = look::list(context, &item, generation).await;
            tell(pending, listed).await
        }
        ExecCall::Show { exec } => {
            let shown = match find(exec) {
                Ok(beside) => look::show(&beside).await,
                Err(error) => Err(error),
            };
            tell(pending, shown).await
        }
        ExecCall::Attach { exec, after } => match find(exec) {
            Ok(beside) => attach::attach(pending, beside, after).await,
            Err(error) => pending.refuse(error).await,
        },
        ExecCall::Signal {
            exec,
            key,
            signal: text,
        } => {
            let sent = match (find(exec), signal::named(&text)) {
                (Ok(beside), Ok(name)) => remove::signal(&beside, key, name).await,
                (Err(error), _) | (_, Err(error)) => Err(error),
            };
            done(pending, sent).await
        }
        ExecCall::Remove { exec } => {
            let removed = match find(exec) {
                Ok(beside) => remove::remove(&beside).await,
                Err(error) => Err(error),
            };
            done(pending, removed).await
        }
    }
}

/// The answer is one frame.
async fn tell<T: Serialize + Sync>(pending: Pending, answer: Result<T, Error>) -> io::Result<()> {
    match answer {
        Ok(value) => {
            let mut stream = pending.accept().await?;
            stream.send_json(&value).await?;
            stream.finish().await
        }
        Err(error) => pending.refuse(error).await,
    }
}

/// That it was done is the whole answer.
async fn done(pending: Pending, answer: Result<(), Error>) -> io::Result<()> {
    match answer {
        Ok(()) => pending.accept().await?.finish().await,
        Err(error) => pending.refuse(error).await,
    }
}
