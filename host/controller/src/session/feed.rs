//! What a node is told, and in which parts. Pure.
//!
//! A full set is told in any number of parts at one place. A delta is told in parts that each end at
//! a place of their own, the generation of their last item, so that each part follows the one before
//! it like a delta by itself; items of one generation stay together.

use std::sync::Arc;

use fleet_model::item::{Item, Revision};
use fleet_protocol::ControllerMessage;
use fleet_protocol::message::Seen;

use crate::state::ItemRow;

/// Items in one part, at most.
const PART_ITEMS: usize = 500;
/// JSON in one part, in bytes, unless one item alone is larger.
const PART_BYTES: usize = 2 * 1024 * 1024;

/// Everything the node should have.
pub(super) fn full_set(
    rows: Vec<Arc<ItemRow>>,
    at: Seen,
) -> impl Iterator<Item = ControllerMessage> + Send + use<> {
    let mut parts = parts(rows, |_, _| true);
    if parts.is_empty() {
        parts.push(Vec::new());
    }
    let count = parts.len();
    parts
        .into_iter()
        .enumerate()
        .map(move |(index, rows)| ControllerMessage::FullSet {
            at,
            items: stated(&rows),
            last: index + 1 == count,
        })
}

/// Those of a node's items that have changed since `after`, oldest change first.
pub(super) fn changed<'a>(
    rows: impl Iterator<Item = &'a Arc<ItemRow>>,
    after: Revision,
) -> Vec<Arc<ItemRow>> {
    let mut changed: Vec<_> = rows
        .filter(|row| row.generation.0 > after.0)
        .cloned()
        .collect();
    changed.sort_by_key(|row| row.generation);
    changed
}

/// What has changed since `after`. Nothing where nothing has.
pub(super) fn deltas(
    changed: Vec<Arc<ItemRow>>,
    after: Revision,
    at: Seen,
) -> impl Iterator<Item = ControllerMessage> + Send + use<> {
    let parts = parts(changed, |last, next| last.generation != next.generation);
    let count = parts.len();
    let mut after = after;
    parts.into_iter().enumerate().map(move |(index, rows)| {
        let is_last = index + 1 == count;
        let reached = rows
            .last()
            .filter(|_| !is_last)
            .map_or(at.revision, |row| Revision(row.generation.0));
        let follows = std::mem::replace(&mut after, reached);
        ControllerMessage::Delta {
            after: follows,
            at: Seen {
                revision: reached,
                ..at
            },
            items: stated(&rows),
        }
    })
}

/// Cuts a list where a part is full and `may_cut` between two neighbours.
fn parts(
    rows: Vec<Arc<ItemRow>>,
    may_cut: impl Fn(&ItemRow, &ItemRow) -> bool,
) -> Vec<Vec<Arc<ItemRow>>> {
    let mut parts: Vec<Vec<Arc<ItemRow>>> = Vec::new();
    let mut bytes = 0;
    for row in rows {
        let weight = weight(&row);
        let part = parts.last_mut().filter(|part| {
            let is_full = part.len() >= PART_ITEMS || bytes + weight > PART_BYTES;
            !(is_full && part.last().is_some_and(|last| may_cut(last, &row)))
        });
        match part {
            Some(part) => {
                bytes += weight;
                part.push(row);
            }
            None => {
                bytes = weight;
                parts.push(vec![row]);
            }
        }
    }
    parts
}

/// About how many bytes an item takes on the link.
fn weight(row: &ItemRow) -> usize {
    const REST: usize = 256;
    serde_json::to_vec(&row.intent).map_or(0, |json| json.len()) + REST
}

fn stated(rows: &[Arc<ItemRow>]) -> Vec<Item> {
    rows.iter().map(|row| row.stated()).collect()
}

#[cfg(test)]
mod tests {
    use fleet_model::StoreId;
    use fleet_model::id::NodeId;
    use fleet_model::item::{Generation, Incarnation, ItemKey, Mode, workload_kind};
    use serde_json::Value;

    use super::*;
    use crate::state::Standing;

    fn row(key: usize, generation: u64, intent: &str) -> Arc<ItemRow> {
        Arc::new(ItemRow {
            node: NodeId::new(1, 1),
            id: ItemKey {
                kind: workload_kind(),
                key: key.to_string(),
            },
            generation: Generation(generation),
            intent: Value::String(intent.to_owned()),
            standing: Standing::Wanted,
            mode: Mode::default(),
            status: None,
            reported_in: 0,
            created_at_ms: 0,
            changed_at_ms: 0,
        })
    }

    fn at(revision: u64) -> Seen {
        Seen {
            store: StoreId::new(1, 1),
            incarnation: Incarnation(1),
            revision: Revision(revision),
        }
    }

    #[test]
    fn a_full_set_is_whole_in_any_number_of_parts_and_an_empty_one_is_said() {
        for (count, bytes, parts) in [
            (0, 1, 1),
            (1, 1, 1),
            (500, 1, 1),
            (501, 1, 2),
            (1_200, 1, 3),
            (5, 1_000_000, 3),
        ] {
            let rows = (0..count)
                .map(|key| row(key, 1, &"x".repeat(bytes)))
                .collect();
            let messages: Vec<_> = full_set(rows, at(9)).collect();
            assert_eq!(messages.len(), parts, "{count} of {bytes}");
            let mut total = 0;
            for (index, message) in messages.iter().enumerate() {
                let ControllerMessage::FullSet {
                    at: place,
                    items,
                    last,
                } = message
                else {
                    panic!("{message:?}")
                };
                assert_eq!((*place, *last), (at(9), index + 1 == parts));
                total += items.len();
            }
            assert_eq!(total, count);
        }
    }

    #[test]
    fn parts_of_a_delta_follow_each_other_and_end_at_the_newest_place() {
        let rows: Vec<_> = (0..1_201)
            .map(|key| row(key, u64::try_from(key).unwrap() + 3, ""))
            .rev()
            .collect();
        let messages: Vec<_> =
            deltas(changed(rows.iter(), Revision(2)), Revision(2), at(2_000)).collect();
        assert_eq!(messages.len(), 3);
        let mut place = Revision(2);
        let mut generations = Vec::new();
        for message in messages {
            let ControllerMessage::Delta { after, at, items } = message else {
                panic!("{message:?}")
            };
            assert_eq!(after, place);
            place = at.revision;
            assert!(items.iter().all(|item| item.generation.0 <= place.0));
            generations.extend(items.iter().map(|item| item.generation.0));
        }
        assert_eq!(place, Revision(2_000));
        assert!(generations.is_sorted() && generations.len() == 1_201);
    }

    #[test]
    fn one_generation_is_never_cut_and_old_items_are_not_said_again() {
        let rows: Vec<_> = (0..700)
            .map(|key| row(key, 5, ""))
            .chain([row(700, 4, "")])
            .collect();
        let messages: Vec<_> =
            deltas(changed(rows.iter(), Revision(4)), Revision(4), at(6)).collect();
        assert_eq!(messages.len(), 1);
        assert_eq!(
            deltas(
                changed([row(1, 4, "")].iter(), Revision(4)),
                Revision(4),
                at(6)
            )
            .count(),
            0
        );
    }
}
