//! What was answered under an idempotency key.

use fleet_store::Row;
use serde::{Deserialize, Serialize};

/// An accepted request and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AnswerRow {
    /// The client's key.
    pub(crate) key: String,
    /// SHA-256 of what was asked, in hex.
    pub(crate) digest: String,
    /// The answer's HTTP status.
    pub(crate) status: u16,
    /// The answer's body, byte for byte.
    pub(crate) body: String,
    /// When, in Unix milliseconds.
    pub(crate) at_ms: u64,
}

impl Row for AnswerRow {
    type Key = String;

    fn key(&self) -> String {
        self.key.clone()
    }
}
