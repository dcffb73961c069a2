//! What was hashed of uploads that are not whole yet, so that whoever goes on with one need not read
//! again what has arrived. In memory only: what is not here is hashed again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fleet_capability::workspace::Hash;
use fleet_model::WorkloadId;

/// How many are kept; the oldest goes first.
const MOST: usize = 256;

/// The hashes of uploads under way.
#[derive(Debug, Default)]
pub(crate) struct Hashes(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    hashes: BTreeMap<(WorkloadId, String), (u64, Hash)>,
    next: u64,
}

impl Hashes {
    /// What was kept of an upload; it is not kept any longer.
    pub(super) fn take(&self, workload: WorkloadId, key: &str) -> Option<Hash> {
        let key = (workload, key.to_owned());
        self.lock().hashes.remove(&key).map(|(_, hash)| hash)
    }

    /// Keeps it for whoever goes on with the upload.
    pub(super) fn keep(&self, workload: WorkloadId, key: String, hash: Option<Hash>) {
        let Some(hash) = hash.filter(|_| !key.is_empty()) else {
            return;
        };
        let mut kept = self.lock();
        let number = kept.next;
        kept.next += 1;
        kept.hashes.insert((workload, key), (number, hash));
        if kept.hashes.len() > MOST {
            let oldest = kept.hashes.iter().min_by_key(|(_, (number, _))| *number);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                kept.hashes.remove(&oldest);
            }
        }
    }

    /// Every holder leaves it whole, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_given_once_and_the_oldest_goes_first() {
        let hashes = Hashes::default();
        let workload = WorkloadId::new(1, 1);
        let of = |bytes: usize| {
            let mut hash = Hash::default();
            hash.update(&vec![0; bytes]);
            Some(hash)
        };
        for n in 0..=MOST {
            hashes.keep(workload, n.to_string(), of(n));
        }
        hashes.keep(workload, String::new(), of(1));
        assert!(hashes.take(workload, "").is_none());
        assert!(hashes.take(workload, "0").is_none());
        assert!(hashes.take(WorkloadId::new(1, 2), "1").is_none());
        assert_eq!(hashes.take(workload, "1").map(|hash| hash.bytes()), Some(1));
        assert!(hashes.take(workload, "1").is_none());
    }
}
