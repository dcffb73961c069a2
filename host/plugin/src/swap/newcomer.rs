//! A newcomer's way into the place of what serves: looked at, loaded, asked what it knows, put in
//! place, watched.
//!
//! It runs in a task of its own and holds the plugin's turn, so whoever asked for it may go away.
//! Everything that can be refused is refused before anything is changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use fleet_model::Error;
use fleet_model::driver::Fingerprint;
use fleet_model::plugin::{Plugin, PluginState, Swapping};
use fleet_model::swap::{SwapCause, SwapKind, SwapReport, SwapRun, SwapSide, SwapVerdict};

use super::options::SwapOptions;
use super::plan::{self, Schemas};
use super::points::SwapPoint;
use super::publish::Replaced;
use super::record::{Record, Stamp, Swapped};
use super::report::{Begin, Draft};
use super::shared::Shared;
use super::slot::{Remark, Slot, Turn};
use crate::generation::{GenerationId, PluginGeneration, Serving};
use crate::load::{Kept, Step, Watcher};
use crate::manifest::ManifestText;
use crate::refused::{Code, Refused};
use crate::trial::Trial;

/// What is to take the place.
pub(crate) struct Newcomer {
    /// Its bytes, or why there are none.
    pub(crate) component: Result<Vec<u8>, Refused>,
    pub(crate) manifest: Result<ManifestText, Refused>,
    /// The file it came in, and what that is known by.
    pub(crate) seen: Option<(String, GenerationId)>,
    /// Why it cannot be taken, whatever it is.
    pub(crate) objection: Option<Refused>,
}

/// What a newcomer is held against. What is otherwise by the time it would be written down, it is held
/// against anew: a rollback and the end of a probation do not wait for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Basis {
    active: GenerationId,
    fallback: Option<GenerationId>,
}

impl Basis {
    fn of(record: &Record) -> Self {
        Self {
            active: record.active.id,
            fallback: record.fallback().map(|stamp| stamp.id),
        }
    }
}

/// What came of it.
enum Outcome {
    /// It was only tried.
    Tried,
    /// It serves in the place of this.
    Serves(Box<Replaced>),
}

impl Shared {
    /// Brings a newcomer to its place, or says why not. Returns when the old code has answered its
    /// last call.
    pub(crate) async fn bring(
        self: Arc<Self>,
        slot: Arc<Slot>,
        newcomer: Newcomer,
        cause: SwapCause,
        options: SwapOptions,
        turn: Turn,
    ) -> SwapReport {
        let begin = Begin {
            id: slot.next_id(),
            plugin: &slot.plugin,
            node: &self.node_name,
            kind: SwapKind::Swap,
            cause,
            run: options.run,
            request: options.request.clone(),
            file: newcomer.seen.as_ref().map(|(file, _)| file.clone()),
            from: Some(slot.record().active.side()),
        };
        let draft = Draft::begin(begin, self.loader.services.clock.clone());
        let seen = newcomer.seen.clone();
        let outcome = self.attempt(&slot, newcomer, &options, &draft).await;
        self.show_swapping(&slot, None);
        let redactor = &self.loader.services.redactor;
        let report = match outcome {
            Ok(Outcome::Tried) => draft.end(SwapVerdict::DryRun, redactor),
            Ok(Outcome::Serves(replaced)) => {
                let file = match seen {
                    Some((file, _)) => {
                        slot.set_refused(&file, None);
                        file
                    }
                    None => {
                        slot.forget_refused();
                        slot.record().file
                    }
                };
                self.loader.registry.newcomer(&file, None);
                self.drain(&replaced, &draft).await;
                drop(replaced);
                self.reach(SwapPoint::Drained).await;
                draft.end(SwapVerdict::Active, redactor)
            }
            Err(refused) => {
                let report = draft.refused(&refused, redactor);
                if options.run == SwapRun::Real {
                    self.turn_away(&slot, &refused, seen, &report);
                }
                report
            }
        };
        self.keep_report(&slot, &report).await;
        if report.verdict == SwapVerdict::Active {
            self.reach(SwapPoint::Recorded).await;
        }
        // Who hears of its end may begin the next.
        drop(turn);
        self.tell_report(&report);
        self.prune().await;
        report
    }

