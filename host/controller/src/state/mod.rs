//! What the controller remembers.
//!
//! `items` is the one truth about intent and status. `workloads` and `names` say where to look for
//! the item of a workload; they change only together with it, in the same transaction.

mod answer;
mod directory;
mod item;
mod node;
mod packet;
mod secret;

use fleet_model::StoreId;
use fleet_model::event::Event;
use fleet_model::id::NodeId;
use fleet_model::item::{Incarnation, Revision};
use fleet_protocol::message::Seen;
use fleet_store::{Snapshot, state};

pub(crate) use answer::AnswerRow;
pub(crate) use directory::{Expiry, NameRow, WorkloadRow};
pub(crate) use item::{ItemRow, Standing, item_key};
pub(crate) use node::{Connection, NodeRow, Outbox, SessionCounter};
pub(crate) use packet::{PacketEntry, PacketsRow};
pub(crate) use secret::{Sealed, SecretRow};

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
        /// The secrets, sealed, by name.
        pub(crate) secrets: SecretRow,
        /// How far the packets of each workload go.
        pub(crate) packet_rows: PacketsRow,
    }
    logs { events: Event }
    streams { packets: PacketEntry }
}

impl ControllerState {
    /// Whether any node has ever joined.
    #[must_use]
    pub fn knows_nodes(&self) -> bool {
        !self.nodes.is_empty()
    }

    /// Whether there are sealed secrets: then a new key in place of a lost one would open nothing.
    #[must_use]
    pub fn has_secrets(&self) -> bool {
        !self.secrets.is_empty()
    }

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
