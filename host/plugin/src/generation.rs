//! A plugin generation: one component with its manifest, linked and permitted, and never changed
//! again; and its time of service, which has a door.
//!
//! A backend points at a [`Serving`]; putting another in its place is one store of a pointer. A call
//! takes it once, when it begins, and keeps it to its end, unless it is sent out at the door.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleet_model::driver::Description;
use serde::{Deserialize, Serialize};

use crate::call::Callee;
use crate::digest::Digest;
use crate::gate::Gate;
use crate::manifest::Manifest;
use crate::state::Scope;
use crate::trial::Trial;

/// Which one it is: the same component under another manifest is another generation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct GenerationId {
    /// The component.
    pub(crate) component: Digest,
    /// The text of its manifest.
    pub(crate) manifest: Digest,
}

/// Code that can serve.
pub(crate) struct PluginGeneration {
    /// Which one it is.
    pub(crate) id: GenerationId,
    /// What came with it.
    pub(crate) manifest: Manifest,
    /// Its code.
    pub(crate) callee: Callee,
    /// What its calls may do.
    pub(crate) scope: Arc<Scope>,
    /// What it said of itself.
    pub(crate) description: Arc<Description>,
    /// The policies it was permitted under, as they were then.
    pub(crate) policies: BTreeMap<PathBuf, Digest>,
    /// One of those that are in memory.
    pub(crate) _counted: Counted,
}

impl PluginGeneration {
    /// Whether it can read a handle of this schema.
    pub(crate) fn reads(&self, schema: u32) -> bool {
        self.description.reads.contains(&schema)
    }
}

/// A generation in service.
pub(crate) struct Serving {
    pub(crate) generation: Arc<PluginGeneration>,
    pub(crate) gate: Gate,
    /// How it does, while it is on probation.
    pub(crate) trial: Option<Arc<Trial>>,
}

impl Serving {
    pub(crate) fn new(generation: Arc<PluginGeneration>, trial: Option<Arc<Trial>>) -> Arc<Self> {
        Arc::new(Self {
            generation,
            gate: Gate::new(),
            trial,
        })
    }
}

/// How many generations are in memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count(Arc<AtomicUsize>);

/// One that is counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Counted(Arc<AtomicUsize>);

impl Count {
    /// One more.
    pub(crate) fn one(&self) -> Counted {
        self.0.fetch_add(1, Ordering::AcqRel);
        Counted(self.0.clone())
    }

    /// How many there are.
    pub(crate) fn now(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_not_counted_any_more() {
        let count = Count::default();
        let (first, second) = (count.one(), count.clone().one());
        assert_eq!(count.now(), 2);
        drop(first);
        assert_eq!(count.now(), 1);
        drop(second);
        assert_eq!(count.now(), 0);
    }
}
