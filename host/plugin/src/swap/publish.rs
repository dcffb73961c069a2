//! The switch from one generation to another: written down first, then the pointer, then the calls
//! that the old one has under way.
//!
//! A crash before the record is durable leaves the old one active, a crash after it the new one. A call
//! in flight ends on the old code; what takes too long leaves it and is asked of the new code under the
//! same op, when what the host had begun for it has ended.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::plugin::PluginState;
use fleet_model::swap::{CallCounts, SwapKind};

use super::kept::Keeping;
use super::points::SwapPoint;
use super::record::Record;
use super::report::Draft;
use super::shared::Shared;
use super::slot::Slot;
use crate::generation::Serving;
use crate::refused::{Code, Refused};

/// What another has taken the place of.
pub(crate) struct Replaced {
    pub(crate) old: Arc<Serving>,
    /// How many calls it had under way.
    pub(crate) under_way: usize,
}

impl Shared {
    /// Puts `next` in the place of what serves, as `change` writes it down, beside the old code that it
    /// keeps; nothing where that says nothing, for the place is another's meanwhile. Nobody else changes
    /// the record between `change` and the switch.
    ///
    /// # Errors
    /// Where it cannot be written down: then the old one serves as before.
    pub(crate) async fn publish(
        &self,
        slot: &Slot,
        kind: SwapKind,
        next: Arc<Serving>,
        change: impl FnOnce(&Record) -> Option<(Record, Keeping)>,
    ) -> Result<Option<Replaced>, Refused> {
        let [begin, durable, published] = match kind {
            SwapKind::Swap => [
                SwapPoint::BeforeDurable,
                SwapPoint::Durable,
                SwapPoint::Published,
            ],
            SwapKind::Rollback => [
                SwapPoint::RollbackBeforeDurable,
                SwapPoint::RollbackDurable,
                SwapPoint::RollbackPublished,
            ],
        };
        let _book = slot.book.lock().await;
        let Some(backend) = slot.backend() else {
            return Err(Code::Internal.because("nothing serves as this plugin"));
        };
        let Some((record, keeping)) = change(&slot.record()) else {
            return Ok(None);
        };
        self.reach(begin).await;
        if let Err(refused) = self.write(slot, record).await {
            keeping.take_back();
            return Err(refused);
        }
        self.reach(durable).await;
        let (old, under_way) = backend.publish(next);
        self.reach(published).await;
        Ok(Some(Replaced { old, under_way }))
    }

    /// Returns when the old code has answered its last call.
    pub(crate) async fn drain(&self, replaced: &Replaced, draft: &Draft) {
        let gate = &replaced.old.gate;
        let patience = Duration::from_millis(self.settings.drain_ms);
        tokio::select! {
            biased;
            () = gate.empty() => {}
            () = self.loader.services.clock.sleep(patience) => {
                gate.cut();
                // Each call has its deadline, so this ends.
                gate.empty().await;
            }
        }
        let reissued = gate.moved();
        let drained = (replaced.under_way as u64).saturating_sub(reissued);
        draft.reached(PluginState::Draining);
        draft.note(|report| report.calls = CallCounts { drained, reissued });
    }
}
