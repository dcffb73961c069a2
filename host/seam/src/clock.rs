//! Time as a parameter.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use tokio::sync::oneshot;

/// Two clocks and a timer.
#[async_trait]
pub trait Clock: Send + Sync + 'static {
    /// Unix time in milliseconds: for people and records. It can jump, so nothing is decided on it.
    fn unix_ms(&self) -> u64;

    /// Milliseconds since the machine booted, sleep included: for deadlines and leases. It only rises.
    fn boot_ms(&self) -> u64;

    /// Returns when `boot_ms` has risen by `duration`.
    async fn sleep(&self, duration: Duration);
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is where the time comes from"
    )]
    fn unix_ms(&self) -> u64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    fn boot_ms(&self) -> u64 {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let millis = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
        seconds * 1_000 + millis
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// A clock that moves only when told to.
#[derive(Debug, Default)]
pub struct SimClock {
    inner: Mutex<Sim>,
}

#[derive(Debug, Default)]
struct Sim {
    unix_ms: u64,
    boot_ms: u64,
    next: u64,
    sleepers: BTreeMap<(u64, u64), oneshot::Sender<()>>,
}

impl SimClock {
    /// A clock at this Unix time, on a machine that booted this moment.
    #[must_use]
    pub fn new(unix_ms: u64) -> Self {
        Self {
            inner: Mutex::new(Sim {
                unix_ms,
                ..Sim::default()
            }),
        }
    }

    /// Moves both clocks and wakes whoever slept until then, in order.
    pub fn advance(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut sim = self.lock();
        sim.unix_ms = sim.unix_ms.saturating_add(ms);
        sim.boot_ms = sim.boot_ms.saturating_add(ms);
        let later = sim.boot_ms.saturating_add(1);
        let rest = sim.sleepers.split_off(&(later, 0));
        let due = std::mem::replace(&mut sim.sleepers, rest);
        drop(sim);
        for wake in due.into_values() {
            // A sleeper that was dropped does not mind.
            let _ = wake.send(());
        }
    }

    /// Sets the Unix time alone, forwards or back: an operator or NTP did it.
    pub fn set_unix_ms(&self, unix_ms: u64) {
        self.lock().unix_ms = unix_ms;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Sim> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Clock for SimClock {
    fn unix_ms(&self) -> u64 {
        self.lock().unix_ms
    }

    fn boot_ms(&self) -> u64 {
        self.lock().boot_ms
    }

    async fn sleep(&self, duration: Duration) {
        let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        if ms == 0 {
            return;
        }
        let woken = {
            let mut sim = self.lock();
            let (wake, woken) = oneshot::channel();
            let key = (sim.boot_ms.saturating_add(ms), sim.next);
            sim.next += 1;
            sim.sleepers.insert(key, wake);
            woken
        };
        // The clock itself being dropped ends the sleep: nobody is left to move it.
        let _ = woken.await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_its_time_has_come_and_not_before() {
        let clock = Arc::new(SimClock::new(5));
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move { clock.sleep(Duration::from_millis(10)).await }
        });
        while clock.lock().sleepers.is_empty() {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_millis(9));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        clock.advance(Duration::from_millis(1));
        sleeper.await.unwrap();
        assert_eq!((clock.unix_ms(), clock.boot_ms()), (15, 10));
    }

    #[test]
    fn setting_the_time_does_not_move_the_boot_clock() {
        let clock = SimClock::new(1_000);
        clock.set_unix_ms(1);
        assert_eq!((clock.unix_ms(), clock.boot_ms()), (1, 0));
    }
}
