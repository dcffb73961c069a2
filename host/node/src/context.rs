//! What every part of a node works with.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleet_capability::Redactor;
use fleet_model::NodeId;
use fleet_model::id::RunId;
use fleet_model::item::ItemKey;
use fleet_model::plugin::Plugin;
use fleet_plugin::Drivers;
use fleet_seam::{Clock, Entropy};
use fleet_store::Store;

use crate::board::Board;
use crate::effects::Effects;
use crate::exec::Execs;
use crate::files::Files;
use crate::packets::Pump;
use crate::plugins::Desk;
use crate::secrets::SecretDesk;
use crate::state::NodeState;
use crate::stats::Ledger;
use crate::turns::Turns;
use crate::workspace::{Hashes, Rooms};

/// Shared by the node's tasks.
pub(crate) struct Context {
    pub(crate) node: NodeId,
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) run: RunId,
    pub(crate) boot: String,
    pub(crate) store: Store<NodeState>,
    pub(crate) drivers: Arc<dyn Drivers>,
    pub(crate) files: Arc<dyn Files>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) board: Board,
    pub(crate) packets: Pump,
    pub(crate) secrets: Arc<SecretDesk>,
    pub(crate) redactor: Redactor,
    /// Signals of workloads.
    pub(crate) signals: Turns<ItemKey>,
    pub(crate) effects: Effects,
    pub(crate) stats: Ledger,
    pub(crate) execs: Execs,
    pub(crate) hashes: Hashes,
    pub(crate) rooms: Rooms,
    pub(crate) desk: Desk,
}

impl Context {
    /// The node's plugins, as its controller is told of them.
    pub(crate) fn plugins(&self) -> Vec<Plugin> {
        let mut plugins = self.drivers.plugins();
        for plugin in &mut plugins {
            plugin.node.clone_from(&self.name);
        }
        plugins
    }
}
