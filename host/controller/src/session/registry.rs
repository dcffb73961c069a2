//! The sessions that stand, by node. In memory only: a session does not outlive the host.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::id::NodeId;
use fleet_protocol::bulk::Opener;
use tokio_util::sync::CancellationToken;

/// Whether a node can be told something now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// It has a session.
    Online,
    /// It has none.
    Offline,
}

/// One session that stands.
#[derive(Debug, Clone)]
pub(crate) struct Live {
    /// Its counter.
    pub(crate) session: u64,
    /// Opens streams to the node.
    pub(crate) opener: Opener,
    /// Cancel it to end the session in favour of a later one.
    pub(crate) replaced: CancellationToken,
    /// Cancelled when the session has ended.
    pub(crate) over: CancellationToken,
    /// When the node was last heard.
    pub(crate) heard: Arc<Heard>,
}

/// When a node was last heard.
#[derive(Debug)]
pub(crate) struct Heard {
    boot_ms: AtomicU64,
    unix_ms: AtomicU64,
}

impl Heard {
    /// Now.
    pub(crate) fn now(clock: &dyn fleet_seam::Clock) -> Self {
        Self {
            boot_ms: clock.boot_ms().into(),
            unix_ms: clock.unix_ms().into(),
        }
    }

    /// It was heard again.
    pub(crate) fn again(&self, clock: &dyn fleet_seam::Clock) {
        self.boot_ms.store(clock.boot_ms(), Ordering::Relaxed);
        self.unix_ms.store(clock.unix_ms(), Ordering::Relaxed);
    }

    /// By the boot clock.
    pub(crate) fn boot_ms(&self) -> u64 {
        self.boot_ms.load(Ordering::Relaxed)
    }

    /// By the wall clock, for people.
    pub(crate) fn unix_ms(&self) -> u64 {
        self.unix_ms.load(Ordering::Relaxed)
    }
}

/// The sessions that stand.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    live: Mutex<BTreeMap<NodeId, Live>>,
}

impl Registry {
    /// Enters a session. One before it is told to end.
    pub(crate) fn enter(&self, node: NodeId, live: Live) {
        if let Some(before) = self.lock().insert(node, live) {
            before.replaced.cancel();
        }
    }

    /// Tells a node's session to end because a later one is on its way.
    pub(crate) fn replace(&self, node: NodeId) {
        if let Some(live) = self.lock().remove(&node) {
            live.replaced.cancel();
        }
    }

    /// Takes out a session that has ended; a later one of the same node stays.
    pub(crate) fn leave(&self, node: NodeId, session: u64) {
        let mut live = self.lock();
        if live.get(&node).is_some_and(|live| live.session == session) {
            live.remove(&node);
        }
    }

    /// A node's session.
    pub(crate) fn get(&self, node: NodeId) -> Option<Live> {
        self.lock().get(&node).cloned()
    }

    /// Whether a node can be told something now.
    pub(crate) fn reach(&self, node: NodeId) -> Reach {
        if self.lock().contains_key(&node) {
            Reach::Online
        } else {
            Reach::Offline
        }
    }

    /// How many sessions stand.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Every holder leaves the map whole, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