    /// All the way to its place.
    async fn attempt(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        newcomer: Newcomer,
        options: &SwapOptions,
        draft: &Draft,
    ) -> Result<Outcome, Refused> {
        let Some(serving) = self.serving(slot) else {
            return Err(Code::Internal.because("nothing serves as this plugin"));
        };
        let old = serving.generation.clone();
        let seen = newcomer.seen.clone();
        let kept = self.take_in(slot, newcomer, draft).await?;
        let way = Way {
            shared: self,
            slot,
            draft,
            old: &old,
            swapping: Swapping {
                digest: Some(kept.id.component.to_string()),
                version: Some(kept.manifest.version.clone()),
                state: PluginState::Discovered,
            },
        };
        let new = Arc::new(self.loader.generation(&kept, &way).await?);
        loop {
            let (old, basis) = self.serves_now(slot).await?;
            not_banned(&slot.record(), new.id)?;
            way.no_new_needs(&old, &new)?;
            let found = self.fit_for_this_machine(slot, &new).await?;
            let schemas = self
                .knows_what_is_there(slot, &old, &new, options, draft)
                .await?;
            draft.reached(PluginState::Adopted);
            way.show(PluginState::Adopted);
            self.reach(SwapPoint::Adopted).await;
            if options.run == SwapRun::Dry {
                return Ok(Outcome::Tried);
            }
            let place = Place {
                basis,
                old: &old,
                new: &new,
                found: &found,
                schemas,
                seen: seen.clone(),
            };
            if let Some(replaced) = self.place(slot, place, draft).await? {
                return Ok(Outcome::Serves(Box::new(replaced)));
            }
        }
    }

    /// What serves, and what that is by the record: both of one moment.
    async fn serves_now(&self, slot: &Slot) -> Result<(Arc<PluginGeneration>, Basis), Refused> {
        let _book = slot.book.lock().await;
        let serving = self
            .serving(slot)
            .ok_or_else(|| Code::Internal.because("nothing serves as this plugin"))?;
        Ok((serving.generation.clone(), Basis::of(&slot.record())))
    }

    /// Reads it, keeps copies of it, and sees that it is what it came as.
    async fn take_in(
        &self,
        slot: &Slot,
        newcomer: Newcomer,
        draft: &Draft,
    ) -> Result<Kept, Refused> {
        let Newcomer {
            component,
            manifest,
            objection,
            ..
        } = newcomer;
        self.reach(SwapPoint::Discovered).await;
        let component = component?;
        let read = self.loader.read(component).await?;
        let manifest = match objection {
            Some(objection) => Err(objection),
            None => manifest,
        }?;
        let id = GenerationId {
            component: read.digest,
            manifest: manifest.digest,
        };
        let version = manifest.manifest.version.clone();
        draft.note(|report| {
            report.to = Some(SwapSide {
                digest: id.component.to_string(),
                manifest: id.manifest.to_string(),
                version: version.clone(),
            });
            let from = report.from.as_ref().map(|from| from.version.as_str());
            let remark = from.and_then(|from| plan::versions_remark(from, &version));
            report.remarks.extend(remark);
        });
        if manifest.manifest.name != slot.plugin {
            return Err(Code::OtherName.because(format!(
                "its manifest says that it is `{}`, and it came as `{}`: give it the right name, or swap it in as that one",
                manifest.manifest.name, slot.plugin
            )));
        }
        not_banned(&slot.record(), id)?;
        let kept = self.loader.keep(read, manifest).await?;
        self.reach(SwapPoint::Copied).await;
        Ok(kept)
    }

    /// Puts it in its place; nothing where it was held against something else than what is there.
    async fn place(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        place: Place<'_>,
        draft: &Draft,
    ) -> Result<Option<Replaced>, Refused> {
        let Place {
            basis,
            old,
            new,
            found,
            schemas,
            seen,
        } = place;
        let limits = self.settings.of(&slot.plugin);
        let on_probation = limits.probation_ms > 0;
        let failing = slot.backend().map(|backend| backend.failing());
        let trial = Arc::new(Trial::new(limits.failures, failing.unwrap_or_default()));
        let trial = Some(trial).filter(|_| on_probation);
        new.scope.set_write_schema(schemas.write);
        let serving = Serving::new(new.clone(), trial.clone());
        let stamp = Stamp::of(new);
        let change = |record: &Record| {
            if Basis::of(record) != basis || not_banned(record, stamp.id).is_err() {
                return None;
            }
            draft.note(|report| report.from = Some(record.active.side()));
            let old = Some(old).filter(|_| schemas.keep_old);
            let keeping = self.keep_beside(slot, old, &stamp);
            // Nothing appeared in the folder since it was refused: that was decided by this.
            let decided = match &seen {
                Some(_) => BTreeMap::new(),
                None => slot.all_refused(),
            };
            let mut record = record.swapped(Swapped {
                to: stamp,
                seen,
                one_way: schemas.one_way,
                on_probation,
                kept: keeping.stamps.clone(),
                report: SwapReport {
                    verdict: SwapVerdict::Active,
                    ..draft.so_far()
                },
            });
            record.seen.extend(decided);
            Some((record, keeping))
        };
        let published = self
            .publish(slot, SwapKind::Swap, serving.clone(), change)
            .await?;
        let Some(replaced) = published else {
            return Ok(None);
        };
        draft.reached(PluginState::Active);
        self.show(slot, new, found);
        let probation = slot.record().probation;
        let fallback = probation
            .as_ref()
            .and_then(|probation| Some(probation.fallback.as_ref()?.id));
        slot.set_fallback(match fallback {
            Some(id) if id == replaced.old.generation.id => Some(replaced.old.generation.clone()),
            Some(id) => slot.fallback(id),
            None => None,
        });
        let probation_ms = probation.is_some().then_some(limits.probation_ms);
        draft.note(|report| report.probation_ms = probation_ms);
        self.show_probation(slot, probation_ms);
        match trial.filter(|_| probation_ms.is_some()) {
            Some(trial) => self.watch_over(slot, &serving, trial),
            None => {
                slot.set_trial(None);
                if let Some(trial) = &serving.trial {
                    trial.end();
                }
                new.scope.set_write_schema(None);
            }
        }
        let way_back = schemas.one_way.then(|| {
            format!(
                "there is no way back from {}: it does not write what the version before it reads",
                new.manifest.version
            )
        });
        draft.note(|report| report.remarks.extend(way_back.clone()));
        self.remark(slot, Remark::WayBack, way_back);
        Ok(Some(replaced))
    }

