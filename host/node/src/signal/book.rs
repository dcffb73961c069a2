//! Which signals a workload was sent. Pure.

use fleet_model::Error;
use sha2::{Digest as _, Sha256};

use crate::state::{Record, SentSignal};

/// How many keys are remembered for a workload.
const REMEMBERED: usize = 64;

/// How a signal stands.
#[derive(Debug, PartialEq)]
pub(super) enum Standing {
    /// It was not sent yet.
    New,
    /// It was sent: nothing is to be done.
    Sent,
    /// Another was sent under its key.
    Other(Error),
}

/// A signal under the client's key. Of a key its digest is kept: 32 characters however long it is.
pub(super) fn entry(key: &str, signal: &str) -> SentSignal {
    let digest = Sha256::digest(key.as_bytes());
    SentSignal {
        key: digest
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect(),
        signal: signal.to_owned(),
    }
}

/// How it stands with this one.
pub(super) fn standing(record: Option<&Record>, sent: &SentSignal) -> Standing {
    let known = record
        .into_iter()
        .flat_map(|record| &record.signals)
        .find(|known| known.key == sent.key);
    match known {
        None => Standing::New,
        Some(known) if known == sent => Standing::Sent,
        Some(known) => Standing::Other(Error::conflict(
            "call-reused",
            format!(
                "{} was sent under this key: use another key for another signal",
                known.signal
            ),
        )),
    }
}

/// Remembers one; the oldest is forgotten for it.
pub(super) fn note(record: &mut Record, sent: SentSignal) {
    record.signals.push(sent);
    let surplus = record.signals.len().saturating_sub(REMEMBERED);
    record.signals.drain(..surplus);
}

#[cfg(test)]
mod tests {
    use fleet_model::item::{Generation, Item, ItemKey, Mode, workload_kind};

    use super::*;

    fn record() -> Record {
        Record {
            item: Item {
                id: ItemKey {
                    kind: workload_kind(),
                    key: "wl".into(),
                },
                generation: Generation(1),
                intent: None,
                grace_ms: None,
                mode: Mode::default(),
            },
            grace_ms: 1,
            removed: false,
            ports: Default::default(),
            run: None,
            backoff: None,
            signals: Vec::new(),
        }
    }

    #[test]
    fn a_key_sends_one_signal_and_no_other() {
        let mut record = record();
        let first = entry("k", "USR1");
        assert_eq!(standing(None, &first), Standing::New);
        assert_eq!(standing(Some(&record), &first), Standing::New);
        note(&mut record, first.clone());
        assert_eq!(standing(Some(&record), &first), Standing::Sent);
        assert!(matches!(
            standing(Some(&record), &entry("k", "HUP")),
            Standing::Other(error) if error.code == "call-reused"
        ));
        assert_eq!(standing(Some(&record), &entry("l", "USR1")), Standing::New);
    }

    #[test]
    fn the_newest_keys_are_remembered_in_little_room() {
        let mut record = record();
        for number in 0..100 {
            note(
                &mut record,
                entry(&format!("{number}{}", "k".repeat(250)), "HUP"),
            );
        }
        let known = |number: u32| {
            let entry = entry(&format!("{number}{}", "k".repeat(250)), "HUP");
            standing(Some(&record), &entry) == Standing::Sent
        };
        assert!(!known(35) && known(36) && known(99));
        assert!(serde_json::to_vec(&record.signals).unwrap().len() < 8 * 1024);
    }
}
