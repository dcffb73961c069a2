//! A start: what was written down serves, whatever lies in the folder; what was not known before is
//! installed from its file; what has changed in the folder is looked at afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleet_model::swap::{SwapCause, SwapKind, SwapReason, SwapReport, SwapRun, SwapVerdict};
use futures::StreamExt;

use super::plan;
use super::probe::look_around;
use super::record::{Record, Stamp};
use super::report::{Begin, Draft};
use super::shared::Shared;
use super::slot::Slot;
use crate::backend::Backend;
use crate::folder::{Candidate, duplicates};
use crate::generation::{PluginGeneration, Serving};
use crate::load::{Loaded, Rows, Unwatched};
use crate::refused::{Code, Refused};
use crate::registry::Registry;
use crate::trial::Trial;

/// How many are loaded at one time; of those, fewer are compiled.
const LOADING: usize = 4;

/// What a start has to load.
pub(crate) struct Stock {
    slots: Vec<Arc<Slot>>,
    new: Vec<Candidate>,
    /// The files that are decided on by that.
    pub(crate) decided: BTreeSet<String>,
}

/// One of them.
enum Job {
    Revive(Arc<Slot>),
    Install(Box<Candidate>),
}

/// Puts files on the list and refuses those whose name is not theirs alone.
pub(crate) fn discover(
    registry: &Registry,
    node: &str,
    candidates: Vec<Candidate>,
) -> Vec<Candidate> {
    for candidate in &candidates {
        registry.discovered(&candidate.file, &candidate.name(), node);
    }
    let duplicates = duplicates(&candidates);
    for (file, reason) in &duplicates {
        registry.rejected(file, reason);
    }
    candidates
        .into_iter()
        .filter(|candidate| !duplicates.contains_key(&candidate.file))
        .collect()
}

impl Shared {
    /// Puts all that is written down or found on the list, and refuses files whose name is not theirs
    /// alone. Files of plugins that are written down are left to the mailbox.
    pub(crate) fn take_stock(
        &self,
        records: Vec<(Record, Vec<SwapReport>)>,
        candidates: Vec<Candidate>,
    ) -> Stock {
        let registry = &self.loader.registry;
        let there: BTreeSet<&str> = candidates.iter().map(|one| one.file.as_str()).collect();
        let mut files = BTreeSet::new();
        let mut slots = Vec::new();
        for (mut record, reports) in records {
            if !files.insert(record.file.clone()) {
                // Another brings that file now.
                record.file = format!("{}.wasm", record.plugin);
                files.insert(record.file.clone());
            }
            registry.discovered(&record.file, record.plugin.as_str(), &self.node_name);
            let gone = record
                .seen
                .keys()
                .filter(|file| !there.contains(file.as_str()));
            let gone: Vec<String> = gone.cloned().collect();
            let slot = Slot::new(record, reports);
            for file in gone {
                slot.set_gone(&file);
            }
            self.show_bans(&slot);
            self.add_slot(slot.clone());
            slots.push(slot);
        }
        let is_known = |candidate: &Candidate| {
            let name = candidate.manifest_name();
            files.contains(&candidate.file) || name.is_some_and(|name| self.slot(name).is_some())
        };
        let new: Vec<Candidate> = candidates
            .into_iter()
            .filter(|candidate| !is_known(candidate))
            .collect();
        let decided = new.iter().map(|candidate| candidate.file.clone()).collect();
        Stock {
            slots,
            new: discover(registry, &self.node_name, new),
            decided,
        }
    }

    /// Loads all of it.
    pub(crate) async fn load_all(self: &Arc<Self>, stock: Stock) {
        let Stock { slots, new, .. } = stock;
        let jobs = slots.into_iter().map(Job::Revive);
        let jobs = jobs.chain(new.into_iter().map(Box::new).map(Job::Install));
        futures::stream::iter(jobs)
            .for_each_concurrent(LOADING, |job| {
                let shared = self.clone();
                async move {
                    let file = match &job {
                        Job::Revive(slot) => slot.record().file,
                        Job::Install(candidate) => candidate.file.clone(),
                    };
                    let task = tokio::spawn({
                        let shared = shared.clone();
                        async move {
                            match job {
                                Job::Revive(slot) => shared.revive(&slot).await,
                                Job::Install(candidate) => shared.install(&candidate).await,
                            }
                        }
                    });
                    let refused = match task.await {
                        Ok(Ok(())) => return,
                        Ok(Err(refused)) => refused,
                        Err(error) => Refused::failed_task(&error),
                    };
                    shared.loader.reject(&file, &refused.message);
                }
            })
            .await;
        self.prune().await;
    }

