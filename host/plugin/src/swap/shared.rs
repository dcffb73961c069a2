//! What all of a plugin host works with: the loader, the places of plugins, and what is told of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use fleet_model::driver::Fingerprint;
use fleet_model::plugin::{Plugin, PluginState, Swapping};
use fleet_model::swap::{SwapEvent, SwapReport};
use fleet_model::{Error, Name};
use tokio::sync::{broadcast, watch};

use super::journal::Journal;
use super::live::LiveHandles;
use super::points::{SwapPoint, SwapPoints};
use super::record::Record;
use super::settings::SwapSettings;
use super::slot::{Remark, Slot};
use crate::backend::Backend;
use crate::digest::Digest;
use crate::generation::{PluginGeneration, Serving};
use crate::load::Loader;
use crate::refused::Refused;
use crate::registry::found_out;

/// How many events a slow reader may be behind.
const EVENTS: usize = 1_024;
/// How many of those that are not taken again are listed of one plugin.
const BANS_SHOWN: usize = 5;

/// The inside of a plugin host, shared by its tasks.
pub(crate) struct Shared {
    pub(crate) loader: Loader,
    pub(crate) backends: ArcSwap<BTreeMap<Name, Arc<Backend>>>,
    slots: Mutex<BTreeMap<Name, Arc<Slot>>>,
    pub(crate) journal: Journal,
    pub(crate) live: Arc<dyn LiveHandles>,
    pub(crate) settings: SwapSettings,
    pub(crate) points: Arc<dyn SwapPoints>,
    pub(crate) events: broadcast::Sender<SwapEvent>,
    pub(crate) node_name: String,
    /// Whether the host is going away.
    pub(crate) closing: watch::Sender<bool>,
    /// Rises when a turn was given back: who waited for one may go on.
    pub(crate) turns: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(
        loader: Loader,
        journal: Journal,
        live: Arc<dyn LiveHandles>,
        settings: SwapSettings,
        points: Arc<dyn SwapPoints>,
        node_name: String,
    ) -> Self {
        Self {
            loader,
            backends: ArcSwap::default(),
            slots: Mutex::default(),
            journal,
            live,
            settings,
            points,
            events: broadcast::Sender::new(EVENTS),
            node_name,
            closing: watch::Sender::new(false),
            turns: watch::Sender::new(0),
        }
    }

    /// The place of this plugin, if it ever served.
    pub(crate) fn slot(&self, plugin: &Name) -> Option<Arc<Slot>> {
        self.slots_now().get(plugin).cloned()
    }

    /// All places.
    pub(crate) fn slots(&self) -> Vec<Arc<Slot>> {
        self.slots_now().values().cloned().collect()
    }

    /// One more place.
    pub(crate) fn add_slot(&self, slot: Arc<Slot>) {
        slot.tell_of_turns(self.turns.clone());
        self.slots_now().insert(slot.plugin.clone(), slot);
    }

    /// What serves as this plugin.
    pub(crate) fn serving(&self, slot: &Slot) -> Option<Arc<Serving>> {
        slot.backend().map(|backend| backend.serving())
    }

    /// A swap is at this point.
    pub(crate) async fn reach(&self, point: SwapPoint) {
        self.points.reach(point).await;
    }

    /// Tells whoever listens.
    pub(crate) fn tell(&self, event: SwapEvent) {
        // Nobody listens, perhaps.
        let _ = self.events.send(event);
    }

    /// A report is whole: kept with the others, and what it is about is not under way any more.
    pub(crate) async fn keep_report(&self, slot: &Slot, report: &SwapReport) {
        let reports = slot.add_report(report.clone());
        if let Err(refused) = self.journal.write_history(&slot.plugin, reports).await {
            tracing::warn!(plugin = %slot.plugin, "the report of a swap is not kept: {refused}");
        }
        slot.seen_to_its_end(report.id);
    }

