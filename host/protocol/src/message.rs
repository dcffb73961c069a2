//! What is said on the control link.
//!
//! Order of a session: `hello` -> `welcome` (or `refused`) -> `confirm` -> the controller sends the
//! `full-set` -> deltas, statuses, outbox, heartbeats in any order -> `goodbye` or a broken link.
//!
//! Intent and status are level-triggered: the newest statement about an item replaces all before
//! it, so losing a link loses nothing that the next session does not say again. Only the outbox is
//! a queue: it is durable on the node until the controller has stored it.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::event::Event;
use fleet_model::id::{NodeId, RunId, StoreId};
use fleet_model::item::{Incarnation, Inventory, Item, ItemKey, ItemStatus, Revision};
use fleet_model::plugin::Plugin;
use fleet_model::{Error, Name};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::version::Versions;

/// From a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum NodeMessage {
    /// Who dials, and what it holds.
    Hello(Box<Hello>),
    /// The session counter of the welcome is durable; from here on the node works for this session.
    Confirm {
        /// The counter.
        session: u64,
    },
    /// The node lives.
    Heartbeat {
        /// The node's boot clock when it sent this, in milliseconds: comes back in the answer.
        sent_boot_ms: u64,
    },
    /// What became of items.
    Status {
        /// The newest of each.
        statuses: Vec<ItemStatus>,
    },
    /// What happened, in order.
    Outbox {
        /// The oldest not yet acknowledged first.
        entries: Vec<OutboxEntry>,
    },
    /// Packets of one workload, in order, from its spool. They stay there until acknowledged.
    Packets {
        /// Whose.
        item: ItemKey,
        /// Which spool: numbers count within it.
        spool: StoreId,
        /// The oldest not yet acknowledged first.
        packets: Vec<SpooledPacket>,
    },
    /// The node is about to start something that needs these secrets.
    WantSecrets {
        /// Their names.
        names: BTreeSet<Name>,
    },
    /// Every plugin file on the node, whenever something about one changes.
    Plugins {
        /// All of them.
        plugins: Vec<Plugin>,
    },
    /// The last delta did not follow the one before: the node asks for everything.
    WantFullSet,
    /// The controller states less than the node has already seen from it (or another store's
    /// intent): the node changes nothing until that is put right.
    ControllerBehind {
        /// What the node has seen.
        seen: Seen,
    },
    /// The node ends the session in order.
    Goodbye {
        /// Why.
        reason: String,
    },
}

/// The handshake's first word.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hello {
    /// What the node speaks.
    pub versions: Versions,
    /// The node's id, made at its first start and kept.
    pub node: NodeId,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// The kernel's id of this boot of the machine.
    pub machine_boot_id: String,
    /// This start of the host.
    pub run_id: RunId,
    /// The highest session counter the node has confirmed; 0 before the first.
    pub session: u64,
    /// The host's version.
    pub host_version: String,
    /// The newest truth the node has seen.
    pub seen: Option<Seen>,
    /// The highest generation of each item the node has. Removed ones are not named: their
    /// generations are not above `seen.revision`.
    pub inventory: Vec<Inventory>,
    /// The id of the node's outbox: sequence numbers count within it.
    pub outbox: StoreId,
    /// Every plugin file on the node.
    pub plugins: Vec<Plugin>,
}

/// The newest truth a node has seen: only the same store, at this place or later, may change it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Whose.
    pub store: StoreId,
    /// In which life of it.
    pub incarnation: Incarnation,
    /// At which revision.
    pub revision: Revision,
}

/// One packet of a workload, on its way from its spool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpooledPacket {
    /// Its number in the spool, rising; one that is missing was given up for want of room.
    pub seq: u64,
    /// When the node took it, in its Unix milliseconds.
    pub at_ms: u64,
    /// The packet's JSON, as it was emitted.
    pub json: String,
}

/// A secret, as its node is told it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum SecretAnswer {
    /// Its value.
    Set {
        /// In base64.
        base64: Zeroizing<String>,
    },
    /// There is none of this name, or nothing on this node names it.
    Unset,
    /// It cannot be opened: the error says why.
    Sealed {
        /// Why.
        error: Error,
    },
}

impl std::fmt::Debug for SecretAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Set { .. } => "Set(***)",
            Self::Unset => "Unset",
            Self::Sealed { .. } => "Sealed",
        })
    }
}

/// One entry of the outbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Its number in the node's outbox, rising by one.
    pub seq: u64,
    /// When it was written, in the node's Unix milliseconds.
    pub at_ms: u64,
    /// What happened.
    pub event: Event,
}

/// From the controller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum ControllerMessage {
    /// The node may work for this session once it has confirmed it.
    Welcome {
        /// The protocol version of this session.
        protocol: u32,
        /// One more than the highest the node has confirmed.
        session: u64,
        /// How often the node says that it lives, in milliseconds.
        heartbeat_ms: u64,
        /// The highest outbox number the controller has stored from this node.
        outbox: u64,
    },
    /// The node may not; the error says why and what to do.
    Refused {
        /// Why.
        error: Error,
    },
    /// Everything the node should have, in one or more parts. An item that is missing is left
    /// alone and reported: absence never deletes.
    FullSet {
        /// At which truth.
        at: Seen,
        /// A part of the items.
        items: Vec<Item>,
        /// Whether this is the last part.
        last: bool,
    },
    /// What changed.
    Delta {
        /// The revision of the full set or delta sent before this one.
        after: Revision,
        /// At which truth.
        at: Seen,
        /// The changed items.
        items: Vec<Item>,
    },
    /// The outbox up to this number is stored and can be forgotten.
    OutboxAck {
        /// The highest stored number.
        seq: u64,
    },
    /// Packets of a spool up to this number are stored and can be forgotten.
    PacketsAck {
        /// Whose.
        item: ItemKey,
        /// Which spool.
        spool: StoreId,
        /// The highest stored number.
        seq: u64,
    },
    /// The answer to the node's wish for secrets: every name it asked for.
    Secrets {
        /// By name.
        answers: BTreeMap<Name, SecretAnswer>,
    },
    /// The controller lives.
    HeartbeatAck {
        /// From the heartbeat it answers.
        sent_boot_ms: u64,
    },
    /// The controller ends the session in order.
    Goodbye {
        /// Why.
        reason: String,
    },
}
