//! One request, one effect, however often it is sent.
//!
//! The key is looked up in the transaction that makes the change, so of fifty copies that arrive at
//! once one makes it and the others get its answer, byte for byte. Refusals are not kept: nothing
//! happened, and the same request may be accepted later. Nor are answers kept beyond what memory is
//! worth: the oldest go before their day is over where there are very many or very large ones.

use fleet_model::Error;
use fleet_store::Tx;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::controller::Inner;
use crate::state::{AnswerRow, ControllerState};

/// How long an answer is kept, in milliseconds.
pub(crate) const KEPT_MS: u64 = 24 * 60 * 60 * 1_000;

/// The longest key.
pub(crate) const MAX_KEY_CHARS: usize = 255;

/// Answers kept at most, whatever their age: the oldest go first.
const MAX_ANSWERS: usize = 10_000;

/// Bodies of answers kept at most, in bytes.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What is too old or too much is looked for whenever the table has grown by this many,
const PRUNE_EVERY: usize = 256;

/// and whenever an answer is at least this large, in bytes.
const LARGE_BYTES: usize = 256 * 1024;

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

    /// The key itself.
    pub(crate) fn key(&self) -> &str {
        &self.key
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
        let is_large = answer.body.len() >= LARGE_BYTES;
        let row = AnswerRow {
            key: self.key,
            digest: self.digest,
            status: answer.status,
            body: answer.body.clone(),
            at_ms,
        };
        tx.put(row.clone());
        if is_large || tx.state().answers.len().is_multiple_of(PRUNE_EVERY) {
            for key in surplus(tx.state(), &row) {
                tx.delete::<AnswerRow>(&key);
            }
        }
    }
}

/// Gives the answer that was given before under this key, or acts and keeps the answer.
///
/// # Errors
/// `conflict` when the key was used for another request; what `act` says.
pub(crate) fn once<T: Serialize>(
    tx: &mut Tx<'_, ControllerState>,
    keyed: Option<Keyed>,
    at_ms: u64,
    status: u16,
    act: impl FnOnce(&mut Tx<'_, ControllerState>) -> Result<T, Error>,
) -> Result<Answer, Error> {
    if let Some(keyed) = &keyed
        && let Some(answer) = keyed.earlier(tx.state(), at_ms)?
    {
        return Ok(answer);
    }
    let body = serde_json::to_string(&act(tx)?).map_err(|error| {
        Error::internal("encode", format!("the answer has no JSON form: {error}"))
    })?;
    let answer = Answer { status, body };
    if let Some(keyed) = keyed {
        keyed.keep(tx, &answer, at_ms);
    }
    Ok(answer)
}

impl Inner {
    /// What was answered before to this request, if it has a key: a look that spares the writer work.
    ///
    /// # Errors
    /// `conflict` when the key was used for another request.
    pub(crate) fn earlier(
        &self,
        state: &ControllerState,
        keyed: Option<&Keyed>,
    ) -> Result<Option<Answer>, Error> {
        match keyed {
            Some(keyed) => keyed.earlier(state, self.clock.unix_ms()),
            None => Ok(None),
        }
    }
}

/// The keys of the answers that are kept no longer beside the newest: too old, or the oldest of too
/// many.
fn surplus(state: &ControllerState, newest: &AnswerRow) -> Vec<String> {
    let others = state.answers.values().filter(|row| row.key != newest.key);
    let mut others: Vec<_> = others.collect();
    others.sort_by_key(|row| std::cmp::Reverse(row.at_ms));
    let (mut count, mut bytes) = (1, newest.body.len());
    let mut gone = Vec::new();
    for row in others {
        count += 1;
        bytes += row.body.len();
        if is_old(row, newest.at_ms) || count > MAX_ANSWERS || bytes > MAX_BYTES {
            gone.push(row.key.clone());
        }
    }
    gone
}

fn is_old(row: &AnswerRow, now_ms: u64) -> bool {
    now_ms.saturating_sub(row.at_ms) > KEPT_MS
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
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
    use crate::tests::support::Bench;

    #[test]
    fn a_key_is_bound_to_its_request_part_by_part() {
        let of = |parts: &[&[u8]]| Keyed::new("k".into(), parts);
        assert_eq!(of(&[b"a", b"b"]), of(&[b"a", b"b"]));
        assert_ne!(of(&[b"a", b"b"]), of(&[b"ab", b""]));
        assert_ne!(of(&[b"a"]), of(&[b"a", b""]));
    }

    /// Answers so many requests, one each millisecond, with bodies of so many bytes.
    async fn answered(bench: &Bench, count: usize, bytes: usize) -> Vec<u64> {
        for from in (0..count).step_by(100) {
            let write = bench.store.write(move |tx| {
                for number in from..count.min(from + 100) {
                    let keyed = Keyed::new(format!("k{number}"), &[]);
                    let body = "x".repeat(bytes);
                    let answer = Answer { status: 201, body };
                    keyed.keep(tx, &answer, u64::try_from(number).unwrap_or(0));
                }
                Ok::<_, std::convert::Infallible>(())
            });
            write.await.unwrap();
        }
        let snapshot = bench.store.snapshot();
        let mut kept: Vec<_> = snapshot
            .state
            .answers
            .values()
            .map(|row| row.at_ms)
            .collect();
        kept.sort_unstable();
        kept
    }

    #[tokio::test]
    async fn the_oldest_answers_go_where_there_are_too_many_or_too_large_ones() {
        let bench = Bench::new().await;
        let kept = answered(&bench, 11_000, 2).await;
        assert!(
            (10_000..10_000 + PRUNE_EVERY).contains(&kept.len()),
            "{}",
            kept.len()
        );
        assert_eq!(kept.last(), Some(&10_999));
        assert!(kept.windows(2).all(|pair| pair[0] + 1 == pair[1]));

        let bench = Bench::new().await;
        let kept = answered(&bench, 300, LARGE_BYTES).await;
        assert_eq!(kept, (44..300).collect::<Vec<_>>());
        // One that is larger than all may be is kept as long as it is the newest.
        let bench = Bench::new().await;
        assert_eq!(answered(&bench, 1, MAX_BYTES + 1).await, [0]);
    }
}
