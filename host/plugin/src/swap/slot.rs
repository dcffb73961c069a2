//! One plugin's place: what serves in it, what would be put back, and who may change that.
//!
//! One newcomer is on its way at a time, which holds the turn. The record is changed by whoever holds
//! the book: the newcomer when it takes over, a probation when it ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use fleet_model::Name;
use fleet_model::swap::SwapReport;
use tokio::sync::{OwnedMutexGuard, watch};

use super::journal::MOST_REPORTS;
use super::record::Record;
use crate::backend::Backend;
use crate::generation::{GenerationId, PluginGeneration};
use crate::trial::Trial;

/// The place of one plugin.
pub(crate) struct Slot {
    pub(crate) plugin: Name,
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Rises when a turn was given back.
    given_back: OnceLock<watch::Sender<u64>>,
    pub(crate) book: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

struct State {
    record: Record,
    reports: VecDeque<SwapReport>,
    next_id: u64,
    /// Absent where nothing that is written down could be loaded.
    backend: Option<Arc<Backend>>,
    /// What would be put back, where it is in memory.
    fallback: Option<Arc<PluginGeneration>>,
    trial: Option<Arc<Trial>>,
    /// What was refused since the host started, by its file.
    refused: BTreeMap<String, GenerationId>,
    /// Files that went away: what comes in them next is new.
    gone: BTreeSet<String>,
    remarks: BTreeMap<Remark, String>,
    /// Other code that no handle was for at the last look.
    unneeded: BTreeSet<GenerationId>,
}

/// The turn to bring a newcomer, until it is dropped: then who waited for one may go on, also where
/// nothing came of it.
pub(crate) struct Turn {
    guard: Option<OwnedMutexGuard<()>>,
    given_back: Option<watch::Sender<u64>>,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.guard.take());
        if let Some(given_back) = &self.given_back {
            given_back.send_modify(|count| *count += 1);
        }
    }
}

/// What a remark is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remark {
    /// Its file in the folder.
    File,
    /// The policy of an endpoint.
    Policy,
    /// Whether there is a way back.
    WayBack,
    /// What it wrote or said while on probation.
    Trial,
}

impl Slot {
    pub(crate) fn new(record: Record, reports: Vec<SwapReport>) -> Arc<Self> {
        let latest = reports.iter().map(|report| report.id).max();
        let under_way = record.under_way.as_ref().map(|report| report.id);
        let last_id = latest.max(under_way).unwrap_or(0);
        Arc::new(Self {
            plugin: record.plugin.clone(),
            turn: Arc::default(),
            given_back: OnceLock::new(),
            book: tokio::sync::Mutex::default(),
            state: Mutex::new(State {
                record,
                reports: reports.into(),
                next_id: last_id.saturating_add(1),
                backend: None,
                fallback: None,
                trial: None,
                refused: BTreeMap::new(),
                gone: BTreeSet::new(),
                remarks: BTreeMap::new(),
                unneeded: BTreeSet::new(),
            }),
        })
    }

    /// The turn to bring a newcomer, unless another has it.
    pub(crate) fn turn(&self) -> Option<Turn> {
        let guard = self.turn.clone().try_lock_owned().ok()?;
        Some(Turn {
            guard: Some(guard),
            given_back: self.given_back.get().cloned(),
        })
    }

    /// Where it is told from now on that a turn was given back.
    pub(crate) fn tell_of_turns(&self, given_back: watch::Sender<u64>) {
        // Once: a slot is put into its place once.
        let _ = self.given_back.set(given_back);
    }

    pub(crate) fn record(&self) -> Record {
        self.state().record.clone()
    }

    /// It is written down so.
    pub(crate) fn set_record(&self, record: Record) {
        self.state().record = record;
    }

    /// The last swap was seen to its end: the next time something is written down, without it.
    pub(crate) fn seen_to_its_end(&self, id: u64) {
        let mut state = self.state();
        let under_way = state.record.under_way.as_ref();
        if under_way.is_some_and(|report| report.id == id) {
            state.record.under_way = None;
        }
    }

