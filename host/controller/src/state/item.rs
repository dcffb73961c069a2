//! One item of one node: what should be, and what the node says.

use fleet_model::id::NodeId;
use fleet_model::item::{Generation, Item, ItemKey, ItemStatus, Mode};
use fleet_store::Row;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Whether an item should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "standing")]
pub(crate) enum Standing {
    /// It should be as its intent says.
    Wanted,
    /// It should be gone; the row stays until its node has acknowledged that.
    Tombstone {
        /// How long what still runs may take to end, in milliseconds; absent = as the intent said.
        grace_ms: Option<u64>,
    },
}

/// One item of one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ItemRow {
    /// Where it should be.
    pub(crate) node: NodeId,
    /// Which item.
    pub(crate) id: ItemKey,
    /// The newest intent: the revision of the transaction that wrote it.
    pub(crate) generation: Generation,
    /// What should be; with a tombstone, what should have been, for people.
    pub(crate) intent: Value,
    /// Whether it should be there.
    #[serde(flatten)]
    pub(crate) standing: Standing,
    /// What happens on drift.
    pub(crate) mode: Mode,
    /// The newest report.
    pub(crate) status: Option<ItemStatus>,
    /// The session counter under which that report came: one of an earlier session says how it was,
    /// not how it is.
    pub(crate) reported_in: u64,
    /// When it was accepted, in Unix milliseconds.
    pub(crate) created_at_ms: u64,
    /// When its intent last changed, in Unix milliseconds.
    pub(crate) changed_at_ms: u64,
}

impl ItemRow {
    /// Whether it should be gone.
    pub(crate) fn is_tombstone(&self) -> bool {
        matches!(self.standing, Standing::Tombstone { .. })
    }

    /// The item as it is stated to its node.
    pub(crate) fn stated(&self) -> Item {
        let (intent, grace_ms) = match self.standing {
            Standing::Wanted => (Some(self.intent.clone()), None),
            Standing::Tombstone { grace_ms } => (None, grace_ms),
        };
        Item {
            id: self.id.clone(),
            generation: self.generation,
            intent,
            grace_ms,
            mode: self.mode,
        }
    }
}

impl Row for ItemRow {
    /// Node, kind, key: a node's items are neighbours.
    type Key = (NodeId, String, String);

    fn key(&self) -> Self::Key {
        item_key(self.node, &self.id)
    }
}

/// The key of an item's row.
pub(crate) fn item_key(node: NodeId, id: &ItemKey) -> (NodeId, String, String) {
    (node, id.kind.to_string(), id.key.clone())
}
