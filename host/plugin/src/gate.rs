//! The door to a plugin generation: counts the calls inside, lets no more in when another generation
//! has taken its place, and sends out those that stay for too long.
//!
//! Counting and closing are operations on one word, so a call is either counted before the door
//! closes or finds it closed; who finds it closed sees what was put in its place before.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

/// The bit that says closed; the others count.
const CLOSED: usize = 1 << (usize::BITS - 1);

/// How far the door is shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Open,
    /// Nobody gets in.
    Closed,
    /// And those inside are to leave.
    Cut,
}

/// The door.
#[derive(Debug)]
pub(crate) struct Gate {
    state: AtomicUsize,
    phase: watch::Sender<Phase>,
    empty: Notify,
    moved: AtomicU64,
}

/// A call inside, until it is dropped.
#[derive(Debug)]
pub(crate) struct Inside<'a>(&'a Gate);

impl Gate {
    /// An open one.
    pub(crate) fn new() -> Self {
        Self {
            state: AtomicUsize::new(0),
            phase: watch::Sender::new(Phase::Open),
            empty: Notify::new(),
            moved: AtomicU64::new(0),
        }
    }

    /// Lets a call in; nothing when the door is closed.
    pub(crate) fn enter(&self) -> Option<Inside<'_>> {
        let before = self.state.fetch_add(1, Ordering::AcqRel);
        let inside = Inside(self);
        (before & CLOSED == 0).then_some(inside)
    }

    /// Closes the door and says how many calls are inside.
    pub(crate) fn close(&self) -> usize {
        let inside = self.state.fetch_or(CLOSED, Ordering::AcqRel) & !CLOSED;
        self.raise(Phase::Closed);
        inside
    }

    /// Sends out those that are inside.
    pub(crate) fn cut(&self) {
        self.raise(Phase::Cut);
    }

    /// Returns when the door closes.
    pub(crate) async fn closing(&self) {
        self.reached(Phase::Closed).await;
    }

    /// Returns when those inside are to leave.
    pub(crate) async fn cutting(&self) {
        self.reached(Phase::Cut).await;
    }

    /// Returns when nobody is inside of a closed door.
    pub(crate) async fn empty(&self) {
        loop {
            let left = self.empty.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.state.load(Ordering::Acquire) == CLOSED {
                return;
            }
            left.await;
        }
    }

    /// A call was sent out and goes on elsewhere.
    pub(crate) fn moved_on(&self) {
        self.moved.fetch_add(1, Ordering::AcqRel);
    }

    /// How many calls were sent out.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Acquire)
    }

    fn raise(&self, to: Phase) {
        self.phase.send_if_modified(|phase| {
            let is_further = to > *phase;
            if is_further {
                *phase = to;
            }
            is_further
        });
    }

    async fn reached(&self, wanted: Phase) {
        let mut phase = self.phase.subscribe();
        // The sender is this gate's own, so it is there for as long as somebody waits.
        let _ = phase.wait_for(|phase| *phase >= wanted).await;
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        if self.0.state.fetch_sub(1, Ordering::AcqRel) == CLOSED | 1 {
            self.0.empty.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_is_inside_may_finish_and_nobody_else_gets_in() {
        let gate = Gate::new();
        let (first, second) = (gate.enter().unwrap(), gate.enter().unwrap());
        assert!(gate.closing().now_or_never().is_none());
        assert_eq!(gate.close(), 2);
        assert_eq!(gate.close(), 2, "closing twice changes nothing");
        gate.closing().await;
        assert!(gate.enter().is_none());
        assert!(gate.empty().now_or_never().is_none());
        assert!(gate.cutting().now_or_never().is_none());
        drop(first);
        gate.cut();
        gate.cutting().await;
        assert_eq!(gate.close(), 1);
        gate.cutting().await;
        drop(second);
        gate.empty().await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn every_call_is_counted_or_turned_away() {
        for _ in 0..200 {
            let gate = Arc::new(Gate::new());
            let calls: Vec<_> = (0..4)
                .map(|_| {
                    let gate = gate.clone();
                    tokio::spawn(async move {
                        let mut made = 0_u32;
                        while let Some(_inside) = gate.enter() {
                            made += 1;
                            tokio::task::yield_now().await;
                        }
                        made
                    })
                })
                .collect();
            tokio::task::yield_now().await;
            gate.close();
            gate.empty().await;
            assert_eq!(gate.close(), 0);
            for call in calls {
                call.await.unwrap();
            }
            gate.empty().await;
        }
    }
}
