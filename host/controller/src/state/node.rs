//! A node, as the controller remembers it.

use std::collections::BTreeMap;

use fleet_model::StoreId;
use fleet_model::id::{NodeId, RunId};
use fleet_model::plugin::Plugin;
use fleet_store::Row;
use serde::{Deserialize, Serialize};

/// One node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct NodeRow {
    /// Its id.
    pub(crate) id: NodeId,
    /// Its name.
    pub(crate) name: String,
    /// Its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Its session counter.
    pub(crate) session: SessionCounter,
    /// The start of its host that last said hello.
    pub(crate) run_id: RunId,
    /// The boot of its machine at that time.
    pub(crate) machine_boot_id: String,
    /// How much of its outbox is stored here.
    pub(crate) outbox: Outbox,
    /// When it was last heard, in Unix milliseconds, as of its last coming or going.
    pub(crate) last_seen_ms: u64,
    /// Every plugin file on it.
    pub(crate) plugins: Vec<Plugin>,
    /// Its host's version.
    pub(crate) host_version: String,
    /// How its last session stands or ended.
    pub(crate) connection: Connection,
}

/// Which sessions a node was given. `issued` is `confirmed`, or one more while a welcome is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SessionCounter {
    /// The highest counter that was issued.
    pub(crate) issued: u64,
    /// The highest counter the node has confirmed, or dialled with.
    pub(crate) confirmed: u64,
}

/// How far a node's outbox is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outbox {
    /// Which outbox: a new one counts from one again.
    pub(crate) id: StoreId,
    /// The highest stored number.
    pub(crate) seq: u64,
}

/// How a node's last session stands or ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Connection {
    /// It began.
    Connected,
    /// It ended: in order, by a broken link, or with the controller.
    Disconnected,
    /// The node fell silent.
    Unknown,
}

impl Row for NodeRow {
    type Key = NodeId;

    fn key(&self) -> NodeId {
        self.id
    }
}
