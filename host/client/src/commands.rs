//! Commands on a workload's input.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::key::IdempotencyKey;
use crate::request::Ask;

/// The bytes of a command, as they travel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// As text.
    Text(String),
    /// In base64 (RFC 4648, section 4).
    Base64(String),
}

impl From<Vec<u8>> for Command {
    fn from(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Base64(STANDARD.encode(error.as_bytes())),
        }
    }
}

/// A command that cannot get lost any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    /// Its key: the same one again gives the workload nothing.
    pub key: String,
}

impl Client {
    /// Gives a workload a command on its input, once per key and workload. Returns when the command is
    /// durable at the workload's node.
    ///
    /// # Errors
    /// As every call; `not-running`, `input-full`, `node-away`, `restarting`. After one that may pass, the same
    /// command may be sent again with the same key.
    pub async fn send(
        &self,
        name: &str,
        command: &Command,
        key: &IdempotencyKey,
    ) -> Result<Delivered, ClientError> {
        let body = serde_json::to_value(command).unwrap_or_default();
        let ask = Ask::post(workload_path(name, "/commands"), body);
        self.json(ask.keyed(key.clone())).await
    }

    /// A key that nobody has used.
    #[must_use]
    pub fn new_key(&self) -> IdempotencyKey {
        IdempotencyKey::generate(self.entropy())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_travel_as_text_where_they_are_text() {
        for (bytes, json) in [
            (b"go\n".to_vec(), r#"{"text":"go\n"}"#),
            (Vec::new(), r#"{"text":""}"#),
            (vec![0xff, 0, 10], r#"{"base64":"/wAK"}"#),
        ] {
            assert_eq!(serde_json::to_string(&Command::from(bytes)).unwrap(), json);
        }
    }
}
