//! What the controller remembers.
//!
//! `items` is the one truth about intent and status. `workloads` and `names` say where to look for
//! the item of a workload; they change only together with it, in the same transaction.

mod answer;
mod directory;
mod item;
mod node;

use fleet_model::StoreId;
use fleet_model::event::Event;
use fleet_model::id::NodeId;
use fleet_model::item::{Incarnation, Revision};
use fleet_protocol::message::Seen;
use fleet_store::{Snapshot, state};

pub(crate) use answer::AnswerRow;
pub(crate) use directory::{NameRow, WorkloadRow};
pub(crate) use item::{ItemRow, Standing, item_key};
pub(crate) use node::{Connection, NodeRow, Outbox, SessionCounter};

state! {
    /// The controller's durable memory.
    pub struct ControllerState("controller") {
        /// What every node should have, and what it reports, by node, kind and key.
        pub(crate) items: ItemRow,
        /// Where each workload is, by its id.
        pub(crate) workloads: WorkloadRow,
        /// Which workload has a name.
        pub(crate) names: NameRow,
        /// The nodes that ever joined, by id.
        pub(crate) nodes: NodeRow,
        /// What was answered under an idempotency key.
        pub(crate) answers: AnswerRow,
    }
    logs { events: Event }
}

impl ControllerState {
    /// The items of one node, in the order of kind and key.
    pub(crate) fn items_of(&self, node: NodeId) -> impl Iterator<Item = &std::sync::Arc<ItemRow>> {
        self.items
            .range((node, String::new(), String::new())..)
            .take_while(move |((of, ..), _)| *of == node)
            .map(|(_, row)| row)
    }
}

/// The first life of a store; a restore begins the next.
const FIRST_LIFE: Incarnation = Incarnation(1);

/// The truth that a snapshot states.
pub(crate) fn truth(store: StoreId, snapshot: &Snapshot<ControllerState>) -> Seen {
    Seen {
        store,
        incarnation: FIRST_LIFE,
        revision: Revision(snapshot.revision),
    }
}
