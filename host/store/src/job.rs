//! A transaction on its way to the writer, with its caller's types wrapped up.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio::sync::oneshot;

use crate::{CommitError, State, Tx, WriteError};

/// What the writer does with a transaction.
pub(crate) trait Job<S: State>: Send {
    /// Runs it.
    fn decide(self: Box<Self>, tx: &mut Tx<'_, S>) -> Verdict;

    /// Answers without running it.
    fn turn_away(self: Box<Self>, error: CommitError);
}

/// What a transaction came to.
pub(crate) struct Verdict {
    /// Whether its changes are to be committed.
    pub(crate) keep: bool,
    /// Answers the caller, once it is known how the commit went.
    pub(crate) answer: Answer,
}

pub(crate) type Answer = Box<dyn FnOnce(Result<(), CommitError>) + Send>;

/// A caller's decision and the way back to the caller.
pub(crate) struct Submission<F, T, E> {
    pub(crate) decide: F,
    pub(crate) caller: oneshot::Sender<Result<T, WriteError<E>>>,
}

impl<S, F, T, E> Job<S> for Submission<F, T, E>
where
    S: State,
    F: FnOnce(&mut Tx<'_, S>) -> Result<T, E> + Send,
    T: Send + 'static,
    E: Send + 'static,
{
    fn decide(self: Box<Self>, tx: &mut Tx<'_, S>) -> Verdict {
        let Self { decide, caller } = *self;
        // Unwind safe: what a panicking decision has done to the transaction is thrown away.
        let decided = catch_unwind(AssertUnwindSafe(|| decide(tx)));
        let outcome = match (decided, tx.take_failure()) {
            (Err(panic), _) => Err(WriteError::Panicked(panic_text(panic.as_ref()))),
            (Ok(Err(refusal)), _) => Err(WriteError::Refused(refusal)),
            (Ok(Ok(_)), Some(failure)) => Err(WriteError::Encode {
                table: failure.table,
                source: failure.source,
            }),
            (Ok(Ok(value)), None) => Ok(value),
        };
        Verdict {
            keep: outcome.is_ok(),
            answer: Box::new(move |committed| {
                let answer = match committed {
                    Ok(()) => outcome,
                    Err(error) => Err(error.into()),
                };
                let _ = caller.send(answer);
            }),
        }
    }

    fn turn_away(self: Box<Self>, error: CommitError) {
        let _ = self.caller.send(Err(error.into()));
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let literal = panic.downcast_ref::<&str>().copied();
    literal
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
        .to_owned()
}