    /// Takes a file all the way that brings a plugin which does not serve. Of one that served before, and
    /// of which nothing can be loaded, it takes the place as a newcomer does.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub(crate) async fn install(self: &Arc<Self>, candidate: &Candidate) -> Result<(), Refused> {
        // What keeps the copies is held until they are written down as used.
        let Loaded {
            kept: _kept,
            generation,
        } = self.loader.probe(candidate).await?;
        let plugin = generation.manifest.name.clone();
        let stamp = Stamp::of(&generation);
        let slot = match self.slot(&plugin) {
            Some(dead) => {
                self.take_over(&dead, &candidate.file, &generation).await?;
                dead
            }
            None => {
                let record = Record::installed(&plugin, &candidate.file, stamp.clone());
                let slot = Slot::new(record.clone(), Vec::new());
                let _book = slot.book.lock().await;
                self.write(&slot, record).await?;
                self.add_slot(slot.clone());
                slot.clone()
            }
        };
        let record = slot.record();
        self.resume(&slot, &record, &stamp, generation, None).await;
        Ok(())
    }

    /// Writes down that this serves in the place of what cannot be loaded, if it fits what is there.
    async fn take_over(
        &self,
        slot: &Slot,
        file: &str,
        generation: &PluginGeneration,
    ) -> Result<(), Refused> {
        let record = slot.record();
        if let Some(ban) = record.ban(generation.id) {
            return Err(Code::Quarantined.because(format!("is quarantined: {}", ban.reason)));
        }
        let one_way = if record.active.id == generation.id {
            record.one_way
        } else {
            self.knows_what_is_recorded(slot, generation).await?.one_way
        };
        let on_probation = self.settings.of(&slot.plugin).probation_ms > 0;
        let before = {
            let _book = slot.book.lock().await;
            let record = slot.record();
            let stamp = Stamp::of(generation);
            let next = record.installed_again(file, stamp, one_way, on_probation);
            self.write(slot, next).await?;
            record.file
        };
        if before != file {
            self.loader.registry.forget(&before);
        }
        Ok(())
    }

    /// Brings what is written down back into service.
    ///
    /// # Errors
    /// Why nothing of it can be loaded.
    pub(crate) async fn revive(self: &Arc<Self>, slot: &Arc<Slot>) -> Result<(), Refused> {
        let record = slot.record();
        let mut refused: Option<Refused> = None;
        for stamp in plan::revival(&record) {
            let rows = Rows {
                registry: &self.loader.registry,
                file: &record.file,
            };
            match self.loader.revive(&slot.plugin, stamp.id, &rows).await {
                Ok(generation) => {
                    self.resume(slot, &record, &stamp, generation, refused)
                        .await;
                    return Ok(());
                }
                Err(why) => {
                    tracing::warn!(plugin = %slot.plugin, version = stamp.version, "it served and cannot be loaded: {why}");
                    let is_own = plan::is_its_own_fault(why.code);
                    refused.get_or_insert(why);
                    if !is_own {
                        break;
                    }
                }
            }
        }
        Err(refused.unwrap_or_else(|| Code::Internal.because("nothing of it is written down")))
    }

    /// Goes on with what was loaded; `refused` says why it is not what served last.
    async fn resume(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        record: &Record,
        stamp: &Stamp,
        generation: PluginGeneration,
        refused: Option<Refused>,
    ) {
        let generation = Arc::new(generation);
        let mut trial = None;
        if let Some(refused) = refused {
            self.fell_back(slot, record, stamp, &refused).await;
        } else if let Some(probation) = &record.probation {
            let limits = self.settings.of(&slot.plugin);
            let begun = Arc::new(Trial::new(limits.failures, BTreeSet::new()));
            trial = Some(begun);
            let fallback = probation.fallback.as_ref();
            generation.scope.set_write_schema(
                fallback.and_then(|fallback| plan::schema_on_probation(fallback, stamp)),
            );
        }
        // Whoever finds it in service finds all of it: what other handles need, and what became of the
        // last swap.
        let kept = self.load_kept(slot, record, &generation).await;
        self.finish_report(slot, record).await;
        self.put_in_use(slot, generation, trial, kept).await;
    }

    /// What served last cannot be loaded, so another serves.
    async fn fell_back(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        record: &Record,
        to: &Stamp,
        refused: &Refused,
    ) {
        let begin = Begin {
            id: slot.next_id(),
            plugin: &slot.plugin,
            node: &self.node_name,
            kind: SwapKind::Rollback,
            cause: SwapCause::Failures,
            run: SwapRun::Real,
            request: None,
            file: None,
            from: Some(record.active.side()),
        };
        let draft = Draft::begin(begin, self.loader.services.clock.clone());
        let reason = format!("it cannot be loaded any more: {refused}");
        draft.note(|report| {
            report.to = Some(to.side());
            report.reason = Some(SwapReason {
                code: refused.code.as_str().to_owned(),
                message: reason.clone(),
            });
        });
        let at_ms = self.loader.services.clock.unix_ms();
        let next = match record.probation {
            Some(_) => record.rolled_back(to, &reason, at_ms),
            None => record.replaced(to),
        };
        {
            let _book = slot.book.lock().await;
            if let Err(refused) = self.write(slot, next.clone()).await {
                // It serves all the same; the next start comes to the same end.
                tracing::warn!(plugin = %slot.plugin, "what serves is not written down: {refused}");
                slot.set_record(next);
            }
        }
        self.show_bans(slot);
        let report = draft.end(SwapVerdict::Active, &self.loader.services.redactor);
        self.keep_report(slot, &report).await;
        self.tell_report(&report);
    }

    /// From now on it serves, and beside it `kept` for the handles that it does not read.
    async fn put_in_use(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        generation: Arc<PluginGeneration>,
        trial: Option<Arc<Trial>>,
        kept: Vec<Arc<Serving>>,
    ) {
        // One that cannot tell is active and not usable, with its error as the reason.
        let found = look_around(&generation).await;
        let serving = Serving::new(generation.clone(), trial.clone());
        self.begin_service(slot, serving.clone(), kept);
        if let Some(trial) = trial {
            let ms = self.settings.of(&slot.plugin).probation_ms;
            self.watch_over(slot, &serving, trial);
            self.show_probation(slot, Some(ms));
        }
        self.show(slot, &generation, &found);
    }

    /// Calls of this plugin go to it from now on.
    fn begin_service(&self, slot: &Slot, serving: Arc<Serving>, kept: Vec<Arc<Serving>>) {
        let file = slot.record().file;
        let registry = self.loader.registry.clone();
        let backend = Arc::new(Backend::new(serving, registry, file));
        backend.keep(kept);
        slot.set_backend(backend.clone());
        self.backends.rcu(|backends| {
            let mut backends = BTreeMap::clone(backends);
            backends.insert(slot.plugin.clone(), backend.clone());
            backends
        });
    }

    /// Other code that is still asked about some handles. Calls about those whose code cannot be loaded
    /// are answered with an error until it can be.
    async fn load_kept(
        &self,
        slot: &Slot,
        record: &Record,
        active: &PluginGeneration,
    ) -> Vec<Arc<Serving>> {
        let needed = plan::kept_beside(&Stamp::of(active), record.kept.clone());
        let load = needed.into_iter().map(|stamp| async move {
            match self.loader.revive(&slot.plugin, stamp.id, &Unwatched).await {
                Ok(generation) => Some(Serving::new(Arc::new(generation), None)),
                Err(refused) => {
                    tracing::warn!(plugin = %slot.plugin, version = stamp.version, "old code that some handles need cannot be loaded: {refused}");
                    None
                }
            }
        });
        let loaded = futures::future::join_all(load).await;
        loaded.into_iter().flatten().collect()
    }

    /// A swap whose end was not seen has ended.
    async fn finish_report(&self, slot: &Slot, record: &Record) {
        let Some(report) = &record.under_way else {
            return;
        };
        if slot.reports().iter().any(|known| known.id == report.id) {
            slot.seen_to_its_end(report.id);
            return;
        }
        let mut report = SwapReport::clone(report);
        report.remarks.push(
            "the host ended while the old code had calls under way; they were asked again by the next start"
                .to_owned(),
        );
        self.keep_report(slot, &report).await;
        self.tell_report(&report);
    }
}
