//! The store against the simplest thing that could be right, through faults and crashes.

use std::collections::BTreeMap;

use fleet_store::sim::{Fault, SimDisk};
use fleet_store::{Options, Store, Tx, WriteError};
use proptest::prelude::*;

use crate::media::{Event, Note, Packet, TestState, event, note, packet};

const KEYS: [&str; 2] = ["db", "web"];

#[derive(Debug, Clone)]
enum Change {
    Put(u64, u8),
    Delete(u64),
    Append(u8),
    Trim(u64),
    Revision,
    StreamAppend(&'static str, u64, u8),
    StreamTrim(&'static str, u64),
    StreamDrop(&'static str),
}

#[derive(Debug, Clone)]
enum Op {
    Write(Vec<Change>),
    Together(Vec<Vec<Change>>),
    Refuse(Vec<Change>),
    Panic(Vec<Change>),
    DiskFull(Vec<Change>),
    CrashInCommit(Vec<Change>),
    CrashBefore(Vec<Change>),
    CrashAfter(Vec<Change>),
    FailedSync(Vec<Change>),
    Crash,
    Close,
}

fn key() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&KEYS)
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let change = prop_oneof![
        4 => (0..6_u64, any::<u8>()).prop_map(|(id, text)| Change::Put(id, text)),
        2 => (0..6_u64).prop_map(Change::Delete),
        2 => any::<u8>().prop_map(Change::Append),
        1 => (0..20_u64).prop_map(Change::Trim),
        1 => Just(Change::Revision),
        4 => (key(), 1..8_u64, any::<u8>()).prop_map(|(key, seq, text)| Change::StreamAppend(key, seq, text)),
        2 => (key(), 0..8_u64).prop_map(|(key, through)| Change::StreamTrim(key, through)),
        1 => key().prop_map(Change::StreamDrop),
    ];
    prop::collection::vec(change, 0..6)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => changes().prop_map(Op::Write),
        4 => prop::collection::vec(changes(), 2..6).prop_map(Op::Together),
        2 => changes().prop_map(Op::Refuse),
        1 => changes().prop_map(Op::Panic),
        2 => changes().prop_map(Op::DiskFull),
        2 => changes().prop_map(Op::CrashInCommit),
        1 => changes().prop_map(Op::CrashBefore),
        1 => changes().prop_map(Op::CrashAfter),
        2 => changes().prop_map(Op::FailedSync),
        1 => Just(Op::Crash),
        1 => Just(Op::Close),
    ]
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    notes: BTreeMap<u64, String>,
    events: BTreeMap<u64, String>,
    head: u64,
    revision: u64,
    packets: BTreeMap<(&'static str, u64), String>,
}

impl Model {
    fn after(&self, changes: &[Change]) -> Self {
        let mut next = self.clone();
        for change in changes {
            match change {
                Change::Put(id, text) => drop(next.notes.insert(*id, text.to_string())),
                Change::Delete(id) => drop(next.notes.remove(id)),
                Change::Append(text) => {
                    next.head += 1;
                    next.events.insert(next.head, text.to_string());
                }
                Change::Trim(through) => next.events.retain(|seq, _| seq > through),
                Change::Revision => next.revision = self.revision + 1,
                Change::StreamAppend(key, seq, text) => {
                    let packet = next.packets.entry((*key, *seq));
                    packet.or_insert_with(|| text.to_string());
                }
                Change::StreamTrim(key, through) => {
                    let forgotten = |row: &(&str, u64)| row.0 == *key && row.1 <= *through;
                    next.packets.retain(|row, _| !forgotten(row));
                }
                Change::StreamDrop(key) => next.packets.retain(|row, _| row.0 != *key),
            }
        }
        next
    }

    async fn of(store: &Store<TestState>) -> Self {
        let snapshot = store.snapshot();
        let notes = snapshot.state.notes.iter();
        let events = store.read_log::<Event>(0, usize::MAX).await.unwrap();
        let mut packets = BTreeMap::new();
        for key in KEYS {
            let entries = store.read_stream::<Packet>(key, 0, usize::MAX, usize::MAX);
            let entries = entries.await.unwrap().into_iter();
            packets.extend(entries.map(|(seq, _, row)| ((key, seq), row.text)));
        }
        Self {
            packets,
            notes: notes.map(|(id, row)| (*id, row.text.clone())).collect(),
            events: events
                .into_iter()
                .map(|(seq, _, row)| (seq, row.text))
                .collect(),
            head: snapshot.log_head::<Event>(),
            revision: snapshot.revision,
        }
    }
}

fn apply(tx: &mut Tx<'_, TestState>, changes: &[Change]) {
    for change in changes {
        match change {
            Change::Put(id, text) => tx.put(note(*id, &text.to_string())),
            Change::Delete(id) => drop(tx.delete::<Note>(id)),
            Change::Append(text) => drop(tx.append(1, event(&text.to_string()))),
            Change::Trim(through) => tx.trim::<Event>(*through),
            Change::Revision => drop(tx.revision()),
            Change::StreamAppend(key, seq, text) => {
                tx.stream_append(*key, *seq, 1, packet(&text.to_string()));
            }
            Change::StreamTrim(key, through) => tx.stream_trim::<Packet>(key, *through),
            Change::StreamDrop(key) => tx.stream_drop::<Packet>(key),
        }
    }
}

struct Run {
    disk: SimDisk,
    store: Store<TestState>,
    model: Model,
}

impl Run {
    async fn write(&self, changes: &[Change]) -> Result<(), WriteError<()>> {
        let changes = changes.to_vec();
        let decide = move |tx: &mut Tx<'_, TestState>| {
            apply(tx, &changes);
            Ok(())
        };
        self.store.write(decide).await
    }

