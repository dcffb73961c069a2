//! What is written down of a plugin: which generation serves, which have proven themselves, which are
//! not taken again. Changed by pure functions, written by [`super::journal`].
//!
//! The record decides at a start, not the file in the folder.

use std::collections::BTreeMap;

use fleet_model::Name;
use fleet_model::driver::Description;
use fleet_model::swap::{Quarantined, SwapReport, SwapSide};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::generation::{GenerationId, PluginGeneration};

/// How many proven generations are remembered, the active one among them. Their copies are kept.
pub(crate) const MOST_PROVEN: usize = 3;

/// The record of one plugin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The plugin.
    pub(crate) plugin: Name,
    /// The file that brings it, relative to the plugin folder.
    pub(crate) file: String,
    /// What serves.
    pub(crate) active: Stamp,
    /// Those that have proven themselves, the latest first; the active one too, when it has.
    #[serde(default)]
    pub(crate) proven: Vec<Stamp>,
    /// Absent when the active one has proven itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) probation: Option<Probation>,
    /// Whether there is no way back from the active one.
    #[serde(default)]
    pub(crate) one_way: bool,
    /// Others that are still asked about handles which the active one does not read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) kept: Vec<Stamp>,
    /// What each file held when it was last decided on.
    #[serde(default)]
    pub(crate) seen: BTreeMap<String, GenerationId>,
    /// What is not taken again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) quarantine: Vec<Ban>,
    /// The report of a swap whose end was not seen when this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) under_way: Option<Box<SwapReport>>,
}

/// A generation, as far as is needed without loading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stamp {
    /// Which.
    #[serde(flatten)]
    pub(crate) id: GenerationId,
    /// Its manifest's version.
    pub(crate) version: String,
    /// The handle schema it writes.
    pub(crate) writes: u32,
    /// Those it reads.
    pub(crate) reads: Vec<u32>,
}

/// The active one has yet to prove itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Probation {
    /// What is put back when it fails; absent where there is no way back.
    pub(crate) fallback: Option<Stamp>,
}

/// A component that is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ban {
    /// Which.
    pub(crate) component: Digest,
    /// Under which manifest only; absent = under any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) manifest: Option<Digest>,
    /// Its manifest's version.
    pub(crate) version: String,
    /// Since when, in Unix milliseconds.
    pub(crate) at_ms: u64,
    /// Why.
    pub(crate) reason: String,
}

/// Why there is nothing to put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoWayBack {
    /// Nothing else has proven itself.
    NothingProven,
    /// The active one was put in place without a way back.
    OneWay,
}

/// How a swap is written down.
#[derive(Debug, Clone)]
pub(crate) struct Swapped {
    /// What serves now.
    pub(crate) to: Stamp,
    /// What the file held, where it came in one.
    pub(crate) seen: Option<(String, GenerationId)>,
    /// Whether there is no way back.
    pub(crate) one_way: bool,
    /// Whether it has to prove itself.
    pub(crate) on_probation: bool,
    /// Those that are still asked about some handles.
    pub(crate) kept: Vec<Stamp>,
    /// So far.
    pub(crate) report: SwapReport,
}

impl Stamp {
    /// That of a generation in memory.
    pub(crate) fn of(generation: &PluginGeneration) -> Self {
        let Description {
            handle_schema,
            reads,
            ..
        } = &*generation.description;
        Self {
            id: generation.id,
            version: generation.manifest.version.clone(),
            writes: *handle_schema,
            reads: reads.clone(),
        }
    }

    /// Whether it reads every handle that the other one reads.
    pub(crate) fn reads_all_of(&self, other: &Self) -> bool {
        other.reads.iter().all(|schema| self.reads.contains(schema))
    }

    /// As a report has it.
    pub(crate) fn side(&self) -> SwapSide {
        SwapSide {
            digest: self.id.component.to_string(),
            manifest: self.id.manifest.to_string(),
            version: self.version.clone(),
        }
    }
}

impl Record {
    /// The record of a plugin that was not there before: nothing else could be put in its place, so
    /// it counts as proven.
    pub(crate) fn installed(plugin: &Name, file: &str, stamp: Stamp) -> Self {
        Self {
            plugin: plugin.clone(),
            file: file.to_owned(),
            proven: vec![stamp.clone()],
            probation: None,
            one_way: false,
            kept: Vec::new(),
            seen: BTreeMap::from([(file.to_owned(), stamp.id)]),
            quarantine: Vec::new(),
            under_way: None,
            active: stamp,
        }
    }

    /// The same plugin from a file again, where nothing that is written down can be loaded now. That may
    /// be otherwise at the next start, so all of it stays: what the file brings has to prove itself
    /// against it, unless it is what served.
    pub(crate) fn installed_again(
        &self,
        file: &str,
        stamp: Stamp,
        one_way: bool,
        on_probation: bool,
    ) -> Self {
        let mut next = self.clone();
        file.clone_into(&mut next.file);
        next.seen.insert(file.to_owned(), stamp.id);
        if stamp.id != self.active.id {
            next.kept.retain(|kept| !stamp.reads_all_of(kept));
            next.put(stamp, one_way, on_probation);
        }
        next
    }

