//! Writes down what a verb does to a workload.

use fleet_model::Error;
use fleet_model::event::Event;
use fleet_model::item::Generation;
use fleet_model::workload::WorkloadIntent;
use fleet_store::Tx;
use serde_json::Value;

use super::Found;
use super::change::{Change, Verb, decide};
use crate::journal::{Journal, about_workload};
use crate::state::{ControllerState, ItemRow, Standing, WorkloadRow};

/// Carries a verb out.
///
/// # Errors
/// `conflict` where the verb does not fit how it stands.
pub(super) fn verb(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    found: &Found,
    verb: Verb,
) -> Result<(), Error> {
    let generation = match decide(&super::view::current(&found.item)?, verb)? {
        Change::Nothing => return Ok(()),
        Change::Intent(intent) => {
            let generation = Generation(tx.revision());
            tx.put(ItemRow {
                intent: value(&intent)?,
                generation,
                changed_at_ms: journal.at_ms,
                ..ItemRow::clone(&found.item)
            });
            generation
        }
        Change::Tombstone { grace_ms } => tombstone(tx, journal, found, grace_ms),
    };
    journal.record(tx, requested(found, generation, verb));
    Ok(())
}

/// States that a workload should be gone. From here on nothing brings it back.
pub(crate) fn tombstone(
    tx: &mut Tx<'_, ControllerState>,
    journal: Journal,
    found: &Found,
    grace_ms: Option<u64>,
) -> Generation {
    let generation = Generation(tx.revision());
    tx.put(ItemRow {
        standing: Standing::Tombstone { grace_ms },
        generation,
        changed_at_ms: journal.at_ms,
        ..ItemRow::clone(&found.item)
    });
    if found.at.expires.is_some() {
        tx.put(WorkloadRow {
            expires: None,
            ..WorkloadRow::clone(&found.at)
        });
    }
    generation
}

fn requested(found: &Found, generation: Generation, verb: Verb) -> Event {
    let (kind, message, grace_ms) = match verb {
        Verb::Start => ("workload.start-requested", "asked to run", None),
        Verb::Stop { grace_ms } => ("workload.stop-requested", "asked to end", grace_ms),
        Verb::Remove { grace_ms } => ("workload.remove-requested", "asked to go", grace_ms),
    };
    let mut event = about_workload(kind, &found.at, generation, message);
    event
        .details
        .extend(grace_ms.map(|grace| ("grace_ms".to_owned(), grace.to_string())));
    event
}

/// An intent as it is kept.
///
/// # Errors
/// `internal`.
pub(super) fn value(intent: &WorkloadIntent) -> Result<Value, Error> {
    serde_json::to_value(intent)
        .map_err(|error| Error::internal("encode", format!("the intent has no JSON form: {error}")))
}
