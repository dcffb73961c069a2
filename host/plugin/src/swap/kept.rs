//! Old code that is still asked about some handles: those of a schema that the active code does not
//! read. It is there for as long as such a handle is.

use std::sync::Arc;

use super::plan;
use super::record::{Record, Stamp};
use super::shared::Shared;
use super::slot::Slot;
use crate::backend::Backend;
use crate::generation::{GenerationId, PluginGeneration, Serving};

/// Other code as it is to be, and as it was before.
pub(crate) struct Keeping {
    /// As it is written down.
    pub(crate) stamps: Vec<Stamp>,
    before: Option<Before>,
}

/// Where it was otherwise.
struct Before {
    backend: Arc<Backend>,
    kept: Arc<Vec<Arc<Serving>>>,
}

impl Keeping {
    /// It was not so, after all.
    pub(crate) fn take_back(self) {
        if let Some(Before { backend, kept }) = self.before {
            backend.keep(kept.to_vec());
        }
    }
}

impl Shared {
    /// From now on `old`, if given, is asked about what the active code does not read. `next` is about
    /// to serve: what it reads all itself is not written down any more, and goes when it serves.
    pub(crate) fn keep_beside(
        &self,
        slot: &Slot,
        old: Option<&Arc<PluginGeneration>>,
        next: &Stamp,
    ) -> Keeping {
        let Some(backend) = slot.backend() else {
            return Keeping {
                stamps: Vec::new(),
                before: None,
            };
        };
        let before = backend.kept();
        let is_there = |id: GenerationId| before.iter().any(|kept| kept.generation.id == id);
        let old = old
            .filter(|old| !is_there(old.id))
            .map(|old| Serving::new(old.clone(), None));
        let kept: Vec<Arc<Serving>> = old.into_iter().chain(before.iter().cloned()).collect();
        let loaded = kept.iter().map(|serving| Stamp::of(&serving.generation));
        // What could not be loaded is needed all the same.
        let stamps = plan::kept_beside(next, loaded.chain(slot.record().kept));
        backend.keep(kept);
        Keeping {
            stamps,
            before: Some(Before {
                backend,
                kept: before,
            }),
        }
    }

    /// Lets go of code that no handle needs any more. It must be so twice in a row: a handle that was
    /// just made may not be recorded yet.
    pub(crate) async fn collect(self: &Arc<Self>) {
        let mut is_less = false;
        for slot in self.slots() {
            let Some(backend) = slot.backend() else {
                continue;
            };
            if backend.kept().is_empty() && slot.record().kept.is_empty() {
                continue;
            }
            let _book = slot.book.lock().await;
            let unneeded = self.unneeded(&slot, &backend);
            let gone = slot.unneeded_again(&unneeded);
            if gone.is_empty() {
                continue;
            }
            let is_gone = |id: GenerationId| gone.contains(&id);
            let mut record: Record = slot.record();
            record.kept.retain(|stamp| !is_gone(stamp.id));
            if let Err(refused) = self.write(&slot, record).await {
                tracing::warn!(plugin = %slot.plugin, "old code stays: {refused}");
                continue;
            }
            let kept = backend.kept();
            let kept = kept.iter().filter(|kept| !is_gone(kept.generation.id));
            backend.keep(kept.cloned().collect());
            is_less = true;
        }
        if is_less {
            self.prune().await;
        }
    }

    /// Other code that no handle is for now, whether or not it could be loaded.
    fn unneeded(&self, slot: &Slot, backend: &Backend) -> Vec<GenerationId> {
        let serving = backend.serving();
        let foreign: Vec<u32> = self
            .live
            .live(&slot.plugin)
            .iter()
            .filter_map(|live| Some(live.handle.as_ref()?.schema))
            .filter(|schema| !serving.generation.reads(*schema))
            .collect();
        let kept = backend.kept();
        let loaded = kept.iter().map(|kept| Stamp::of(&kept.generation));
        loaded
            .chain(slot.record().kept)
            .filter(|kept| !foreign.iter().any(|schema| kept.reads.contains(schema)))
            .map(|kept| kept.id)
            .collect()
    }
}
