//! What the tests share: a state, the disks it is kept on, and a probe between store and disk.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use async_trait::async_trait;
use fleet_store::sim::SimDisk;
use fleet_store::sqlite::Sqlite;
use fleet_store::{
    Batch, CommitError, Durable, Image, LogEntry, LogRange, Options, Row, Schema, Store,
    StoreError, StreamRange, StreamRow, Tx, WriteError, state,
};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use tempfile::TempDir;
use tokio::sync::watch;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    pub node: String,
    pub name: String,
    pub size: u32,
}

impl Row for Item {
    type Key = (String, String);

    fn key(&self) -> Self::Key {
        key(&self.node, &self.name)
    }
}

pub fn item(node: &str, name: &str, size: u32) -> Item {
    Item {
        node: node.to_owned(),
        name: name.to_owned(),
        size,
    }
}

pub fn key(node: &str, name: &str) -> (String, String) {
    (node.to_owned(), name.to_owned())
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Note {
    pub id: u64,
    #[serde(serialize_with = "stubborn")]
    pub text: String,
}

/// A text that no serialiser accepts.
pub const UNSTORABLE: &str = "unstorable";

fn stubborn<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    match text {
        UNSTORABLE => Err(S::Error::custom("will not")),
        text => serializer.serialize_str(text),
    }
}

impl Row for Note {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }
}

pub fn note(id: u64, text: &str) -> Note {
    Note {
        id,
        text: text.to_owned(),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub text: String,
}

pub fn event(text: &str) -> Event {
    Event {
        text: text.to_owned(),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Audit(pub u32);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Packet {
    #[serde(serialize_with = "stubborn")]
    pub text: String,
}

impl StreamRow for Packet {
    type Key = str;
}

pub fn packet(text: &str) -> Packet {
    Packet {
        text: text.to_owned(),
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace(pub u32);

impl StreamRow for Trace {
    type Key = (String, u32);
}

state! {
    pub struct TestState("test") {
        pub items: Item,
        pub notes: Note,
    }
    logs { events: Event, audits: Audit }
    streams { packets: Packet, traces: Trace }
}

/// A disk that outlives the store on it.
#[async_trait]
pub trait Media: Send + Sync {
    fn new() -> Self;

    /// Opens what is on the disk.
    async fn open(&self) -> Arc<dyn Durable>;

    /// The process that has the disk open is gone, without closing it.
    fn crash(&mut self);

    async fn store(&self) -> Store<TestState> {
        Store::open(self.open().await, Options::default())
            .await
            .unwrap()
    }

    async fn probed(&self) -> (Store<TestState>, Arc<Probe>) {
        let probe = Arc::new(Probe::new(self.open().await));
        let store = Store::open(probe.clone(), Options::default()).await;
        (store.unwrap(), probe)
    }
}

pub struct Simulated(pub SimDisk);

#[async_trait]
impl Media for Simulated {
    fn new() -> Self {
        Self(SimDisk::new::<TestState>("st_test", 1).unwrap())
    }

    async fn open(&self) -> Arc<dyn Durable> {
        self.0.mount()
    }

    fn crash(&mut self) {
        self.0.crash();
    }
}

pub struct OnDisk(pub TempDir);

impl OnDisk {
    pub fn path(&self) -> PathBuf {
        self.0.path().join("test.db")
    }
}

#[async_trait]
impl Media for OnDisk {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    async fn open(&self) -> Arc<dyn Durable> {
        let opened = Sqlite::open::<TestState>(self.path(), "st_test").await;
        Arc::new(opened.unwrap())
    }

    /// The next host finds the files as they are now, write-ahead log and all.
    fn crash(&mut self) {
        let next = TempDir::new().unwrap();
        for file in ["test.db", "test.db-wal"] {
            std::fs::copy(self.0.path().join(file), next.path().join(file)).unwrap();
        }
        self.0 = next;
    }
}

/// Stands between store and disk: counts commits, holds them back, and lets them fail.
pub struct Probe {
    inner: Arc<dyn Durable>,
    arrived: watch::Sender<u64>,
    /// Commits up to this number go on.
    allowed: watch::Sender<u64>,
    failures: Mutex<VecDeque<CommitError>>,
    closed: AtomicU64,
}

impl Probe {
    pub fn new(inner: Arc<dyn Durable>) -> Self {
        Self {
            inner,
            arrived: watch::Sender::new(0),
            allowed: watch::Sender::new(u64::MAX),
            failures: Mutex::default(),
            closed: AtomicU64::new(0),
        }
    }

    /// Commits from now on stop before they reach the disk.
    pub fn hold(&self) {
        self.allow(self.commits());
    }

    /// Commits up to and with the `nth` go on.
    pub fn allow(&self, nth: u64) {
        self.allowed.send_replace(nth);
    }

    pub fn release(&self) {
        self.allow(u64::MAX);
    }

    /// The next commit that has no failure yet gets this one, and nothing is written.
    pub fn fail_next(&self, error: CommitError) {
        self.failures.lock().unwrap().push_back(error);
    }

    /// How many commits have been asked for.
    pub fn commits(&self) -> u64 {
        *self.arrived.borrow()
    }

    pub fn closed(&self) -> u64 {
        self.closed.load(Ordering::SeqCst)
    }

    pub async fn arrived(&self, commits: u64) {
        let mut arrived = self.arrived.subscribe();
        soon(arrived.wait_for(|now| *now >= commits)).await.unwrap();
    }
}

#[async_trait]
impl Durable for Probe {
    fn schema(&self) -> &Schema {
        self.inner.schema()
    }

    fn place(&self) -> String {
        self.inner.place()
    }

    async fn load(&self) -> Result<Image, StoreError> {
        self.inner.load().await
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        self.arrived.send_modify(|count| *count += 1);
        let nth = self.commits();
        let mut allowed = self.allowed.subscribe();
        allowed.wait_for(|allowed| *allowed >= nth).await.unwrap();
        let failure = self.failures.lock().unwrap().pop_front();
        match failure {
            Some(failure) => Err(failure),
            None => self.inner.commit(batch).await,
        }
    }

    async fn read_log(
        &self,
        log: &'static str,
        range: LogRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.inner.read_log(log, range).await
    }

    async fn read_stream(
        &self,
        stream: &'static str,
        key: &str,
        range: StreamRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        self.inner.read_stream(stream, key, range).await
    }

    async fn close(&self) {
        self.inner.close().await;
        self.closed.fetch_add(1, Ordering::SeqCst);
    }
}

/// A transaction that never refuses.
pub async fn write<T: Send + 'static>(
    store: &Store<TestState>,
    decide: impl FnOnce(&mut Tx<'_, TestState>) -> T + Send + 'static,
) -> Result<T, WriteError<Infallible>> {
    store.write(move |tx| Ok(decide(tx))).await
}

/// [`write()`] of one row, for a task of its own.
pub async fn put_later(store: Store<TestState>, row: Item) {
    write(&store, |tx| tx.put(row)).await.unwrap();
}

/// A wait with a deadline.
pub async fn soon<F: Future>(future: F) -> F::Output {
    let deadline = Duration::from_secs(20);
    tokio::time::timeout(deadline, future)
        .await
        .expect("never happened")
}

/// Whether a future waits, however often it is asked.
pub async fn waits<F: Future + Unpin>(future: &mut F) -> bool {
    for _ in 0..50 {
        let once =
            std::future::poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context)));
        if once.await.is_ready() {
            return false;
        }
        tokio::task::yield_now().await;
    }
    true
}
