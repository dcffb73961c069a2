//! What a node remembers: its identity, its items and what it has done about them, its outbox.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::driver::{Exit, Handle, KillTarget};
use fleet_model::event::Event;
use fleet_model::id::{NodeId, StoreId};
use fleet_model::item::{Attempt, Generation, Item, ItemKey};
use fleet_model::workload::WorkloadIntent;
use fleet_model::{Error, Name};
use fleet_protocol::message::Seen;
use fleet_store::{Row, state};
use serde::{Deserialize, Serialize};

pub use crate::exec::record::{Deadline, ExecRecord};

state! {
    /// The node's durable memory.
    pub struct NodeState("node") {
        /// Who this node is; one row.
        pub identity: Identity,
        /// Every item it was ever told of, removed ones included.
        pub items: Record,
        /// The swaps that its controller was told of, by plugin.
        pub swaps: ToldSwaps,
    }
    logs { outbox: Event }
}

/// Which swaps of a plugin are in the outbox, or were.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldSwaps {
    /// The plugin.
    pub plugin: String,
    /// The ids of their reports, of those that the plugin's history has.
    pub ids: BTreeSet<u64>,
}

impl Row for ToldSwaps {
    type Key = String;

    fn key(&self) -> String {
        self.plugin.clone()
    }
}

/// Who this node is and the newest truth it has seen. There is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Identity {
    /// Made at the first start.
    pub node: NodeId,
    /// What its outbox numbers count within; made at the first start.
    pub outbox: StoreId,
    /// The highest session counter it has confirmed.
    pub session: u64,
    /// The highest generation among removed items that were forgotten: an item that is not known
    /// must be newer.
    #[serde(default)]
    pub floor: Generation,
    /// The newest truth it has accepted intent from.
    pub seen: Option<Seen>,
}

impl Identity {
    /// The key of the one row.
    pub const KEY: u8 = 0;
}

impl Row for Identity {
    type Key = u8;

    fn key(&self) -> u8 {
        Self::KEY
    }
}

/// One item: what should be, and what this node has durably done about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The newest statement accepted. Its generation is the highest ever seen for this item; lower
    /// ones are refused for ever, also after the item is removed.
    pub item: Item,
    /// How long what runs may take to end, as the last intent said; a tombstone has no intent.
    pub grace_ms: u64,
    /// Whether the tombstone has been carried out: nothing of the item is left here.
    #[serde(default)]
    pub removed: bool,
    /// The ports chosen for it. They stay its own until it is removed.
    #[serde(default)]
    pub ports: BTreeMap<Name, u16>,
    /// What was made for it.
    #[serde(default)]
    pub run: Option<Run>,
    /// The pause before the next try, while the run is over and is to be made again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Backoff>,
    /// The signals it was last sent, the newest last, over all runs: the same key again sends nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<SentSignal>,
}

/// A signal that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentSignal {
    /// A digest of the client's key.
    pub key: String,
    /// Its name without `SIG`.
    pub signal: String,
}

/// The pause between two tries. It lies on the boot clock, so a clock that is set changes nothing;
/// in another boot of the machine it has passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Tries that ended soon, in a row.
    pub in_a_row: u32,
    /// The boot in which it began.
    pub boot: String,
    /// When it began, on that boot's clock, in milliseconds.
    pub from_ms: u64,
    /// How long it is, in milliseconds.
    pub delay_ms: u64,
}

impl Row for Record {
    type Key = ItemKey;

    fn key(&self) -> ItemKey {
        self.item.id.clone()
    }
}

/// One try at one generation of a workload, from before its first effect until it is destroyed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// Which intent it is for.
    pub generation: Generation,
    /// Which try.
    pub attempt: Attempt,
    /// The workload's name, for events.
    pub name: Name,
    /// The backend that made it: an edited spec does not change who destroys it.
    pub backend: Name,
    /// What it was begun for, until `create` is answered: the same op must ask for the same thing,
    /// also when the intent has changed or gone meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<WorkloadIntent>,
    /// The boot of the machine in which it began.
    pub boot: String,
    /// How far it came.
    pub stage: Stage,
    /// How the backend finds it; absent until `create` was answered.
    #[serde(default)]
    pub handle: Option<Handle>,
    /// What can end it without the backend.
    #[serde(default)]
    pub kill_target: Option<KillTarget>,
    /// When it started, in Unix milliseconds.
    #[serde(default)]
    pub started_at_ms: Option<u64>,
    /// When its start was recorded, on the boot clock of `boot`, in milliseconds.
    #[serde(default)]
    pub started_boot_ms: Option<u64>,
    /// Why it is ended although it is wanted: it went over a limit that the node looks after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evicted: Option<Error>,
    /// The programs beside it, by 16 hexadecimal digits of their keys. They go with it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub execs: BTreeMap<String, ExecRecord>,
    /// The backend's facts, as last observed.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// How far a run has come. Written before the next effect, never after it: a crash repeats the same
/// op, and the op happens once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stage")]
pub enum Stage {
    /// `create` may have been called.
    Creating,
    /// `create` was answered; `start` may have been called.
    Created,
    /// `start` was answered: the start record. Without it, a run of an earlier boot is lost.
    Started,
    /// The program ended, or never began and nobody wants it any more (`None`).
    Ended {
        /// How.
        exit: Option<Exit>,
    },
    /// It could not be made or started.
    Failed {
        /// Why.
        error: Error,
    },
    /// It is gone and nobody knows how it ended.
    Lost {
        /// Why.
        reason: String,
    },
}

impl Stage {
    /// Whether nothing of it runs and nothing will.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(
            self,
            Self::Ended { .. } | Self::Failed { .. } | Self::Lost { .. }
        )
    }
}
