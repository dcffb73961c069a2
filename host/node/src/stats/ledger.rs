//! What is known of all workloads' use, in memory.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_model::Error;
use fleet_model::driver::Handle;
use fleet_model::item::ItemKey;
use fleet_model::name::Name;
use fleet_model::stats::{HISTORY_MS, PERIOD_MS, Sample, Usage};
use tokio::sync::{Semaphore, watch};

use super::track::{Look, Track, Try};
use crate::state::{NodeState, Record, Stage};

/// Looks under way at once.
const AT_ONCE: usize = 8;

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

/// All that is known, by workload.
pub(crate) struct Ledger {
    tracks: Mutex<BTreeMap<ItemKey, Track>>,
    /// Changes with each look, and when a workload is gone.
    news: watch::Sender<u64>,
    /// One place for each look under way.
    pub(super) places: Semaphore,
}

impl Default for Ledger {
    fn default() -> Self {
        Self {
            tracks: Mutex::default(),
            news: watch::Sender::new(0),
            places: Semaphore::new(AT_ONCE),
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
        let mut tracks = self.lock();
        track(&mut tracks, target, boot_ms).note(target.of, boot_ms, at_ms, usage);
        drop(tracks);
        self.news.send_modify(|count| *count += 1);
    }

    /// A look failed.
    pub(super) fn failed(&self, target: &Target, now_ms: u64, error: &Error) {
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

    /// No holder stops halfway through a change, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<ItemKey, Track>> {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
