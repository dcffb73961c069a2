//! What a node accepts of what its controller states. Pure.
//!
//! A node trusts the newest truth it has seen: intent from another store, or from an earlier place
//! of the same one, changes nothing and is reported as `controller-behind`. Within accepted intent a
//! generation lower than the highest seen for an item is refused, and an item that is missing is
//! left alone.

use fleet_model::item::{Generation, Item, Revision, workload_kind};
use fleet_model::workload::{DEFAULT_GRACE_MS, WorkloadIntent};
use fleet_protocol::message::Seen;

use crate::state::Record;

/// Whether a statement may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is at least as new as all that was seen.
    Accept,
    /// It is older, or another store's.
    Behind(Seen),
    /// It does not follow what this session said last: ask for everything.
    Gap,
}

/// Judges a full set, or a part of one, stated at `at`.
pub(crate) fn judge(seen: Option<Seen>, at: Seen) -> Verdict {
    match seen {
        Some(seen) if seen.store != at.store => Verdict::Behind(seen),
        Some(seen) if (at.incarnation, at.revision) < (seen.incarnation, seen.revision) => {
            Verdict::Behind(seen)
        }
        _ => Verdict::Accept,
    }
}

/// Judges a delta that says it follows `after`, in a session whose last statement was at `last`.
pub(crate) fn judge_delta(
    seen: Option<Seen>,
    at: Seen,
    after: Revision,
    last: Option<Revision>,
) -> Verdict {
    match judge(seen, at) {
        Verdict::Accept if last != Some(after) => Verdict::Gap,
        verdict => verdict,
    }
}

/// What one item's record becomes; `None` where the statement says nothing new.
///
/// `floor` is the highest generation of what was removed and forgotten: what is not known and not
/// newer was removed here before.
pub(crate) fn record(known: Option<&Record>, item: &Item, floor: Generation) -> Option<Record> {
    if item.id.kind != workload_kind() {
        // This version has no other kinds; a controller that states one is newer.
        return None;
    }
    let grace_ms = item
        .intent
        .as_ref()
        .and_then(|intent| serde_json::from_value::<WorkloadIntent>(intent.clone()).ok())
        .map(|intent| intent.grace_ms);
    match known {
        Some(known) if item.generation <= known.item.generation => None,
        None if item.generation <= floor => None,
        Some(known) => Some(Record {
            item: item.clone(),
            grace_ms: grace_ms.unwrap_or(known.grace_ms),
            removed: false,
            ports: known.ports.clone(),
            run: known.run.clone(),
            backoff: None,
            signals: known.signals.clone(),
        }),
        None => Some(Record {
            item: item.clone(),
            grace_ms: grace_ms.unwrap_or(DEFAULT_GRACE_MS),
            removed: false,
            ports: std::collections::BTreeMap::new(),
            run: None,
            backoff: None,
            signals: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::StoreId;
    use fleet_model::item::{Incarnation, ItemKey, Mode};

    use super::*;

    fn at(store: u128, incarnation: u64, revision: u64) -> Seen {
        Seen {
            store: StoreId::new(1, store),
            incarnation: Incarnation(incarnation),
            revision: Revision(revision),
        }
    }

    #[test]
    fn only_the_same_store_at_this_place_or_later_is_accepted() {
        let seen = at(1, 2, 5);
        for (stated, verdict) in [
            (at(1, 2, 5), Verdict::Accept),
            (at(1, 2, 6), Verdict::Accept),
            (at(1, 3, 0), Verdict::Accept),
            (at(1, 2, 4), Verdict::Behind(seen)),
            (at(1, 1, 9), Verdict::Behind(seen)),
            (at(2, 9, 9), Verdict::Behind(seen)),
        ] {
            assert_eq!(judge(Some(seen), stated), verdict, "{stated:?}");
        }
        assert_eq!(judge(None, at(2, 0, 0)), Verdict::Accept);
    }

    #[test]
    fn a_delta_must_follow_the_last_statement() {
        let seen = at(1, 1, 5);
        assert_eq!(
            judge_delta(Some(seen), at(1, 1, 7), Revision(5), Some(Revision(5))),
            Verdict::Accept
        );
        assert_eq!(
            judge_delta(Some(seen), at(1, 1, 7), Revision(6), Some(Revision(5))),
            Verdict::Gap
        );
        assert_eq!(
            judge_delta(Some(seen), at(1, 1, 7), Revision(5), None),
            Verdict::Gap
        );
        assert_eq!(
            judge_delta(Some(seen), at(1, 1, 4), Revision(5), Some(Revision(5))),
            Verdict::Behind(seen)
        );
    }

    #[test]
    fn a_lower_or_equal_generation_is_refused_also_after_removal() {
        let item = |generation, intent| Item {
            id: ItemKey {
                kind: workload_kind(),
                key: "wl".into(),
            },
            generation: Generation(generation),
            intent,
            grace_ms: None,
            mode: Mode::default(),
        };
        let none = Generation(0);
        let mut known = record(None, &item(5, None), none).unwrap();
        known.removed = true;
        assert!(record(Some(&known), &item(4, Some(serde_json::json!({}))), none).is_none());
        assert!(record(Some(&known), &item(5, Some(serde_json::json!({}))), none).is_none());
        let back = record(Some(&known), &item(6, Some(serde_json::json!({}))), none).unwrap();
        assert!(!back.removed);
        // Forgotten, it is refused all the same.
        let floor = Generation(5);
        assert!(record(None, &item(5, Some(serde_json::json!({}))), floor).is_none());
        assert!(record(None, &item(6, Some(serde_json::json!({}))), floor).is_some());
    }
}
