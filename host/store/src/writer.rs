//! The writer: the one task that decides, commits and publishes.
//!
//! It takes all transactions that wait, runs each on its working copy of the state, hands their changes to
//! the disk as one commit, publishes the new snapshot, and answers. While it waits for the disk the next
//! transactions queue up, so commits grow with the load.
//!
//! A transaction that changes nothing is still answered after the commit when one before it in the batch has
//! changed something: it has seen that change, and the answer must not outlive it.
//!
//! **When a commit fails.** A full disk, or a database held by somebody else, is a definite no: the working
//! copy goes back to the published state, the whole batch is told so, and the writer goes on. Anything else
//! leaves the outcome open: after a failed sync the kernel may have dropped the pages, report the next sync
//! as good, and still have lost them, while another read of the file shows them as if they were there. No
//! later answer could be trusted, so the writer refuses everything from then on, and the process is to end:
//! a new one reads from the disk what is true.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::job::{Answer, Job, Verdict};
use crate::{Batch, Cause, CommitError, Durable, Snapshot, State, Tx};

/// What the handles send to the writer.
pub(crate) enum Message<S: State> {
    /// A transaction.
    Write(Box<dyn Job<S>>),
    /// No more transactions after those in the queue. Answered when the disk is let go.
    Close(oneshot::Sender<()>),
}

/// Whether the store takes writes.
#[derive(Debug, Clone)]
pub(crate) enum Health {
    Serving,
    Closed,
    Failed(Cause),
}

impl Health {
    pub(crate) fn failure(&self) -> Option<Cause> {
        match self {
            Self::Failed(cause) => Some(cause.clone()),
            Self::Serving | Self::Closed => None,
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the writer ended before it answered")]
pub(crate) struct WriterLost;

pub(crate) struct Writer<S: State> {
    pub(crate) durable: Arc<dyn Durable>,
    pub(crate) queue: mpsc::Receiver<Message<S>>,
    /// Transactions per commit, at most.
    pub(crate) limit: usize,
    pub(crate) working: Snapshot<S>,
    pub(crate) published: Arc<ArcSwap<Snapshot<S>>>,
    pub(crate) commits: watch::Sender<u64>,
    pub(crate) health: watch::Sender<Health>,
}

impl<S: State> Writer<S> {
    pub(crate) async fn run(mut self) {
        let mut inbox = Vec::with_capacity(self.limit);
        let mut closers = Vec::new();
        while self.queue.recv_many(&mut inbox, self.limit).await > 0 {
            let mut batch = Batch::default();
            let mut answers = Vec::new();
            for message in inbox.drain(..) {
                match message {
                    Message::Write(job) => self.decide(job, &mut batch, &mut answers),
                    Message::Close(done) => {
                        self.queue.close();
                        closers.push(done);
                    }
                }
            }
            if !batch.is_empty() {
                let outcome = self.commit(batch).await;
                for answer in answers {
                    answer(outcome.clone());
                }
            }
        }
        self.durable.close().await;
        self.end(Health::Closed);
        for done in closers {
            let _ = done.send(());
        }
    }

    /// Runs one transaction. Its answer waits if anything is to be committed.
    fn decide(&mut self, job: Box<dyn Job<S>>, batch: &mut Batch, answers: &mut Vec<Answer>) {
        let failure = self.health.borrow().failure();
        if let Some(cause) = failure {
            return job.turn_away(CommitError::Failed(cause));
        }
        let before = self.working.clone();
        let mut tx = Tx::new(&mut self.working);
        let Verdict { keep, answer } = job.decide(&mut tx);
        let changes = tx.into_changes();
        if keep {
            batch.absorb(changes);
        } else {
            self.working = before;
        }
        if batch.is_empty() {
            answer(Ok(()));
        } else {
            answers.push(answer);
        }
    }

    async fn commit(&mut self, mut batch: Batch) -> Result<(), CommitError> {
        batch.commit = self.working.commit + 1;
        let outcome = self.durable.commit(&batch).await;
        match &outcome {
            Ok(()) => {
                self.working.commit = batch.commit;
                self.published.store(Arc::new(self.working.clone()));
                self.commits.send_replace(batch.commit);
            }
            Err(error) => {
                tracing::error!(error = error as &dyn std::error::Error, "a commit failed");
                self.working = Snapshot::clone(&self.published.load());
                if let CommitError::Failed(cause) = error {
                    self.end(Health::Failed(cause.clone()));
                }
            }
        }
        outcome
    }

    /// The first end is the true one.
    fn end(&self, health: Health) {
        self.health.send_if_modified(|current| {
            let first = matches!(current, Health::Serving);
            if first {
                *current = health;
            }
            first
        });
    }
}

impl<S: State> Drop for Writer<S> {
    /// Reached while still serving only when the task was torn down or has panicked.
    fn drop(&mut self) {
        self.end(Health::Failed(Arc::new(WriterLost)));
    }
}
