//! A secret, sealed. What is in it is nowhere in the store in clear.

use fleet_model::Name;
use fleet_model::item::Revision;
use fleet_store::Row;
use serde::{Deserialize, Serialize};

/// One secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretRow {
    /// Its name.
    pub(crate) name: Name,
    /// The value, sealed.
    #[serde(flatten)]
    pub(crate) sealed: Sealed,
    /// The revision of the transaction that set it: another value has another one.
    pub(crate) revision: Revision,
    /// When it was first set, in Unix milliseconds.
    pub(crate) created_at_ms: u64,
    /// When it was last set, in Unix milliseconds.
    pub(crate) changed_at_ms: u64,
}

/// A sealed value: XChaCha20-Poly1305, bound to its store and its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sealed {
    /// Which key sealed it: its fingerprint.
    pub(crate) key: String,
    /// The nonce, in base64.
    pub(crate) nonce: String,
    /// Value and tag, sealed, in base64.
    pub(crate) sealed: String,
}

impl Row for SecretRow {
    type Key = Name;

    fn key(&self) -> Name {
        self.name.clone()
    }
}
