//! Signals for a workload's program.

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::key::IdempotencyKey;
use crate::request::Ask;

/// A signal that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignalSent {
    /// Its name without `SIG`.
    pub signal: String,
    /// Its key: the same one again sends nothing.
    pub key: String,
}

impl Client {
    /// Sends a workload's program a signal, by its name with or without `SIG`, once per key and workload.
    ///
    /// # Errors
    /// As every call; `unknown-signal`, `not-running`, `no-signals`. After one that may pass, the same
    /// signal may be sent again with the same key.
    pub async fn signal(
        &self,
        name: &str,
        signal: &str,
        key: &IdempotencyKey,
    ) -> Result<SignalSent, ClientError> {
        let ask = Ask::post(workload_path(name, "/signals"), json!({ "signal": signal }));
        self.json(ask.keyed(key.clone())).await
    }
}
