//! Whether the node can do its work, and if not, why not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fleet_seam::Clock;

use tokio::sync::watch;

/// What readiness is made of on the node's side. Plugins are judged by whoever knows which are required.
pub struct Readiness {
    clock: Arc<dyn Clock>,
    session: AtomicBool,
    synced: AtomicBool,
    /// When the oldest events that the controller has not stored were sent, on the boot clock in
    /// milliseconds; 0 = all are stored.
    unstored_since_ms: AtomicU64,
    changed: watch::Sender<u64>,
}

/// How long the controller may take to store events before the outbox counts as stuck.
const STUCK_MS: u64 = 10_000;

impl Readiness {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            session: AtomicBool::new(false),
            synced: AtomicBool::new(false),
            unstored_since_ms: AtomicU64::new(0),
            changed: watch::Sender::new(0),
        }
    }

    /// Why the node is not ready; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.session.load(Ordering::Acquire) {
            reasons.push("no session with the controller".to_owned());
        } else if !self.synced.load(Ordering::Acquire) {
            reasons.push("the controller has not said yet what this node should have".to_owned());
        }
        let since_ms = self.unstored_since_ms.load(Ordering::Acquire);
        let waited_ms = self.clock.boot_ms().saturating_sub(since_ms);
        if since_ms > 0 && waited_ms > STUCK_MS {
            reasons.push(format!(
                "the controller has not stored this node's events for {} s",
                waited_ms / 1_000
            ));
        }
        reasons
    }

    /// Events were sent.
    pub(crate) fn events_sent(&self) {
        let now_ms = self.clock.boot_ms().max(1);
        // Those sent before and not stored yet are the older ones.
        let _ =
            self.unstored_since_ms
                .compare_exchange(0, now_ms, Ordering::AcqRel, Ordering::Acquire);
    }

    /// All events that were sent are stored.
    pub(crate) fn events_stored(&self) {
        self.unstored_since_ms.store(0, Ordering::Release);
    }

    /// Changes whenever `reasons` may answer something else.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn session_began(&self) {
        self.events_stored();
        self.session.store(true, Ordering::Release);
        self.bump();
    }

    pub(crate) fn synced(&self) {
        self.synced.store(true, Ordering::Release);
        self.bump();
    }

    /// Says whether the session that ended had come far enough to count as one.
    pub(crate) fn session_ended(&self) -> bool {
        let began = self.session.swap(false, Ordering::AcqRel);
        let synced = self.synced.swap(false, Ordering::AcqRel);
        self.bump();
        began && synced
    }

    fn bump(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fleet_seam::SimClock;

    use super::*;

    #[test]
    fn events_that_nobody_stores_make_a_node_unready() {
        let clock = Arc::new(SimClock::new(1));
        clock.advance(Duration::from_secs(1));
        let readiness = Readiness::new(clock.clone());
        readiness.session_began();
        readiness.synced();
        readiness.events_sent();
        clock.advance(Duration::from_secs(9));
        readiness.events_sent();
        assert_eq!(readiness.reasons(), Vec::<String>::new());
        clock.advance(Duration::from_secs(2));
        assert!(readiness.reasons()[0].contains("11 s"));
        readiness.events_stored();
        assert_eq!(readiness.reasons(), Vec::<String>::new());
    }
}
