//! Items: everything a node should have.
//!
//! An item belongs to `(kind, key)`; its node is where it should be now. The controller alone
//! raises [`Generation`], at each change of intent, and a generation *is* the store revision of
//! the transaction that wrote it: it never repeats, not even when a key is used again. It is the
//! fencing token: a node refuses every generation lower than the highest it has seen.
//! Absence never deletes: removal is an item without intent (a tombstone), kept until its node
//! has acknowledged it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::Error;
use crate::name::{Name, NameError};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        #[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

counter!(/// Which intent of an item: raised by the controller at each change, never reused.
    Generation);
counter!(/// Which try at one generation: raised, durably, by the node before each new try.
    Attempt);
counter!(/// The store's counter of transactions that wrote intent.
    Revision);
counter!(/// Which life of a store: changes only when a backup is restored.
    Incarnation);

/// How an item is handled: `workload`, `group-key`, ...
pub type Kind = Name;

/// What an item is called, whatever node it is on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ItemKey {
    /// Who knows how to apply it.
    pub kind: Kind,
    /// Its name within the kind; a workload's id for a workload.
    pub key: String,
}

impl ItemKey {
    /// The key of a workload's item.
    #[must_use]
    pub fn workload(id: crate::id::WorkloadId) -> Self {
        Self {
            kind: workload_kind(),
            key: id.to_string(),
        }
    }
}

/// The kind of a workload's item.
#[must_use]
pub fn workload_kind() -> Kind {
    #[expect(clippy::expect_used, reason = "a constant that a test reads")]
    "workload".parse().expect("`workload` is a name")
}

impl fmt::Display for ItemKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.key)
    }
}

impl FromStr for ItemKey {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (kind, key) = text.split_once('/').unwrap_or(("", text));
        Ok(Self {
            kind: kind.parse()?,
            key: key.to_owned(),
        })
    }
}

/// What the controller does about drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Drift is reported, repaired when somebody asks.
    #[default]
    Converge,
    /// Drift is repaired, within a budget.
    Maintain,
}

/// One item as the controller states it to a node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// Which item.
    #[serde(flatten)]
    pub id: ItemKey,
    /// Which intent.
    pub generation: Generation,
    /// What should be; `None` is a tombstone: it should be gone.
    pub intent: Option<Value>,
    /// With a tombstone: how long what still runs may take to end before it is killed, in
    /// milliseconds; absent = as the last intent said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// What happens on drift.
    #[serde(default)]
    pub mode: Mode,
}

impl Item {
    /// Whether this states that the item should be gone.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.intent.is_none()
    }
}

/// What a node has seen of one item, told in its handshake so that a controller whose store was
/// restored can raise its generations above it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// Which item.
    #[serde(flatten)]
    pub id: ItemKey,
    /// The highest generation the node has accepted.
    pub generation: Generation,
}

/// What a node reports of one item. Level-triggered: the newest replaces all before it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemStatus {
    /// Which item.
    #[serde(flatten)]
    pub id: ItemKey,
    /// The generation this is about.
    pub generation: Generation,
    /// Whether the node is done with this generation.
    pub phase: Phase,
    /// The kind's own report: a [`crate::workload::WorkloadStatus`] for a workload.
    #[serde(default)]
    pub detail: Value,
    /// What went wrong at last, if anything did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Error>,
}

/// How far a node is with one generation of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// At work on it.
    Progressing,
    /// As intended, or ended by itself.
    Settled,
    /// Gone for good: acknowledges the tombstone.
    Removed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_key_reads_back() {
        let key = ItemKey {
            kind: workload_kind(),
            key: "a/b".into(),
        };
        assert_eq!(key.to_string().parse::<ItemKey>().unwrap(), key);
        assert!("nokind".parse::<ItemKey>().is_err());
    }
}
