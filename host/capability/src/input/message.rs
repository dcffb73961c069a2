//! What host and shim say to each other on a slot's control socket: one JSON line each, then the
//! connection ends.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;

use super::limits::COMMAND_BYTES;

/// The longest line: a command in Base64, its call, and what is around them.
pub(crate) const LINE_BYTES: usize = COMMAND_BYTES / 3 * 4 + 8 * 1024;

/// Host to shim.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Demand {
    /// Give the program this command.
    Send { call: String, bytes: Bytes64 },
}

/// Shim to host.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "answer")]
pub(crate) enum Reply {
    /// It is durable, now or from before.
    Taken,
    /// Nothing was kept of it.
    Refused { error: Error },
}

/// Bytes, in JSON as Base64.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bytes64(pub(crate) Vec<u8>);

impl Serialize for Bytes64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(serde::de::Error::custom)?;
        Ok(Self(bytes))
    }
}

/// What tells commands apart that have the same call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Digest(String);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let digest = <Sha256 as sha2::Digest>::digest(bytes);
        Self(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