    /// Tells whoever listens what came of it.
    pub(crate) fn tell_report(&self, report: &SwapReport) {
        let reason = report.reason.as_ref().map(|reason| reason.message.as_str());
        tracing::info!(
            plugin = report.plugin, kind = %report.kind, cause = %report.cause, verdict = %report.verdict,
            reason = reason.unwrap_or_default(), took_ms = report.took_ms, "swap"
        );
        self.tell(SwapEvent::Ended {
            report: Box::new(report.clone()),
        });
    }

    /// The row of what serves, as it is from now on.
    pub(crate) fn show(
        &self,
        slot: &Slot,
        generation: &PluginGeneration,
        found: &Result<Fingerprint, Error>,
    ) {
        let file = slot.record().file;
        let manifest = &generation.manifest;
        self.loader.registry.update(&file, |plugin| {
            plugin.name = manifest.name.to_string();
            plugin.kind = Some(manifest.kind);
            plugin.version = Some(manifest.version.clone());
            plugin.digest = Some(generation.id.component.to_string());
            plugin.state = PluginState::Active;
            plugin.capabilities = generation.scope.permissions.view();
            plugin.config_schema = Some(generation.description.config_schema.clone());
            plugin.attributes = manifest
                .description
                .clone()
                .map(|text| ("description".to_owned(), text))
                .into_iter()
                .chain(generation.description.attributes.clone())
                .collect();
            plugin.swapping = None;
            found_out(plugin, found);
        });
    }

    /// Until when what serves is on probation.
    pub(crate) fn show_probation(&self, slot: &Slot, ms: Option<u64>) {
        let until = ms.map(|ms| self.loader.services.clock.unix_ms().saturating_add(ms));
        let file = slot.record().file;
        let registry = &self.loader.registry;
        registry.update(&file, |plugin| plugin.probation_until_ms = until);
    }

    /// What is on its way into the place of what serves.
    pub(crate) fn show_swapping(&self, slot: &Slot, swapping: Option<Swapping>) {
        let file = slot.record().file;
        let registry = &self.loader.registry;
        registry.update(&file, |plugin| plugin.swapping = swapping);
    }

    /// Says something of a plugin, or nothing any more.
    pub(crate) fn remark(&self, slot: &Slot, about: Remark, text: Option<String>) {
        let remarks = slot.remark(about, text);
        let file = slot.record().file;
        let registry = &self.loader.registry;
        registry.update(&file, |plugin| plugin.remarks = remarks);
    }

    /// The rows of what is not taken again.
    pub(crate) fn show_bans(&self, slot: &Slot) {
        let record = slot.record();
        let latest = record.quarantine.iter().rev().take(BANS_SHOWN);
        let banned = latest.map(|ban| Plugin {
            version: Some(ban.version.clone()),
            digest: Some(ban.component.to_string()),
            state: PluginState::Quarantined,
            reason: Some(format!(
                "{}; `fleet-host plugin unquarantine {}` lets it in again",
                ban.reason, ban.component
            )),
            ..Plugin::found(slot.plugin.as_str(), &record.file, &self.node_name)
        });
        self.loader.registry.banned(&record.file, banned.collect());
    }

    /// Writes a record down and takes it as what is so. The caller holds the book.
    ///
    /// # Errors
    /// Where it cannot be written; then it is not so.
    pub(crate) async fn write(&self, slot: &Slot, record: Record) -> Result<(), Refused> {
        self.journal.write(record.clone()).await?;
        slot.set_record(record);
        Ok(())
    }

    /// Throws out the copies that nothing needs any more.
    pub(crate) async fn prune(self: &Arc<Self>) {
        let (shared, now_ms) = (self.clone(), self.loader.services.clock.unix_ms());
        let work = move || shared.loader.store.prune(|| shared.used(), now_ms);
        // What cannot be removed is there still: nothing else depends on it.
        let _ = tokio::task::spawn_blocking(work).await;
    }

    fn used(&self) -> BTreeSet<Digest> {
        self.slots()
            .iter()
            .flat_map(|slot| slot.record().used().collect::<Vec<_>>())
            .collect()
    }

    fn slots_now(&self) -> MutexGuard<'_, BTreeMap<Name, Arc<Slot>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
