//! One change at a time for each key, for changes that are not made in a transaction of this store.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Mutex as Turn;

/// Whose turn it is, by key. Only keys with a change under way take room.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<BTreeMap<String, Weak<Turn<()>>>>);

impl Turns {
    /// What to lock while a change under this key is under way.
    pub(crate) fn of(&self, key: &str) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| turn.strong_count() > 0);
        if let Some(turn) = turns.get(key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(Turn::new(()));
        turns.insert(key.to_owned(), Arc::downgrade(&turn));
        turn
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_key_has_one_turn_and_others_have_theirs() {
        let turns = Turns::default();
        let first = turns.of("a");
        let held = first.lock().await;
        assert!(turns.of("a").try_lock().is_err());
        assert!(turns.of("b").try_lock().is_ok());
        drop(held);
        drop(first);
        assert!(turns.of("a").try_lock().is_ok());
        assert_eq!(
            turns.0.lock().unwrap().len(),
            1,
            "what is over takes no room"
        );
    }
}
