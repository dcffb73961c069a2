//! The key that seals secrets. It is kept apart from the store, so that neither is worth anything
//! without the other; who keeps it, and where, is the host's business.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;

use fleet_model::Error;
use fleet_seam::Entropy;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::state::SecretRow;

/// Bytes of a key, as XChaCha20-Poly1305 has them.
const BYTES: usize = 32;
/// Bytes of a fingerprint: enough to tell keys apart, too few to find one.
const FINGERPRINT_BYTES: usize = 8;
/// What is hashed with the key for its fingerprint.
const FINGERPRINT: &[u8] = b"fleet-host sealing key fingerprint 1\n";
/// What is hashed with the key to blind a value.
const BLIND: &[u8] = b"fleet-host blinded value 1\n";

/// The key that seals secrets. Clones share one place in memory, which is wiped with the last one.
#[derive(Clone)]
pub struct SealingKey(Arc<Zeroizing<[u8; BYTES]>>);

impl SealingKey {
    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let Ok(key) = Self::made(|bytes| {
            entropy.fill(bytes);
            Ok::<(), Infallible>(())
        });
        key
    }

    /// A key from the text of its file: 64 hex digits, with white space around them.
    ///
    /// # Errors
    /// `unavailable` (`invalid-sealing-key`), fit to open a controller with; the message has nothing of
    /// the text.
    pub fn from_text(text: &str) -> Result<Self, Error> {
        let invalid = || {
            Error::unavailable(
                "invalid-sealing-key",
                format!(
                    "secrets can neither be sealed nor opened: their key is {} hex digits, and what is there is something else; \
                     put back the key they were sealed with, then start the host again",
                    BYTES * 2
                ),
            )
        };
        let digits = text.trim().as_bytes();
        if digits.len() != BYTES * 2 {
            return Err(invalid());
        }
        Self::made(|bytes| {
            for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
                *byte = pair
                    .iter()
                    .try_fold(0, |sum, digit| {
                        let digit = char::from(*digit).to_digit(16)?;
                        Some(sum * 16 + u8::try_from(digit).ok()?)
                    })
                    .ok_or_else(invalid)?;
            }
            Ok(())
        })
    }

    /// A key, filled in where it stays: a value that is moved leaves a copy behind.
    fn made<E>(fill: impl FnOnce(&mut [u8; BYTES]) -> Result<(), E>) -> Result<Self, E> {
        let mut place = Arc::new(Zeroizing::new([0; BYTES]));
        let bytes: &mut Zeroizing<[u8; BYTES]> = Arc::make_mut(&mut place);
        fill(bytes)?;
        Ok(Self(place))
    }

    /// The text of its file: 64 hex digits and a line's end.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // As large as it gets, so that no part of it is left behind by growing.
        let mut text = Zeroizing::new(String::with_capacity(BYTES * 2 + 1));
        for byte in self.0.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.extend(char::from_digit(digit.into(), 16));
            }
        }
        text.push('\n');
        text
    }

    /// What to open a controller with where there is no key. `why` says what is wrong with it, with
    /// the place where it should be: `there is no file /var/lib/fleet-host/secret.key`.
    #[must_use]
    pub fn missing(why: impl fmt::Display) -> Error {
        Error::unavailable(
            "no-sealing-key",
            format!(
                "secrets can neither be sealed nor opened: {why}; put back the key they were sealed with, then start the host again"
            ),
        )
    }

    /// Tells keys apart, and says nothing about the key.
    pub(crate) fn fingerprint(&self) -> String {
        let hash = self.hash(FINGERPRINT, &[]);
        crate::idempotency::hex(hash.get(..FINGERPRINT_BYTES).unwrap_or_default())
    }

    /// A digest of a value that nobody without the key can find by guessing.
    pub(crate) fn blind(&self, value: &[u8]) -> [u8; 32] {
        self.hash(BLIND, value)
    }

    /// The key itself.
    pub(super) fn bytes(&self) -> &[u8; BYTES] {
        &self.0
    }

    fn hash(&self, label: &[u8], value: &[u8]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(label);
        hash.update(self.bytes());
        hash.update(value);
        hash.finalize().into()
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(***)")
    }
}

/// Why a secret cannot be opened, as far as that shows without trying.
pub(crate) fn trouble(key: &Result<SealingKey, Error>, row: &SecretRow) -> Option<Error> {
    match key {
        Ok(key) => another_key(key, row),
        Err(missing) => Some(missing.clone()),
    }
}

/// The error where a secret was sealed with another key.
pub(super) fn another_key(key: &SealingKey, row: &SecretRow) -> Option<Error> {
    let (name, own) = (&row.name, key.fingerprint());
    let error = || {
        Error::unavailable(
            "wrong-sealing-key",
            format!(
                "secret `{name}` was sealed with key {}, and this host has key {own}: put the other key back and start the host \
                 again, or set the secret anew with `fleet-host secret set {name}`",
                row.sealed.key
            ),
        )
        .with("secret", name)
    };
    (own != row.sealed.key).then(error)
}
