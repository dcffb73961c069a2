//! The way back: the last generation that has proven itself takes the place of the active one, which
//! is not taken again until somebody allows it.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::Error;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{SwapCause, SwapKind, SwapReason, SwapReport, SwapRun, SwapVerdict};

use super::points::SwapPoint;
use super::probe::look_around;
use super::record::{Record, Stamp};
use super::report::{Begin, Draft};
use super::shared::Shared;
use super::slot::{Remark, Slot};
use crate::generation::{GenerationId, PluginGeneration, Serving};
use crate::load::Unwatched;
use crate::refused::{Code, Refused};

/// Whether a way back was tried before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Try {
    First,
    /// And failed, which was told: another failure is not.
    Again,
}

/// How long the row of what was put back waits for its look around.
const LOOK: Duration = Duration::from_secs(1);

impl Shared {
    /// Puts the last one back that has proven itself, if `left` still serves then. Nothing is answered
    /// where it does not, or where there is nothing to put back.
    pub(crate) async fn roll_back(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        left: GenerationId,
        (cause, request): (SwapCause, Option<String>),
        reason: SwapReason,
        which: Try,
    ) -> Option<SwapReport> {
        let record = slot.record();
        let target = record
            .way_back()
            .ok()
            .filter(|_| record.active.id == left)?
            .clone();
        let begin = Begin {
            id: slot.next_id(),
            plugin: &slot.plugin,
            node: &self.node_name,
            kind: SwapKind::Rollback,
            cause,
            run: SwapRun::Real,
            request,
            file: None,
            from: Some(record.active.side()),
        };
        let draft = Draft::begin(begin, self.loader.services.clock.clone());
        draft.note(|report| {
            report.to = Some(target.side());
            report.reason = Some(reason.clone());
        });
        let redactor = &self.loader.services.redactor;
        let report = match self.put_back(slot, &record, &target, &reason, &draft).await {
            Ok(true) => draft.end(SwapVerdict::Active, redactor),
            Ok(false) => return None,
            Err(refused) => {
                let refused = Refused {
                    message: format!("cannot be put back: {refused}"),
                    ..refused
                };
                let text = format!("{}; {}", reason.message, refused.message);
                self.remark(slot, Remark::Trial, Some(text));
                draft.refused(&refused, redactor)
            }
        };
        if report.verdict != SwapVerdict::Active && which == Try::Again {
            return Some(report);
        }
        self.keep_report(slot, &report).await;
        if report.verdict == SwapVerdict::Active {
            self.reach(SwapPoint::RollbackRecorded).await;
        }
        self.tell_report(&report);
        self.prune().await;
        Some(report)
    }

    /// Whether it was.
    async fn put_back(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        record: &Record,
        target: &Stamp,
        reason: &SwapReason,
        draft: &Draft,
    ) -> Result<bool, Refused> {
        let Some(left) = self.serving(slot) else {
            return Err(Code::Internal.because("nothing serves as this plugin"));
        };
        let left = left.generation.clone();
        if left.id != record.active.id {
            return Ok(false);
        }
        let back = match slot.fallback(target.id) {
            Some(back) => back,
            None => Arc::new(
                self.loader
                    .revive(&slot.plugin, target.id, &Unwatched)
                    .await?,
            ),
        };
        draft.reached(PluginState::Probed);
        let has_others = self.has_handles_of_others(slot, &left, &back);
        // On probation handles are written so that the one before reads them; later nobody saw to it.
        if record.probation.is_none() && has_others {
            return Err(Code::HandleSchema.because(format!(
                "version {} reads handle schemas {:?}, and some of what is there are of another: remove those workloads \
                 first, or swap in a version that reads both",
                back.manifest.version, back.description.reads
            )));
        }
        let keep_old = has_others || !back.reads(left.description.handle_schema);
        back.scope.set_write_schema(None);
        let serving = Serving::new(back.clone(), None);
        let at_ms = self.loader.services.clock.unix_ms();
        let change = |now: &Record| {
            let is_the_way = now.way_back().is_ok_and(|stamp| stamp.id == target.id);
            if now.active.id != left.id || !is_the_way {
                return None;
            }
            let keeping = self.keep_beside(slot, Some(&left).filter(|_| keep_old), target);
            let record = Record {
                kept: keeping.stamps.clone(),
                under_way: Some(Box::new(SwapReport {
                    verdict: SwapVerdict::Active,
                    ..draft.so_far()
                })),
                ..now.rolled_back(target, &reason.message, at_ms)
            };
            Some((record, keeping))
        };
        let published = self
            .publish(slot, SwapKind::Rollback, serving, change)
            .await?;
        let Some(replaced) = published else {
            return Ok(false);
        };
        draft.reached(PluginState::Active);
        // It serves already; only its row waits for this.
        let found = tokio::select! {
            found = look_around(&back) => found,
            () = self.loader.services.clock.sleep(LOOK) => Err(Error::unavailable(
                "fingerprint",
                "it has not said yet whether it can work here",
            )),
        };
        self.show(slot, &back, &found);
        self.show_probation(slot, None);
        slot.set_trial(None);
        slot.set_fallback(None);
        for about in [Remark::WayBack, Remark::Trial] {
            self.remark(slot, about, None);
        }
        self.show_bans(slot);
        self.drain(&replaced, draft).await;
        Ok(true)
    }

    /// Whether handles are in use that `left` reads and `back` does not.
    fn has_handles_of_others(
        &self,
        slot: &Slot,
        left: &PluginGeneration,
        back: &PluginGeneration,
    ) -> bool {
        let live = self.live.live(&slot.plugin);
        live.iter()
            .filter_map(|live| Some(live.handle.as_ref()?.schema))
            .any(|schema| left.reads(schema) && !back.reads(schema))
    }
}
