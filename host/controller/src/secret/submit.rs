//! Sets secrets and removes them: one transaction each, with its event.

use fleet_model::event::Event;
use fleet_model::item::Revision;
use fleet_model::{Error, Name};
use fleet_store::Tx;
use serde::Serialize;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::seal::seal;
use super::{SealingKey, references};
use crate::controller::Inner;
use crate::idempotency::{Answer, Keyed, once};
use crate::journal::{Journal, plain};
use crate::refusal::{Refusal, write_failed};
use crate::state::{ControllerState, SecretRow};

/// HTTP 200.
const OK: u16 = 200;

/// Workloads named in a refusal, at most.
const SHOWN: usize = 10;

/// A secret, as the API shows it: all but the value, and how long that is.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(crate) struct Secret {
    /// Its name.
    name: Name,
    /// Rises whenever it is set.
    revision: Revision,
    /// When it was first set, in Unix milliseconds.
    created_at_ms: u64,
    /// When it was last set, in Unix milliseconds.
    changed_at_ms: u64,
}

impl Secret {
    /// As it is shown.
    pub(crate) fn of(row: &SecretRow) -> Self {
        Self {
            name: row.name.clone(),
            revision: row.revision,
            created_at_ms: row.created_at_ms,
            changed_at_ms: row.changed_at_ms,
        }
    }
}

/// What becomes of a secret that workloads name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum InUse {
    /// It stays.
    Keep,
    /// It goes all the same; those workloads cannot be started any more.
    Remove,
}

impl Inner {
    /// The key that seals secrets.
    ///
    /// # Errors
    /// `no-sealing-key`.
    pub(crate) fn sealing_key(&self) -> Result<&SealingKey, Error> {
        self.options.sealing_key.as_ref().map_err(Error::clone)
    }

    /// Sets a secret, for the first time or anew.
    ///
    /// # Errors
    /// `no-sealing-key`; what the writer says.
    pub(crate) async fn set_secret(
        &self,
        name: Name,
        value: Zeroizing<Vec<u8>>,
        keyed: Option<Keyed>,
    ) -> Result<Answer, Refusal> {
        let key = self.sealing_key()?;
        let sealed = seal(key, self.entropy.as_ref(), self.store_id, &name, value)?;
        let journal = self.journal();
        let written = self.store.write(move |tx| {
            once(tx, keyed, journal.at_ms, OK, |tx| {
                let known = tx.get::<SecretRow>(&name);
                let row = SecretRow {
                    name,
                    sealed,
                    revision: Revision(tx.revision()),
                    created_at_ms: known.map_or(journal.at_ms, |known| known.created_at_ms),
                    changed_at_ms: journal.at_ms,
                };
                journal.record(tx, event("secret.set", &row.name, "set"));
                let shown = Secret::of(&row);
                tx.put(row);
                Ok(shown)
            })
        });
        Ok(written.await.map_err(write_failed)?)
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// `secret-not-found`, `secret-in-use`; what the writer says.
    pub(crate) async fn remove_secret(
        &self,
        name: String,
        in_use: InUse,
        keyed: Option<Keyed>,
    ) -> Result<Answer, Refusal> {
        let journal = self.journal();
        let written = self.store.write(move |tx| {
            once(tx, keyed, journal.at_ms, OK, |tx| {
                remove(tx, journal, &name, in_use)
            })
        });
        Ok(written.await.map_err(write_failed)?)
    }
}

fn remove(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    name: &str,
    in_use: InUse,
) -> Result<Secret, Error> {
    let known = name
        .parse()
        .ok()
        .and_then(|name: Name| tx.get::<SecretRow>(&name));
    let Some(row) = known else {
        return Err(Error::not_found(
            "secret-not-found",
            format!(
                "there is no secret `{}`: `fleet-host secret ls` shows those there are",
                crate::api::shorten(name)
            ),
        ));
    };
    let users = references(tx.state().items.values());
    if let (InUse::Keep, Some(users)) = (in_use, users.get(row.name.as_str())) {
        return Err(used(&row.name, users));
    }
    journal.record(tx, event("secret.removed", &row.name, "removed"));
    tx.delete::<SecretRow>(&row.name);
    Ok(Secret::of(&row))
}

fn used(name: &Name, users: &[&str]) -> Error {
    let shown = users
        .iter()
        .take(SHOWN)
        .copied()
        .collect::<Vec<_>>()
        .join(", ");
    let more = match users.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Error::conflict(
        "secret-in-use",
        format!(
            "secret `{name}` is used by {shown}{more}, which could not be started without it: remove those first, or remove it \
             all the same, by force"
        ),
    )
    .with("secret", name)
    .with("workloads", shown)
    .with("remedy", "force=true")
}

/// An event about a secret: that it happened, and nothing of what is in it.
fn event(kind: &str, name: &Name, message: &str) -> Event {
    Event {
        name: Some(name.to_string()),
        ..plain(kind, name.to_string(), message)
    }
}