    async fn reopen(&mut self) {
        let opened = Store::open(self.disk.mount(), Options::default()).await;
        self.store = opened.unwrap();
    }

    /// A write that meets a fault. One that changes nothing does not reach the disk, hence not the fault.
    async fn faulty(&mut self, changes: &[Change], fault: Fault) {
        self.disk.inject(1, fault);
        let outcome = self.write(changes).await;
        let after = self.model.after(changes);
        if outcome.is_ok() {
            // Use the fault up.
            let _ = self.write(&[Change::Put(0, 0)]).await;
            self.reopen().await;
            let now = Model::of(&self.store).await;
            assert!(now == after || now == after.after(&[Change::Put(0, 0)]));
            self.model = now;
            return;
        }
        match fault {
            Fault::DiskFull => assert!(matches!(outcome, Err(WriteError::Full(_)))),
            _ => {
                assert!(matches!(outcome, Err(WriteError::Failed(_))));
                self.reopen().await;
                let now = Model::of(&self.store).await;
                match fault {
                    Fault::CrashBefore => assert_eq!(now, self.model),
                    Fault::CrashAfter => assert_eq!(now, after),
                    _ => assert!(now == self.model || now == after, "{now:?} is neither"),
                }
                self.model = now;
            }
        }
    }

    async fn step(&mut self, op: &Op) {
        match op {
            Op::Write(changes) => {
                self.write(changes).await.unwrap();
                self.model = self.model.after(changes);
            }
            Op::Together(transactions) => {
                let mut callers = tokio::task::JoinSet::new();
                for changes in transactions.clone() {
                    let store = self.store.clone();
                    let decide = move |tx: &mut Tx<'_, TestState>| {
                        apply(tx, &changes);
                        Ok::<(), ()>(())
                    };
                    callers.spawn(async move { store.write(decide).await });
                    self.model = self.model.after(&transactions[callers.len() - 1]);
                }
                for outcome in callers.join_all().await {
                    outcome.unwrap();
                }
            }
            Op::Refuse(changes) => {
                let changes = changes.clone();
                let decide = move |tx: &mut Tx<'_, TestState>| {
                    apply(tx, &changes);
                    Err(())
                };
                let refused = self.store.write::<(), ()>(decide).await;
                assert!(matches!(refused, Err(WriteError::Refused(()))));
            }
            Op::Panic(changes) => {
                let changes = changes.clone();
                let decide = move |tx: &mut Tx<'_, TestState>| {
                    apply(tx, &changes);
                    // Without the hook's message for each.
                    std::panic::resume_unwind(Box::new("on purpose"))
                };
                let panicked = self.store.write::<(), ()>(decide).await;
                assert!(matches!(panicked, Err(WriteError::Panicked(_))));
            }
            Op::DiskFull(changes) => self.faulty(changes, Fault::DiskFull).await,
            Op::CrashInCommit(changes) => self.faulty(changes, Fault::Crash).await,
            Op::CrashBefore(changes) => self.faulty(changes, Fault::CrashBefore).await,
            Op::CrashAfter(changes) => self.faulty(changes, Fault::CrashAfter).await,
            Op::FailedSync(changes) => self.faulty(changes, Fault::IoError).await,
            Op::Crash => {
                self.disk.crash();
                self.reopen().await;
            }
            Op::Close => {
                self.store.clone().close().await;
                self.reopen().await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_its_model(ops in prop::collection::vec(op(), 1..40), seed: u64) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.unwrap().block_on(async {
            let disk = SimDisk::new::<TestState>("st_model", seed).unwrap();
            let store = Store::open(disk.mount(), Options::default()).await.unwrap();
            let mut run = Run { disk, store, model: Model::default() };
            for op in &ops {
                run.step(op).await;
                assert_eq!(Model::of(&run.store).await, run.model, "after {op:?}");
            }
        });
    }
}