    /// It is not taken: shown, and not tried again until something else appears.
    fn turn_away(
        &self,
        slot: &Slot,
        refused: &Refused,
        seen: Option<(String, GenerationId)>,
        report: &SwapReport,
    ) {
        let file = match seen {
            Some((file, id)) => {
                slot.set_refused(&file, Some(id).filter(|_| !refused.is_the_hosts()));
                file
            }
            None => slot.record().file,
        };
        // What is quarantined has a row already.
        let row = (refused.code != Code::Quarantined).then(|| Plugin {
            version: report.to.as_ref().map(|to| to.version.clone()),
            digest: report.to.as_ref().map(|to| to.digest.clone()),
            state: PluginState::Rejected,
            reason: report.reason.as_ref().map(|reason| reason.message.clone()),
            ..Plugin::found(slot.plugin.as_str(), &file, &self.node_name)
        });
        self.loader.registry.newcomer(&file, row);
    }
}

/// A newcomer that fits, as far as is known.
struct Place<'a> {
    basis: Basis,
    old: &'a Arc<PluginGeneration>,
    new: &'a Arc<PluginGeneration>,
    found: &'a Result<Fingerprint, Error>,
    schemas: Schemas,
    seen: Option<(String, GenerationId)>,
}

/// # Errors
/// `quarantined`.
fn not_banned(record: &Record, id: GenerationId) -> Result<(), Refused> {
    match record.ban(id) {
        None => Ok(()),
        Some(ban) => Err(Code::Quarantined.because(format!(
            "is quarantined ({}): `fleet-host plugin unquarantine {}` lets it in again",
            ban.reason, ban.component
        ))),
    }
}

/// What happens between a newcomer's steps.
struct Way<'a> {
    shared: &'a Shared,
    slot: &'a Slot,
    draft: &'a Draft,
    old: &'a PluginGeneration,
    swapping: Swapping,
}

impl Way<'_> {
    fn show(&self, state: PluginState) {
        let swapping = Swapping {
            state,
            ..self.swapping.clone()
        };
        self.shared.show_swapping(self.slot, Some(swapping));
    }

    /// It asks for nothing that this old code has not got.
    fn no_new_needs(&self, old: &PluginGeneration, new: &PluginGeneration) -> Result<(), Refused> {
        let (serves, wants) = (old.scope.permissions.view(), new.scope.permissions.view());
        plan::new_needs(&serves, &wants, &self.shared.loader.grants_path)
    }
}

#[async_trait]
impl Watcher for Way<'_> {
    async fn reached(&self, step: Step<'_>) -> Result<(), Refused> {
        let (state, point) = match step {
            Step::Verified(permissions) => {
                let serves = self.old.scope.permissions.view();
                let grants = &self.shared.loader.grants_path;
                plan::new_needs(&serves, &permissions.view(), grants)?;
                (PluginState::Verified, SwapPoint::Verified)
            }
            Step::Compiled => (PluginState::Compiled, SwapPoint::Compiled),
            Step::Linked => (PluginState::Linked, SwapPoint::Linked),
            Step::Probed(_) => (PluginState::Probed, SwapPoint::Probed),
        };
        self.draft.reached(state);
        self.show(state);
        self.shared.reach(point).await;
        Ok(())
    }
}
