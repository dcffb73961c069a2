//! Seals a value and opens it again: XChaCha20-Poly1305 with a random nonce.
//!
//! The seal is bound to the store and to the secret's name, so that a row put under another name, or
//! into another store, does not open.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::{AeadInOut as _, KeyInit as _, XChaCha20Poly1305, XNonce};
use fleet_model::{Error, Name, StoreId};
use fleet_seam::Entropy;
use zeroize::Zeroizing;

use super::key::{SealingKey, another_key};
use crate::state::{Sealed, SecretRow};

/// Bytes of a nonce: enough for random ones never to meet.
const NONCE_BYTES: usize = 24;

/// Seals a value in its own place: what was there in clear is overwritten.
///
/// # Errors
/// `internal`: the value is larger than the cipher can take.
pub(super) fn seal(
    key: &SealingKey,
    entropy: &dyn Entropy,
    store: StoreId,
    name: &Name,
    mut value: Zeroizing<Vec<u8>>,
) -> Result<Sealed, Error> {
    let mut nonce = [0; NONCE_BYTES];
    entropy.fill(&mut nonce);
    cipher(key)
        .encrypt_in_place(&XNonce::from(nonce), &bound_to(store, name), &mut *value)
        .map_err(|_| Error::internal("seal", "the secret could not be sealed"))?;
    Ok(Sealed {
        key: key.fingerprint(),
        nonce: STANDARD.encode(nonce),
        sealed: STANDARD.encode(&*value),
    })
}

/// The value.
///
/// # Errors
/// `no-sealing-key`, `wrong-sealing-key`, `secret-damaged`; each says what to do.
pub(super) fn open(
    key: &Result<SealingKey, Error>,
    store: StoreId,
    row: &SecretRow,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let key = key.as_ref().map_err(Error::clone)?;
    if let Some(error) = another_key(key, row) {
        return Err(error);
    }
    opened(key, store, row).ok_or_else(|| {
        let name = &row.name;
        Error::unavailable(
            "secret-damaged",
            format!("what is stored of secret `{name}` is damaged: set it anew with `fleet-host secret set {name}`"),
        )
        .with("secret", name)
    })
}

fn opened(key: &SealingKey, store: StoreId, row: &SecretRow) -> Option<Zeroizing<Vec<u8>>> {
    let nonce: [u8; NONCE_BYTES] = STANDARD.decode(&row.sealed.nonce).ok()?.try_into().ok()?;
    let mut value = Zeroizing::new(STANDARD.decode(&row.sealed.sealed).ok()?);
    cipher(key)
        .decrypt_in_place(
            &XNonce::from(nonce),
            &bound_to(store, &row.name),
            &mut *value,
        )
        .ok()?;
    Some(value)
}

fn cipher(key: &SealingKey) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

fn bound_to(store: StoreId, name: &Name) -> Vec<u8> {
    format!("fleet-host secret 1\n{store}\n{name}").into_bytes()
}
