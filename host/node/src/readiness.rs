//! Whether the node can do its work, and if not, why not.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

/// What readiness is made of on the node's side. Plugins are judged by whoever knows which are required.
#[derive(Debug)]
pub struct Readiness {
    session: AtomicBool,
    synced: AtomicBool,
    changed: watch::Sender<u64>,
}

impl Default for Readiness {
    fn default() -> Self {
        Self {
            session: AtomicBool::new(false),
            synced: AtomicBool::new(false),
            changed: watch::Sender::new(0),
        }
    }
}

impl Readiness {
    /// Why the node is not ready; empty when it is.
    #[must_use]
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        if !self.session.load(Ordering::Acquire) {
            reasons.push("no session with the controller".to_owned());
        } else if !self.synced.load(Ordering::Acquire) {
            reasons.push("the controller has not said yet what this node should have".to_owned());
        }
        reasons
    }

    /// Changes whenever `reasons` may answer something else.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(crate) fn session_began(&self) {
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
