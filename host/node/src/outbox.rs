//! What happened here, kept until the controller has it, and never more of it than fits.
//!
//! While the controller is away the oldest entries go first; their numbers are missing then, which
//! is how the controller knows and says that some are.

use fleet_model::event::Event;
use fleet_store::Tx;

use crate::state::NodeState;

/// The most entries that are kept.
const MOST: u64 = 50_000;

/// Old entries are dropped when this many new ones have come, not at each one.
const TRIM_EVERY: u64 = 500;

/// Appends an entry.
pub(crate) fn append(tx: &mut Tx<'_, NodeState>, at_ms: u64, event: Event) {
    let seq = tx.append(at_ms, event);
    if let Some(through) = surplus(seq) {
        tx.trim::<Event>(through);
    }
}

/// The number up to which entries go when this one has come.
fn surplus(seq: u64) -> Option<u64> {
    seq.checked_sub(MOST)
        .filter(|through| *through > 0 && seq.is_multiple_of(TRIM_EVERY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_kept() {
        assert_eq!(surplus(1), None);
        assert_eq!(surplus(MOST), None);
        assert_eq!(surplus(MOST + 1), None);
        assert_eq!(surplus(MOST + TRIM_EVERY), Some(TRIM_EVERY));
    }
}
