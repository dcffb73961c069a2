//! Ids from a clock and a source of randomness.

use std::sync::Arc;

use fleet_model::id::{NodeId, RunId, StoreId, WorkloadId};

use crate::{Clock, Entropy};

/// Makes ids.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Ids {
    /// Ids of this clock and these random numbers.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy }
    }

    /// A new workload's.
    #[must_use]
    pub fn workload(&self) -> WorkloadId {
        WorkloadId::new(self.clock.unix_ms(), self.entropy.bits())
    }

    /// A new node's.
    #[must_use]
    pub fn node(&self) -> NodeId {
        NodeId::new(self.clock.unix_ms(), self.entropy.bits())
    }

    /// A new store's.
    #[must_use]
    pub fn store(&self) -> StoreId {
        StoreId::new(self.clock.unix_ms(), self.entropy.bits())
    }

    /// This start's.
    #[must_use]
    pub fn run(&self) -> RunId {
        RunId::new(self.clock.unix_ms(), self.entropy.bits())
    }
}
