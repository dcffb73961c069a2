//! What the double's runtimes use, and the signals they were sent.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use fleet_model::stats::Usage;
use fleet_model::{Error, Op};
use fleet_seam::{Clock as _, SystemClock};

/// How a runtime answers when it is looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Meter {
    /// It uses one processor of a world whose time is ten times as fast.
    #[default]
    Busy,
    /// Its backend does not tell.
    Silent,
    /// It never answers.
    Hanging,
    /// It has just ended.
    Gone,
}

/// All of them.
#[derive(Default)]
pub(super) struct Meters(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    meters: BTreeMap<String, Meter>,
    looks: BTreeMap<String, u32>,
    at_once: usize,
    most_at_once: usize,
    refusal: Option<Error>,
    signals: Vec<(String, String)>,
}

impl Meters {
    /// From now on this workload answers so.
    pub(super) fn set(&self, workload: &str, meter: Meter) {
        self.lock().meters.insert(workload.to_owned(), meter);
    }

    /// How often it was looked at.
    pub(super) fn looks(&self, workload: &str) -> u32 {
        self.lock().looks.get(workload).copied().unwrap_or(0)
    }

    /// How many looks are under way.
    pub(super) fn at_once(&self) -> usize {
        self.lock().at_once
    }

    /// How many looks were under way at once, at most.
    pub(super) fn most_at_once(&self) -> usize {
        self.lock().most_at_once
    }

    /// From now on signals are refused, or not.
    pub(super) fn refuse(&self, refusal: Option<Error>) {
        self.lock().refusal = refusal;
    }

    /// What was sent, each with its key, in order.
    pub(super) fn signals(&self) -> Vec<(String, String)> {
        self.lock().signals.clone()
    }

    pub(super) fn signal(&self, op: &Op, signal: &str) -> Result<(), Error> {
        let mut inner = self.lock();
        if let Some(refusal) = &inner.refusal {
            return Err(refusal.clone());
        }
        inner.signals.push((op.call.clone(), signal.to_owned()));
        Ok(())
    }

    pub(super) async fn usage(&self, workload: &str) -> Result<Usage, Error> {
        /// A look that is given up is over too.
        struct Under<'a>(&'a Meters);
        impl Drop for Under<'_> {
            fn drop(&mut self) {
                self.0.lock().at_once -= 1;
            }
        }
        let meter = {
            let mut inner = self.lock();
            *inner.looks.entry(workload.to_owned()).or_default() += 1;
            inner.at_once += 1;
            inner.most_at_once = inner.most_at_once.max(inner.at_once);
            inner.meters.get(workload).copied().unwrap_or_default()
        };
        let _under = Under(self);
        tokio::task::yield_now().await;
        match meter {
            Meter::Busy => Ok(Usage {
                cpu_us: Some(SystemClock.boot_ms() * 10 * 1_000),
                memory_bytes: Some(1 << 20),
                ..Usage::default()
            }),
            Meter::Silent => Err(Error::unsupported("no-stats", "does not tell")),
            Meter::Hanging => std::future::pending().await,
            Meter::Gone => Err(Error::not_found("gone", "it has ended")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}
