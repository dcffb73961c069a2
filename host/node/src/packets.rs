//! Carries packets from the spools of workloads to the controller, and trims what it has stored.
//!
//! The spool is the queue: what is in it and not acknowledged is read again by the next session, and
//! the controller stores each number once. Here is only how far each spool has been sent, which may
//! be lost at any time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_capability::{PacketSpools, Spooled};
use fleet_model::item::ItemKey;
use fleet_model::{StoreId, WorkloadId};
use fleet_protocol::message::SpooledPacket;
use tokio::sync::Notify;

/// Bytes of packets in one message, unless one alone is larger.
const PART_BYTES: usize = 512 * 1024;

/// Messages that may be unacknowledged: a controller that stores slowly is not sent more.
const UNDER_WAY: usize = 8;

/// How far the spools have been sent.
pub(crate) struct Pump {
    spools: Arc<dyn PacketSpools>,
    inner: Mutex<Inner>,
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    known: BTreeMap<WorkloadId, Progress>,
    under_way: usize,
    /// The workload that was served last: the next one's turn comes first.
    last: Option<WorkloadId>,
}

/// How far one workload's packets have been sent in this session.
#[derive(Debug, Default, Clone, Copy)]
struct Progress {
    sent: u64,
    /// How often its bell has rung.
    rang: u64,
    /// How often it had rung when it was found that nothing more was there.
    heard: u64,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy)]
struct Turn {
    workload: WorkloadId,
    /// The packet after which to read on.
    after: u64,
    /// How often the bell had rung before the read.
    rang: u64,
}

/// Packets to be sent in one message.
pub(crate) struct Part {
    pub(crate) item: ItemKey,
    pub(crate) spool: StoreId,
    pub(crate) packets: Vec<SpooledPacket>,
}

