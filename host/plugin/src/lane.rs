//! How many calls of one plugin run at one time, and how many may wait.
//!
//! A plugin that hangs fills its own lane and nobody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fleet_model::{Error, ErrorKind, Name};
use fleet_seam::Clock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::manifest::Limits;

/// How many callers may wait for one plugin.
const MAX_WAITING: usize = 1_024;

/// The lane of one plugin.
pub(crate) struct Lane {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// Counts a caller that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Lane {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(limits.concurrency)),
            waiting: AtomicUsize::new(0),
        }
    }

    /// A place in the lane, waiting at most as long as a call may take.
    ///
    /// # Errors
    /// `exhausted` (`queue`) when too many wait already or the wait was too long.
    pub(crate) async fn enter(
        &self,
        plugin: &Name,
        limits: &Limits,
        clock: &dyn Clock,
    ) -> Result<OwnedSemaphorePermit, Error> {
        if let Ok(permit) = self.permits.clone().try_acquire_owned() {
            return Ok(permit);
        }
        let before = self.waiting.fetch_add(1, Ordering::AcqRel);
        let _waiting = Waiting(&self.waiting);
        if before >= MAX_WAITING {
            return Err(full(plugin, limits, "and as many as may are waiting"));
        }
        tokio::select! {
            permit = self.permits.clone().acquire_owned() => {
                permit.map_err(|_| Error::unavailable("stopping", format!("`{plugin}` takes no more calls")))
            }
            () = clock.sleep(Duration::from_millis(limits.deadline_ms)) => {
                Err(full(plugin, limits, "and none of them ended in time"))
            }
        }
    }
}

fn full(plugin: &Name, limits: &Limits, why: &str) -> Error {
    let message = format!(
        "`{plugin}` has {} calls under way {why}: `concurrency` in [limits] of its manifest",
        limits.concurrency
    );
    let mut error = Error::new(ErrorKind::Exhausted, "queue", message).with("plugin", plugin);
    error.retry_after_ms = Some(
        u32::try_from(limits.deadline_ms)
            .unwrap_or(u32::MAX)
            .min(1_000),
    );
    error
}

#[cfg(test)]
mod tests {
    use fleet_seam::SimClock;

    use super::*;

    #[tokio::test]
    async fn callers_wait_for_a_place_and_not_for_ever() {
        let limits = Limits {
            concurrency: 1,
            deadline_ms: 100,
            ..Limits::default()
        };
        let (lane, clock, name) = (
            Arc::new(Lane::new(&limits)),
            Arc::new(SimClock::new(0)),
            "mock".parse::<Name>().unwrap(),
        );
        let enter = || {
            let (lane, clock, name) = (lane.clone(), clock.clone(), name.clone());
            tokio::spawn(async move { lane.enter(&name, &limits, clock.as_ref()).await })
        };
        let first = enter().await.unwrap().unwrap();
        let second = enter();
        while lane.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        drop(first);
        let second = second.await.unwrap().unwrap();
        let third = enter();
        while lane.waiting.load(Ordering::Acquire) == 0 {
            tokio::task::yield_now().await;
        }
        while !third.is_finished() {
            clock.advance(Duration::from_millis(100));
            tokio::task::yield_now().await;
        }
        let error = third.await.unwrap().unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Exhausted, "queue")
        );
        assert_eq!(lane.waiting.load(Ordering::Acquire), 0);
        drop(second);
    }

    #[tokio::test]
    async fn the_queue_is_bounded() {
        let limits = Limits {
            concurrency: 1,
            ..Limits::default()
        };
        let (lane, name) = (Lane::new(&limits), "mock".parse::<Name>().unwrap());
        lane.waiting.store(MAX_WAITING, Ordering::Release);
        let _first = lane.enter(&name, &limits, &SimClock::new(0)).await.unwrap();
        let error = lane
            .enter(&name, &limits, &SimClock::new(0))
            .await
            .unwrap_err();
        assert_eq!(error.code, "queue");
        assert_eq!(lane.waiting.load(Ordering::Acquire), MAX_WAITING);
    }
}
