//! What is known of all workloads' use, in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_model::driver::Handle;
use fleet_model::item::ItemKey;
use fleet_model::name::Name;
use fleet_model::stats::{HISTORY_MS, PERIOD_MS, Sample, Usage};
use fleet_model::{Error, ErrorKind};
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::sync::watch;

use super::patience::Patience;
use super::track::{Look, Track, Try};
use crate::abreast::Abreast;
use crate::state::{NodeState, Record, Stage};

/// Looks under way at once for one backend.
pub(super) const AT_ONCE: usize = 8;

/// A run that can be looked at.
#[derive(Debug, Clone)]
pub(super) struct Target {
    /// Of which workload.
    pub(super) item: ItemKey,
    /// Which try.
    pub(super) of: Try,
    /// Its backend.
    pub(super) backend: Name,
    /// How the backend finds it.
    pub(super) handle: Handle,
}

/// The run of a record, if it has one that was started and has not ended.
pub(super) fn target(record: &Record) -> Option<Target> {
    let run = record
        .run
        .as_ref()
        .filter(|run| run.stage == Stage::Started)?;
    Some(Target {
        item: record.item.id.clone(),
        of: (run.generation, run.attempt),
        backend: run.backend.clone(),
        handle: run.handle.clone()?,
    })
}

/// A look under way.
pub(super) type Looking = BoxFuture<'static, Result<(), Error>>;

/// All that is known, by workload.
pub(crate) struct Ledger {
    tracks: Mutex<BTreeMap<ItemKey, Track>>,
    /// Changes with each look, and when a workload is gone.
    news: watch::Sender<u64>,
    /// One place for each look under way, by backend.
    pub(super) places: Abreast,
    patience: Mutex<Patience>,
    /// Those under way, for as long as somebody waits for them.
    looks: Mutex<BTreeMap<(ItemKey, Try), WeakShared<Looking>>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            tracks: Mutex::default(),
            news: watch::Sender::new(0),
            places: Abreast::new(AT_ONCE),
            patience: Mutex::default(),
            looks: Mutex::default(),
        }
    }
}

impl Ledger {
    /// The runs whose time for a look has come; each is under way until [`Self::over`] says otherwise.
    /// Forgets workloads that are gone.
    pub(super) fn due(&self, state: &NodeState, now_ms: u64) -> Vec<Target> {
        let mut tracks = self.lock();
        let before = tracks.len();
        tracks.retain(|item, _| {
            let record = state.items.get(item);
            record.is_some_and(|record| !record.removed)
        });
        if tracks.len() < before {
            self.news.send_modify(|count| *count += 1);
        }
        let mut due = Vec::new();
        for target in state.items.values().filter_map(|record| target(record)) {
            let track = track(&mut tracks, &target, now_ms);
            if track.is_due(now_ms) {
                track.is_under_way = true;
                due.push(target);
            }
        }
        due
    }

    /// The node's own look at this one is not under way any more.
    pub(super) fn over(&self, item: &ItemKey) {
        if let Some(track) = self.lock().get_mut(item) {
            track.is_under_way = false;
        }
    }

    /// A look succeeded.
    pub(super) fn note(&self, target: &Target, boot_ms: u64, at_ms: u64, usage: Usage) {
        lock(&self.patience).answered(&target.backend);
        let mut tracks = self.lock();
        track(&mut tracks, target, boot_ms).note(target.of, boot_ms, at_ms, usage);
        drop(tracks);
        self.news.send_modify(|count| *count += 1);
    }

    /// A look failed.
    pub(super) fn failed(&self, target: &Target, now_ms: u64, error: &Error) {
        match error.kind {
            ErrorKind::Deadline => lock(&self.patience).slow(&target.backend, now_ms),
            _ => lock(&self.patience).answered(&target.backend),
        }
        let mut tracks = self.lock();
        track(&mut tracks, target, now_ms).failed(target.of, now_ms, error);
    }

    /// The newest look at this run.
    pub(super) fn last(&self, target: &Target) -> Option<Look> {
        let mut tracks = self.lock();
        let track = tracks.get_mut(&target.item)?;
        track.turn_to(target.of);
        track.last().cloned()
    }

    /// Why this run is not asked at this time.
    pub(super) fn silent(&self, target: &Target, now_ms: u64) -> Option<Error> {
        let mut tracks = self.lock();
        let track = tracks.get_mut(&target.item)?;
        track.turn_to(target.of);
        track.silent(now_ms).cloned()
    }

    /// Whether the run's backend is left alone at this time, because it hangs.
    pub(super) fn is_lost(&self, target: &Target, now_ms: u64) -> bool {
        lock(&self.patience).is_lost(&target.backend, now_ms)
    }

    /// The look at this run that is under way, else the one that `begin` makes: all who ask at the
    /// same time share it.
    pub(super) fn shared(
        &self,
        target: &Target,
        begin: impl FnOnce() -> Looking,
    ) -> Shared<Looking> {
        let mut looks = lock(&self.looks);
        let under_way = |look: &WeakShared<Looking>| {
            let look = look.upgrade();
            look.filter(|look| look.peek().is_none())
        };
        looks.retain(|_, look| under_way(look).is_some());
        let key = (target.item.clone(), target.of);
        if let Some(look) = looks.get(&key).and_then(under_way) {
            return look;
        }
        let look = begin().shared();
        if let Some(weak) = look.downgrade() {
            looks.insert(key, weak);
        }
        look
    }

    /// The looks of the last hour.
    pub(super) fn history(&self, item: &ItemKey, unix_ms: u64) -> Vec<Sample> {
        let tracks = self.lock();
        let since = unix_ms.saturating_sub(HISTORY_MS);
        tracks
            .get(item)
            .map(|track| track.since(since).collect())
            .unwrap_or_default()
    }

    /// Changes with each look, and when a workload is gone.
    pub(super) fn news(&self) -> watch::Receiver<u64> {
        self.news.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ItemKey, Track>> {
        lock(&self.tracks)
    }
}

/// No holder stops halfway through a change, so a panic elsewhere does no harm.
fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

fn track<'a>(
    tracks: &'a mut BTreeMap<ItemKey, Track>,
    target: &Target,
    now_ms: u64,
) -> &'a mut Track {
    let track = tracks
        .entry(target.item.clone())
        .or_insert_with(|| Track::new(target.of, now_ms + phase(&target.item)));
    track.turn_to(target.of);
    track
}

/// When in a period a workload is looked at: they are spread over it, each at its own place.
fn phase(item: &ItemKey) -> u64 {
    let mix = |sum: u64, byte: u8| sum.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte);
    item.key.bytes().fold(0xcbf2_9ce4_8422_2325, mix) % PERIOD_MS
}

#[cfg(test)]
mod tests {
    use fleet_model::WorkloadId;

    use super::*;

    #[test]
    fn workloads_are_spread_over_the_period() {
        let mut seconds = [0; 10];
        for number in 0..1_000 {
            let item = ItemKey::workload(WorkloadId::new(1_700_000_000_000, number));
            seconds[usize::try_from(phase(&item) / 1_000).unwrap()] += 1;
        }
        assert!(
            seconds.iter().all(|count| (30..200).contains(count)),
            "{seconds:?}"
        );
    }
}
