//! One at a time for each: signals of a workload, signals of a program beside one.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Mutex as Turn;

/// Whose turn it is, by what takes turns. Only where something is under way does it take room.
#[derive(Debug)]
pub(crate) struct Turns<K>(Mutex<BTreeMap<K, Weak<Turn<()>>>>);

impl<K> Default for Turns<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Ord + Clone> Turns<K> {
    /// What to lock while something of this one is under way.
    pub(crate) fn of(&self, item: &K) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(item).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(item.clone(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::WorkloadId;
    use fleet_model::item::ItemKey;

    use super::*;

    #[tokio::test]
    async fn a_workload_has_one_turn_and_others_have_theirs() {
        let turns = Turns::default();
        let item = |n| ItemKey::workload(WorkloadId::new(n, 1));
        let first = turns.of(&item(1));
        let held = first.lock().await;
        assert!(turns.of(&item(1)).try_lock().is_err());
        assert!(turns.of(&item(2)).try_lock().is_ok());
        drop(held);
        drop(first);
        assert!(turns.of(&item(1)).try_lock().is_ok());
        assert_eq!(
            turns.0.lock().unwrap().len(),
            1,
            "what is over takes no room"
        );
    }
}
