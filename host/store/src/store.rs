//! The handle that the rest of the host holds.

use std::sync::Arc;

use arc_swap::ArcSwap;
use imbl::OrdMap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::job::Submission;
use crate::state::key_text;
use crate::writer::{Health, Message, Writer, WriterLost};
use crate::{
    Cause, Durable, HasLog, HasStream, Image, LogRange, LogRow, Snapshot, State, StoreError,
    StreamRange, StreamRow, Tx, WriteError,
};

/// How much the writer takes on.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Transactions that may wait; the next caller waits to submit.
    pub queue: usize,
    /// Transactions in one commit, at most.
    pub batch: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            queue: 1024,
            batch: 256,
        }
    }
}

/// A store of one state. Clones are handles to the same store; when the last is gone, the writer finishes
/// what was submitted and lets go of the disk.
pub struct Store<S: State> {
    inner: Arc<Inner<S>>,
}

struct Inner<S: State> {
    id: String,
    durable: Arc<dyn Durable>,
    queue: mpsc::Sender<Message<S>>,
    published: Arc<ArcSwap<Snapshot<S>>>,
    commits: watch::Receiver<u64>,
    health: watch::Receiver<Health>,
}

impl<S: State> Clone for Store<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S: State> Store<S> {
    /// Loads the whole state and starts the writer, on the current Tokio runtime.
    ///
    /// # Errors
    /// The disk cannot be read, holds rows this build cannot read, or was opened for another state. It is
    /// let go, unchanged.
    pub async fn open(durable: Arc<dyn Durable>, options: Options) -> Result<Self, StoreError> {
        match load(durable.as_ref()).await {
            Ok((id, snapshot)) => Ok(Self::start(durable, id, snapshot, options)),
            Err(error) => {
                durable.close().await;
                Err(error)
            }
        }
    }

