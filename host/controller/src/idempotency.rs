//! One request, one effect, however often it is sent.
//!
//! The key is looked up in the transaction that makes the change, so of fifty copies that arrive at
//! once one makes it and the others get its answer, byte for byte. Refusals are not kept: nothing
//! happened, and the same request may be accepted later.

use fleet_model::Error;
use fleet_store::Tx;
use sha2::{Digest, Sha256};

use crate::state::{AnswerRow, ControllerState};

/// How long an answer is kept, in milliseconds.
pub(crate) const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// The longest key.
pub(crate) const MAX_KEY_CHARS: usize = 255;

/// Old answers are looked for whenever the table has grown by this many.
const PRUNE_EVERY: usize = 256;

/// An answer that can be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status.
    pub(crate) status: u16,
    /// JSON.
    pub(crate) body: String,
}

/// A client's key, with what it was sent for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keyed {
    key: String,
    digest: String,
}

impl Keyed {
    /// Binds a key to a request: its method, path, query and body.
    pub(crate) fn new(key: String, request: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in request {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        Self {
            key,
            digest: hex(&hash.finalize()),
        }
    }

    /// What was answered to this request before, if it was.
    ///
    /// # Errors
    /// `conflict` when the key was used for another request.
    pub(crate) fn earlier(
        &self,
        state: &ControllerState,
        now_ms: u64,
    ) -> Result<Option<Answer>, Error> {
        match state.answers.get(&self.key) {
            Some(row) if is_old(row, now_ms) => Ok(None),
            Some(row) if row.digest == self.digest => Ok(Some(Answer {
                status: row.status,
                body: row.body.clone(),
            })),
            Some(_) => Err(Error::conflict(
                "idempotency-key-reused",
                "this Idempotency-Key was used for another request in the last 24 hours: take a new key for a new request",
            )),
            None => Ok(None),
        }
    }

    /// Keeps the answer, in the transaction that made the change.
    pub(crate) fn keep(self, tx: &mut Tx<'_, ControllerState>, answer: &Answer, at_ms: u64) {
        tx.put(AnswerRow {
            key: self.key,
            digest: self.digest,
            status: answer.status,
            body: answer.body.clone(),
            at_ms,
        });
        if tx.state().answers.len().is_multiple_of(PRUNE_EVERY) {
            let old: Vec<String> = tx
                .state()
                .answers
                .values()
                .filter(|row| is_old(row, at_ms))
                .map(|row| row.key.clone())
                .collect();
            for key in old {
                tx.delete::<AnswerRow>(&key);
            }
        }
    }
}

fn is_old(row: &AnswerRow, now_ms: u64) -> bool {
    now_ms.saturating_sub(row.at_ms) > KEPT_MS
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bound_to_its_request_part_by_part() {
        let of = |parts: &[&[u8]]| Keyed::new("k".into(), parts);
        assert_eq!(of(&[b"a", b"b"]), of(&[b"a", b"b"]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"ab", b""]));
        assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
    }
}
