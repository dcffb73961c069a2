//! The time in which new code proves itself: it ends well, it ends because the code fails too often, or
//! something else takes its place before.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::swap::{SwapCause, SwapEvent, SwapReason, SwapVerdict};

use super::back::Try;
use super::plan::count;
use super::points::SwapPoint;
use super::shared::Shared;
use super::slot::{Remark, Slot};
use crate::generation::{GenerationId, Serving};
use crate::trial::Trial;

/// How long to wait before what has failed is tried again.
const AGAIN: Duration = Duration::from_secs(5);

impl Shared {
    /// Watches over what serves until it has proven itself or is replaced. The probation before it is
    /// over.
    pub(crate) fn watch_over(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        serving: &Arc<Serving>,
        trial: Arc<Trial>,
    ) {
        slot.set_trial(Some(trial.clone()));
        let (shared, slot, serving) = (self.clone(), slot.clone(), serving.clone());
        let length = Duration::from_millis(self.settings.of(&slot.plugin).probation_ms);
        tokio::spawn(async move {
            tokio::select! {
                () = trial.ended() => {}
                () = shared.closed() => {}
                () = shared.loader.services.clock.sleep(length) => {
                    shared.prove(&slot, &serving, &trial).await;
                }
                (failures, last) = trial.too_many() => {
                    shared.fail(&slot, &serving, &trial, (failures, last)).await;
                }
            }
        });
    }

    /// Returns when the host is going away.
    pub(crate) async fn closed(&self) {
        let mut closing = self.closing.subscribe();
        // The sender is this one's own.
        let _ = closing.wait_for(|is_closing| *is_closing).await;
    }

    async fn prove(self: &Arc<Self>, slot: &Slot, serving: &Serving, trial: &Trial) {
        let generation = &serving.generation;
        self.reach(SwapPoint::BeforeProven).await;
        loop {
            let book = slot.book.lock().await;
            let record = slot.record();
            if record.active.id != generation.id || record.probation.is_none() {
                return;
            }
            match self.write(slot, record.proven()).await {
                Ok(()) => break,
                Err(refused) => {
                    tracing::warn!(plugin = %slot.plugin, "it has proven itself, which is not written down yet: {refused}");
                }
            }
            drop(book);
            tokio::select! {
                () = trial.ended() => return,
                () = self.closed() => return,
                () = self.loader.services.clock.sleep(AGAIN) => {}
            }
        }
        trial.end();
        generation.scope.set_write_schema(None);
        slot.set_fallback(None);
        self.show_probation(slot, None);
        self.remark(slot, Remark::Trial, None);
        self.reach(SwapPoint::Proven).await;
        self.tell(SwapEvent::Proven {
            plugin: slot.plugin.to_string(),
            digest: generation.id.component.to_string(),
            version: generation.manifest.version.clone(),
        });
        self.prune().await;
    }

    /// It fails too often: the last one that has proven itself is put back, if there is one.
    async fn fail(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        serving: &Serving,
        trial: &Trial,
        (failures, last): (u32, String),
    ) {
        let last = self.loader.services.redactor.text(&last).into_owned();
        let times = usize::try_from(failures).unwrap_or(usize::MAX);
        let reason = SwapReason {
            code: "failures".to_owned(),
            message: format!(
                "it failed {} on probation, the last time: {last}",
                count(times, "time", "times")
            ),
        };
        let id = serving.generation.id;
        if slot.record().way_back().is_ok() {
            self.back_until_it_is_done(slot, id, trial, &reason).await;
            return;
        }
        let text = format!("{}; there is none to go back to", reason.message);
        self.remark(slot, Remark::Trial, Some(text));
        self.tell(SwapEvent::Failing {
            plugin: slot.plugin.to_string(),
            digest: id.component.to_string(),
            reason: reason.message,
        });
    }

    /// Puts the last proven one back, however often that fails, until something else serves.
    async fn back_until_it_is_done(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        left: GenerationId,
        trial: &Trial,
        reason: &SwapReason,
    ) {
        let mut which = Try::First;
        loop {
            let cause = (SwapCause::Failures, None);
            let report = self.roll_back(slot, left, cause, reason.clone(), which);
            match report.await {
                None => return,
                Some(report) if report.verdict == SwapVerdict::Active => return,
                Some(_) => which = Try::Again,
            }
            tokio::select! {
                () = trial.ended() => return,
                () = self.closed() => return,
                () = self.loader.services.clock.sleep(AGAIN) => {}
            }
        }
    }
}
