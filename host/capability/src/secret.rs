//! Values that must not be seen: secrets, and what keeps them out of texts.
//!
//! A value is held only where it is about to be used, is wiped when it is dropped, and prints as
//! nothing. Whatever the host says to people goes through a [`Redactor`] that knows the values in
//! use, so that one that strays into a text of a plugin or an error is not passed on.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use async_trait::async_trait;
use fleet_model::{Error, Name};
use zeroize::Zeroizing;

pub(crate) mod fill;
mod redact;
pub(crate) mod wire;

pub use redact::Redactor;

/// The value of a secret. Wiped when dropped; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes the value over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The value itself. Pass it on to what it is for, and to nothing else.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(***)")
    }
}

/// Where the values of secrets come from: on a node, its controller.
#[async_trait]
pub trait Secrets: Send + Sync + 'static {
    /// The values of all these secrets.
    ///
    /// # Errors
    /// `not-found` (`no-secret`) naming one that is not set, `unavailable` while they cannot be had.
    async fn values(&self, names: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error>;
}

/// No secrets at all: for hosts that never have any.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoSecrets;

#[async_trait]
impl Secrets for NoSecrets {
    async fn values(&self, names: &BTreeSet<Name>) -> Result<BTreeMap<Name, SecretValue>, Error> {
        match names.first() {
            None => Ok(BTreeMap::new()),
            Some(name) => Err(no_secret(name)),
        }
    }
}

/// The error for a secret that is not set.
#[must_use]
pub fn no_secret(name: &Name) -> Error {
    Error::not_found(
        "no-secret",
        format!("there is no secret `{name}`: set it with `fleet-host secret set {name}`"),
    )
    .with("secret", name)
}
