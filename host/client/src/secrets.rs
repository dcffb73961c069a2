//! Secrets: set, listed and removed. No answer ever has a value.

use bytes::Bytes;
use fleet_model::{Name, Revision};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::client::{Client, segment};
use crate::error::ClientError;
use crate::page::{PAGE, Page};
use crate::request::Ask;

/// All that is told of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// Its name.
    pub name: Name,
    /// Rises whenever it is set.
    pub revision: Revision,
    /// When it was first set, in Unix milliseconds.
    pub created_at_ms: u64,
    /// When it was last set, in Unix milliseconds.
    pub changed_at_ms: u64,
    /// The workloads that name it; told where secrets are listed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used_by: Option<Vec<String>>,
}

/// What becomes of a secret that workloads name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InUse {
    /// It stays, and the request is refused.
    Keep,
    /// It goes all the same: those workloads cannot be started any more.
    Remove,
}

impl Client {
    /// Sets a secret, for the first time or anew. The value is wiped from this process's memory when
    /// it has been sent, but for what the network's buffers hold.
    ///
    /// # Errors
    /// As every call.
    pub async fn set_secret(
        &self,
        name: &str,
        value: Zeroizing<Vec<u8>>,
    ) -> Result<Secret, ClientError> {
        let value = Bytes::from_owner(value);
        self.json(Ask::put(secret_path(name), value)).await
    }

    /// All secrets, all pages.
    ///
    /// # Errors
    /// As every call.
    pub async fn secrets(&self) -> Result<Vec<Secret>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let mut pairs = vec![("limit", PAGE.to_string())];
            pairs.extend(cursor.clone().map(|cursor| ("cursor", cursor)));
            let page: Page<Secret> = self.json(Ask::get("/api/v1/secrets").with(pairs)).await?;
            all.extend(page.items);
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// As every call; `secret-not-found`, `secret-in-use`.
    pub async fn remove_secret(&self, name: &str, in_use: InUse) -> Result<Secret, ClientError> {
        let force = (in_use == InUse::Remove).then(|| ("force", "true".to_owned()));
        self.json(Ask::delete(secret_path(name)).with(force.into_iter().collect()))
            .await
    }
}

fn secret_path(name: &str) -> String {
    format!("/api/v1/secrets/{}", segment(name))
}