    /// What is put back when a newcomer in the place of the active one fails: the last that has
    /// proven itself.
    pub(crate) fn fallback(&self) -> Option<&Stamp> {
        match &self.probation {
            Some(probation) => probation.fallback.as_ref(),
            None => Some(&self.active),
        }
    }

    /// What a rollback puts back.
    pub(crate) fn way_back(&self) -> Result<&Stamp, NoWayBack> {
        if self.one_way {
            return Err(NoWayBack::OneWay);
        }
        let back = match &self.probation {
            Some(probation) => probation.fallback.as_ref(),
            None => self
                .proven
                .iter()
                .find(|stamp| stamp.id != self.active.id && self.ban(stamp.id).is_none()),
        };
        back.ok_or(NoWayBack::NothingProven)
    }

    /// Why this one is not taken, if so.
    pub(crate) fn ban(&self, id: GenerationId) -> Option<&Ban> {
        self.quarantine.iter().find(|ban| {
            ban.component == id.component
                && ban.manifest.is_none_or(|manifest| manifest == id.manifest)
        })
    }

    /// Another serves.
    pub(crate) fn swapped(&self, swapped: Swapped) -> Self {
        let Swapped {
            to,
            seen,
            one_way,
            on_probation,
            kept,
            report,
        } = swapped;
        let mut next = self.clone();
        next.put(to, one_way, on_probation);
        next.seen.extend(seen);
        next.kept = kept;
        next.under_way = Some(Box::new(report));
        next
    }

    /// This is the active one from now on.
    fn put(&mut self, to: Stamp, one_way: bool, on_probation: bool) {
        let fallback = self.fallback().filter(|_| !one_way).cloned();
        if one_way {
            // They could not read what it writes.
            self.proven.clear();
        }
        let is_back = fallback.as_ref().is_some_and(|back| back.id == to.id);
        self.probation = (on_probation && !is_back).then_some(Probation { fallback });
        self.one_way = one_way;
        self.active = to;
        if self.probation.is_none() {
            self.prove();
        }
    }

    /// The active one has served its time.
    pub(crate) fn proven(&self) -> Self {
        let mut next = self.clone();
        next.probation = None;
        next.prove();
        next
    }

    fn prove(&mut self) {
        let active = self.active.clone();
        self.proven.retain(|stamp| stamp.id != active.id);
        self.proven.insert(0, active);
        self.proven.truncate(MOST_PROVEN);
    }

    /// Another that has proven itself serves again, and the active one is not taken any more.
    pub(crate) fn rolled_back(&self, to: &Stamp, reason: &str, at_ms: u64) -> Self {
        let mut next = self.clone();
        let left = &self.active;
        next.proven.retain(|stamp| stamp.id != left.id);
        // Of one component under two manifests the other one is good.
        let manifest = (left.id.component == to.id.component).then_some(left.id.manifest);
        if self.ban(left.id).is_none() {
            next.quarantine.push(Ban {
                component: left.id.component,
                manifest,
                version: left.version.clone(),
                at_ms,
                reason: reason.to_owned(),
            });
        }
        next.active = to.clone();
        next.probation = None;
        next.one_way = false;
        next.prove();
        next
    }

    /// The active one cannot be loaded any more, which is not its fault: another serves, and it may
    /// be swapped in again.
    pub(crate) fn replaced(&self, by: &Stamp) -> Self {
        let mut next = self.clone();
        next.proven.retain(|stamp| stamp.id != self.active.id);
        next.active = by.clone();
        next.probation = None;
        next.one_way = false;
        next.prove();
        next
    }

    /// These are taken again.
    pub(crate) fn allowed(&self, component: Digest) -> Self {
        let mut next = self.clone();
        next.quarantine.retain(|ban| ban.component != component);
        next
    }

    /// What is not taken, for people.
    pub(crate) fn quarantined(&self) -> Vec<Quarantined> {
        self.quarantine
            .iter()
            .map(|ban| Quarantined {
                plugin: self.plugin.to_string(),
                digest: ban.component.to_string(),
                manifest: ban.manifest.map(|manifest| manifest.to_string()),
                version: ban.version.clone(),
                at_ms: ban.at_ms,
                reason: ban.reason.clone(),
            })
            .collect()
    }

    /// Everything whose copies must stay.
    pub(crate) fn used(&self) -> impl Iterator<Item = Digest> {
        let fallback = self
            .probation
            .as_ref()
            .and_then(|probation| probation.fallback.as_ref());
        [&self.active]
            .into_iter()
            .chain(fallback)
            .chain(&self.proven)
            .chain(&self.kept)
            .flat_map(|stamp| [stamp.id.component, stamp.id.manifest])
    }
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