    fn start(
        durable: Arc<dyn Durable>,
        id: String,
        snapshot: Snapshot<S>,
        options: Options,
    ) -> Self {
        let (queue, inbox) = mpsc::channel(options.queue.max(1));
        let (commits, commits_seen) = watch::channel(snapshot.commit);
        let (health, health_seen) = watch::channel(Health::Serving);
        let published = Arc::new(ArcSwap::from_pointee(snapshot.clone()));
        let writer = Writer {
            durable: Arc::clone(&durable),
            queue: inbox,
            limit: options.batch.max(1),
            working: snapshot,
            published: Arc::clone(&published),
            commits,
            health,
        };
        tokio::spawn(writer.run());
        let inner = Inner {
            id,
            durable,
            queue,
            published,
            commits: commits_seen,
            health: health_seen,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The store's id: the one given when the database was made.
    pub fn id(&self) -> &str {
        &self.inner.id
    }

    /// The newest committed state.
    pub fn snapshot(&self) -> Arc<Snapshot<S>> {
        self.inner.published.load_full()
    }

    /// Wakes on every commit and holds its number, [`Snapshot::commit`]. Wait for a change, then take the
    /// snapshot: it is at least as new as the wake-up, so nothing is missed. The channel ends with the writer.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.inner.commits.clone()
    }

    /// Runs `decide` in the writer, on the newest state, in the order of submission, and returns when its
    /// changes are durable. `decide` must not block: all writers wait for it.
    ///
    /// Dropping the future does not take a submitted transaction back.
    ///
    /// # Errors
    /// See [`WriteError`]. But for [`WriteError::Failed`] nothing was written.
    pub async fn write<T, E>(
        &self,
        decide: impl FnOnce(&mut Tx<'_, S>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, WriteError<E>>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let message = Message::Write(Box::new(Submission { decide, caller }));
        if self.inner.queue.send(message).await.is_err() {
            let failure = self.inner.health.borrow().failure();
            return Err(failure.map_or(WriteError::Closed, WriteError::Failed));
        }
        answer
            .await
            .unwrap_or_else(|_| Err(WriteError::Failed(Arc::new(WriterLost))))
    }

    /// Entries of a log after a number, ascending, at most `limit`: number, time in Unix milliseconds, entry.
    /// If the first is not `after + 1`, those between were trimmed. Never runs ahead of [`Store::snapshot`].
    ///
    /// # Errors
    /// The disk cannot be read, or an entry does not parse.
    pub async fn read_log<L: LogRow>(
        &self,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, u64, L)>, StoreError>
    where
        S: HasLog<L>,
    {
        let range = LogRange {
            after,
            through: self.snapshot().log_head::<L>(),
            limit,
        };
        let entries = self.inner.durable.read_log(S::LOG, range).await?;
        let parsed = entries.into_iter().map(|entry| {
            serde_json::from_str(&entry.value)
                .map(|row| (entry.seq, entry.at_ms, row))
                .map_err(|source| StoreError::Row {
                    table: S::LOG.to_owned(),
                    key: entry.seq.to_string(),
                    source,
                })
        });
        parsed.collect()
    }

    /// Entries under a key of a stream after a number, ascending: number, time in Unix milliseconds, entry. At
    /// most `limit`, and at most `max_bytes` of stored JSON, but the first whatever its size.
    ///
    /// This is what the disk holds now, which may be newer than [`Store::snapshot`] and is never older.
    ///
    /// # Errors
    /// The disk cannot be read, or an entry does not parse.
    pub async fn read_stream<P: StreamRow>(
        &self,
        key: &P::Key,
        after: u64,
        limit: usize,
        max_bytes: usize,
    ) -> Result<Vec<(u64, u64, P)>, StoreError>
    where
        S: HasStream<P>,
    {
        let table = S::STREAM;
        let key = key_text(key).map_err(|source| StoreError::Key { table, source })?;
        let range = StreamRange {
            after,
            limit,
            max_bytes,
        };
        let entries = self.inner.durable.read_stream(table, &key, range).await?;
        let parsed = entries.into_iter().map(|entry| {
            serde_json::from_str(&entry.value)
                .map(|row| (entry.seq, entry.at_ms, row))
                .map_err(|source| StoreError::Row {
                    table: table.to_owned(),
                    key: format!("{key} {}", entry.seq),
                    source,
                })
        });
        parsed.collect()
    }

    /// Returns when the store has failed, with the cause: the process should end, see
    /// [`WriteError::Failed`]. Never returns otherwise, not even after a close.
    pub async fn failed(&self) -> Cause {
        let mut health = self.inner.health.clone();
        let failed = |now: &Health| matches!(now, Health::Failed(_));
        let cause = health
            .wait_for(failed)
            .await
            .ok()
            .and_then(|now| now.failure());
        match cause {
            Some(cause) => cause,
            None => std::future::pending().await,
        }
    }

    /// Takes no more writes, finishes those submitted, and lets go of the disk.
    pub async fn close(self) {
        let (done, closed) = oneshot::channel();
        if self.inner.queue.send(Message::Close(done)).await.is_ok() {
            let _ = closed.await;
        } else {
            // Another handle closes it, or has.
            let ended = |now: &Health| !matches!(now, Health::Serving);
            let _ = self.inner.health.clone().wait_for(ended).await;
        }
    }
}

async fn load<S: State>(durable: &dyn Durable) -> Result<(String, Snapshot<S>), StoreError> {
    let opened_for = durable.schema().name;
    if opened_for != S::NAME {
        return Err(StoreError::Declaration {
            state: S::NAME,
            problem: format!("{} was opened for {opened_for}", durable.place()),
        });
    }
    let Image {
        id,
        commit,
        revision,
        heads,
        rows,
    } = durable.load().await?;
    let mut state = S::default();
    for row in rows {
        state
            .load(&row.table, &row.key, &row.value)
            .map_err(|source| StoreError::Unreadable {
                place: durable.place(),
                source: Box::new(source),
            })?;
    }
    let head = |log: &&'static str| Some((*log, *heads.get(*log)?));
    let snapshot = Snapshot {
        state,
        revision,
        commit,
        heads: S::logs().iter().filter_map(head).collect::<OrdMap<_, _>>(),
    };
    Ok((id, snapshot))
}