    pub(crate) fn backend(&self) -> Option<Arc<Backend>> {
        self.state().backend.clone()
    }

    pub(crate) fn set_backend(&self, backend: Arc<Backend>) {
        self.state().backend = Some(backend);
    }

    /// A number for a report.
    pub(crate) fn next_id(&self) -> u64 {
        let mut state = self.state();
        let id = state.next_id;
        state.next_id = id.saturating_add(1);
        id
    }

    /// One more report; all that are kept.
    pub(crate) fn add_report(&self, report: SwapReport) -> Vec<SwapReport> {
        let mut state = self.state();
        // Two may end in another order than they began.
        let place = state
            .reports
            .iter()
            .rposition(|other| other.id < report.id)
            .map_or(0, |before| before + 1);
        state.reports.insert(place, report);
        while state.reports.len() > MOST_REPORTS {
            state.reports.pop_front();
        }
        state.reports.iter().cloned().collect()
    }

    /// Its reports, the latest first.
    pub(crate) fn reports(&self) -> Vec<SwapReport> {
        self.state().reports.iter().rev().cloned().collect()
    }

    /// What would be put back, if it is in memory.
    pub(crate) fn fallback(&self, id: GenerationId) -> Option<Arc<PluginGeneration>> {
        let state = self.state();
        state
            .fallback
            .clone()
            .filter(|generation| generation.id == id)
    }

    pub(crate) fn set_fallback(&self, generation: Option<Arc<PluginGeneration>>) {
        let before = std::mem::replace(&mut self.state().fallback, generation);
        // What this drops takes its code along, which is not done under the lock.
        drop(before);
    }

    /// Another probation begins, or none; the one before it is over.
    pub(crate) fn set_trial(&self, trial: Option<Arc<Trial>>) {
        let before = std::mem::replace(&mut self.state().trial, trial);
        if let Some(before) = before {
            before.end();
        }
    }

    /// What was refused in this file.
    pub(crate) fn refused(&self, file: &str) -> Option<GenerationId> {
        self.state().refused.get(file).copied()
    }

    /// This was refused in that file; or nothing is any more.
    pub(crate) fn set_refused(&self, file: &str, id: Option<GenerationId>) {
        let mut state = self.state();
        match id {
            Some(id) => state.refused.insert(file.to_owned(), id),
            None => state.refused.remove(file),
        };
    }

    /// All that was refused since the host started, by its file.
    pub(crate) fn all_refused(&self) -> BTreeMap<String, GenerationId> {
        self.state().refused.clone()
    }

    /// Nothing is refused any more.
    pub(crate) fn forget_refused(&self) {
        self.state().refused.clear();
    }

    /// A file went away.
    pub(crate) fn set_gone(&self, file: &str) {
        let mut state = self.state();
        if state.record.seen.contains_key(file) {
            state.gone.insert(file.to_owned());
        }
    }

    /// Whether a file went away since it was last decided on.
    pub(crate) fn was_gone(&self, file: &str) -> bool {
        self.state().gone.contains(file)
    }

    /// What is in this file now was decided on. It is written down with what comes next.
    pub(crate) fn set_decided(&self, file: &str, id: GenerationId) {
        let mut state = self.state();
        state.gone.remove(file);
        let is_refused = state.refused.get(file) == Some(&id);
        if !is_refused {
            state.record.seen.insert(file.to_owned(), id);
        }
    }

    /// Says something of the plugin, or nothing any more; all that is to be said.
    pub(crate) fn remark(&self, about: Remark, text: Option<String>) -> Vec<String> {
        let mut state = self.state();
        match text {
            Some(text) => state.remarks.insert(about, text),
            None => state.remarks.remove(&about),
        };
        state.remarks.values().cloned().collect()
    }

    /// Of what is not needed now, what was not needed at the last look either.
    pub(crate) fn unneeded_again(&self, now: &[GenerationId]) -> Vec<GenerationId> {
        let mut state = self.state();
        let before = std::mem::replace(&mut state.unneeded, now.iter().copied().collect());
        now.iter()
            .copied()
            .filter(|id| before.contains(id))
            .collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
