//! The one turn of a plugin: guests that compute for long take it one after the other.
//!
//! Without it, sixty calls that never end would share the host's threads evenly with everybody
//! else's. With it they together weigh as much as one. The turn is taken in the order of asking.
//! Who has it and does not give it back soon does not compute, but waits for the host, and loses
//! it to the next in line.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use fleet_seam::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::engine::TICK;

/// After how long a turn is passed on. One is meant to last for a tick; a machine that is busy with
/// other things may hold a guest up for some more.
const LONGEST: Duration = TICK.saturating_mul(10);

/// All that is needed to take turns.
pub(crate) struct Turns {
    clock: Arc<dyn Clock>,
    /// Whoever is first in line waits for the turn; the others wait here.
    line: tokio::sync::Mutex<()>,
    /// Replaced when a turn is passed on: what is given back late is nobody's any more.
    turn: Mutex<Arc<Semaphore>>,
}

/// The turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            line: tokio::sync::Mutex::default(),
            turn: Mutex::new(Arc::new(Semaphore::new(1))),
        }
    }

    /// Returns when it is the caller's turn.
    pub(crate) async fn take(&self) -> Turn {
        let _first = self.line.lock().await;
        let turn = self
            .turn
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let permit = tokio::select! {
            biased;
            permit = turn.acquire_owned() => permit,
            () = self.clock.sleep(LONGEST) => self.pass_on().await,
        };
        // Nobody closes it, so there always is one.
        Turn {
            _permit: permit.ok(),
        }
    }

    /// A turn that whoever has the one before does not stand in the way of.
    async fn pass_on(&self) -> Result<OwnedSemaphorePermit, tokio::sync::AcquireError> {
        let next = Arc::new(Semaphore::new(1));
        *self.turn.lock().unwrap_or_else(PoisonError::into_inner) = next.clone();
        next.acquire_owned().await
    }
}

#[cfg(test)]
mod tests {
    use fleet_seam::SimClock;
    use futures::FutureExt;
    use tokio::task::yield_now;

    use super::*;

    fn turns() -> (Arc<Turns>, Arc<SimClock>) {
        let clock = Arc::new(SimClock::new(0));
        (Arc::new(Turns::new(clock.clone())), clock)
    }

    #[tokio::test]
    async fn one_has_it_and_the_others_get_it_in_their_order() {
        let (turns, _) = turns();
        let first = turns.take().await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let others: Vec<_> = (0..5)
            .map(|number| {
                let (turns, order) = (turns.clone(), order.clone());
                tokio::spawn(async move {
                    let _turn = turns.take().await;
                    order.lock().unwrap().push(number);
                    yield_now().await;
                })
            })
            .collect();
        for _ in 0..20 {
            yield_now().await;
        }
        assert!(order.lock().unwrap().is_empty());
        drop(first);
        for other in others {
            other.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn who_keeps_it_loses_it_and_takes_nothing_from_the_next() {
        let (turns, clock) = turns();
        let kept = turns.take().await;
        let mut second = Box::pin(turns.take());
        assert!(second.as_mut().now_or_never().is_none());
        clock.advance(LONGEST);
        let second = second.now_or_never().expect("it was passed on");
        // Given back late, it lets nobody else in beside the second.
        drop(kept);
        let mut third = Box::pin(turns.take());
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        assert!(third.now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_goes_away_while_waiting_leaves_the_line() {
        let (turns, _) = turns();
        let first = turns.take().await;
        let mut gone = Box::pin(turns.take());
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        drop(first);
        assert!(turns.take().now_or_never().is_some());
    }
}