impl Pump {
    pub(crate) fn new(spools: Arc<dyn PacketSpools>) -> Self {
        Self {
            spools,
            inner: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Hears of new packets, for as long as the node works.
    pub(crate) async fn listen(&self) {
        loop {
            for workload in self.spools.changed().await {
                self.lock().known.entry(workload).or_default().rang += 1;
            }
            self.changed.notify_one();
        }
    }

    /// A new session has been sent nothing.
    pub(crate) fn rewind(&self) {
        let mut inner = self.lock();
        inner.under_way = 0;
        for progress in inner.known.values_mut() {
            progress.sent = 0;
            progress.rang += 1;
        }
        drop(inner);
        self.changed.notify_one();
    }

    /// The workload is gone, and its packets with it.
    pub(crate) fn forget(&self, workload: WorkloadId) {
        self.lock().known.remove(&workload);
    }

    /// The next packets to be sent, once there are some and the controller keeps up. Cancel-safe:
    /// what it answers is counted as sent in the moment it answers.
    pub(crate) async fn next(&self) -> Part {
        loop {
            let changed = self.changed.notified();
            while let Some(turn) = self.turn() {
                let workload = turn.workload;
                match self.spools.read(workload, turn.after, PART_BYTES).await {
                    Ok(Some(spooled)) => {
                        if let Some(part) = self.sent(turn, spooled) {
                            return part;
                        }
                    }
                    Ok(None) => self.none(turn),
                    Err(error) => {
                        tracing::warn!(%workload, %error, "the packets of a workload cannot be read; they are looked at again when more come");
                        self.rest(turn);
                    }
                }
            }
            changed.await;
        }
    }

    /// The controller has stored packets of a spool up to this number.
    pub(crate) async fn stored(&self, item: &ItemKey, spool: StoreId, through: u64) {
        {
            let mut inner = self.lock();
            inner.under_way = inner.under_way.saturating_sub(1);
        }
        self.changed.notify_one();
        if let Ok(workload) = item.key.parse()
            && let Err(error) = self.spools.trim(workload, spool, through).await
        {
            // They are sent again by the next session, and stored once all the same.
            tracing::warn!(%item, %error, "packets that are stored cannot be forgotten yet");
        }
    }

    /// Whose turn it is.
    fn turn(&self) -> Option<Turn> {
        let mut inner = self.lock();
        if inner.under_way >= UNDER_WAY {
            return None;
        }
        let last = inner.last;
        let is_later = |workload: &WorkloadId| last.is_none_or(|last| *workload > last);
        let dirty = || {
            let known = inner.known.iter();
            known.filter(|(_, progress)| progress.rang > progress.heard)
        };
        let next = dirty()
            .find(|(workload, _)| is_later(workload))
            .or_else(|| dirty().next())
            .map(|(workload, progress)| Turn {
                workload: *workload,
                after: progress.sent,
                rang: progress.rang,
            });
        inner.last = next.map(|turn| turn.workload);
        next
    }

    /// Nothing more of it was there when it was read; a bell that rang since then counts.
    fn rest(&self, turn: Turn) {
        if let Some(progress) = self.lock().known.get_mut(&turn.workload) {
            progress.heard = progress.heard.max(turn.rang);
        }
    }

    /// It has no packets at all: it is gone, or never had any.
    fn none(&self, turn: Turn) {
        let mut inner = self.lock();
        let is_quiet = |progress: &Progress| progress.rang == turn.rang;
        if inner.known.get(&turn.workload).is_some_and(is_quiet) {
            inner.known.remove(&turn.workload);
        }
    }

    fn sent(&self, turn: Turn, spooled: Spooled) -> Option<Part> {
        let Some(last) = spooled.packets.last().map(|packet| packet.seq) else {
            self.rest(turn);
            return None;
        };
        let mut inner = self.lock();
        let progress = inner.known.get_mut(&turn.workload)?;
        if progress.sent != turn.after {
            // A new session began meanwhile: it reads from its own start.
            return None;
        }
        progress.sent = last;
        inner.under_way += 1;
        let packets = spooled.packets.into_iter().map(|packet| SpooledPacket {
            seq: packet.seq,
            at_ms: packet.at_ms,
            json: packet.json,
        });
        Some(Part {
            item: ItemKey::workload(turn.workload),
            spool: spooled.spool,
            packets: packets.collect(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use async_trait::async_trait;
    use fleet_capability::SpooledPacket as Kept;
    use fleet_model::Error;
    use tokio::sync::watch;

    use super::*;

    /// Spools in memory: so many packets each.
    struct Spools {
        heads: Mutex<BTreeMap<WorkloadId, u64>>,
        trimmed: Mutex<BTreeMap<WorkloadId, u64>>,
        rang: watch::Sender<u64>,
    }

    impl Spools {
        fn put(&self, n: u64, head: u64) {
            self.heads
                .lock()
                .unwrap()
                .insert(WorkloadId::new(n, 0), head);
            self.rang.send_modify(|rang| *rang += 1);
        }
    }

    #[async_trait]
    impl PacketSpools for Spools {
        async fn changed(&self) -> Vec<WorkloadId> {
            let mut rang = self.rang.subscribe();
            rang.changed().await.unwrap();
            self.heads.lock().unwrap().keys().copied().collect()
        }

        async fn read(
            &self,
            workload: WorkloadId,
            after: u64,
            _: usize,
        ) -> Result<Option<Spooled>, Error> {
            let head = self.heads.lock().unwrap().get(&workload).copied();
            let trimmed = self
                .trimmed
                .lock()
                .unwrap()
                .get(&workload)
                .copied()
                .unwrap_or(0);
            Ok(head.map(|head| Spooled {
                spool: StoreId::new(1, 1),
                packets: (after.max(trimmed) + 1..=head)
                    .take(2)
                    .map(|seq| Kept {
                        seq,
                        at_ms: 0,
                        json: "{}".into(),
                    })
                    .collect(),
            }))
        }

        async fn trim(&self, workload: WorkloadId, _: StoreId, through: u64) -> Result<(), Error> {
            self.trimmed.lock().unwrap().insert(workload, through);
            Ok(())
        }
    }

    fn pump() -> (Arc<Spools>, Arc<Pump>) {
        let spools = Arc::new(Spools {
            heads: Mutex::default(),
            trimmed: Mutex::default(),
            rang: watch::Sender::new(0),
        });
        let pump = Arc::new(Pump::new(spools.clone()));
        let listening = pump.clone();
        tokio::spawn(async move { listening.listen().await });
        (spools, pump)
    }

    async fn next(pump: &Pump) -> (String, Vec<u64>) {
        let part = tokio::time::timeout(Duration::from_secs(10), pump.next())
            .await
            .unwrap();
        (
            part.item.key,
            part.packets.iter().map(|packet| packet.seq).collect(),
        )
    }

    #[tokio::test]
    async fn workloads_take_turns_and_a_new_session_begins_where_the_controller_has_stored() {
        let (spools, pump) = pump();
        tokio::task::yield_now().await;
        let key = |n| WorkloadId::new(n, 0).to_string();
        spools.put(1, 4);
        spools.put(2, 1);
        let mut seen = vec![next(&pump).await, next(&pump).await, next(&pump).await];
        seen.sort();
        assert_eq!(
            seen,
            [
                (key(1), vec![1, 2]),
                (key(1), vec![3, 4]),
                (key(2), vec![1])
            ]
        );

        pump.stored(
            &ItemKey::workload(WorkloadId::new(1, 0)),
            StoreId::new(1, 1),
            2,
        )
        .await;
        pump.rewind();
        let mut seen = vec![next(&pump).await, next(&pump).await];
        seen.sort();
        assert_eq!(seen, [(key(1), vec![3, 4]), (key(2), vec![1])]);
    }

    #[tokio::test]
    async fn a_controller_that_does_not_store_is_not_sent_more() {
        let (spools, pump) = pump();
        tokio::task::yield_now().await;
        spools.put(1, 1_000);
        for _ in 0..UNDER_WAY {
            next(&pump).await;
        }
        assert!(futures::poll!(std::pin::pin!(pump.next())).is_pending());
        pump.stored(
            &ItemKey::workload(WorkloadId::new(1, 0)),
            StoreId::new(1, 1),
            2,
        )
        .await;
        assert_eq!(next(&pump).await.1, [17, 18]);
    }
}
