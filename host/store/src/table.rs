//! One state table in memory.

use std::borrow::Borrow;
use std::fmt;
use std::ops::RangeBounds;
use std::sync::Arc;

use imbl::OrdMap;

use crate::Row;

/// The rows of one kind, ordered by key. Cloning costs a pointer: the clones share what they have in common.
///
/// Only a transaction changes a table, so code that holds one can rely on it.
pub struct Table<R: Row> {
    rows: OrdMap<R::Key, Arc<R>>,
}

impl<R: Row> Table<R> {
    /// The row with this key.
    pub fn get<Q>(&self, key: &Q) -> Option<&Arc<R>>
    where
        R::Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.rows.get(key)
    }

    /// Whether there is a row with this key.
    pub fn contains<Q>(&self, key: &Q) -> bool
    where
        R::Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.rows.contains_key(key)
    }

    /// Keys and rows, in the order of the keys.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&R::Key, &Arc<R>)> {
        self.rows.iter()
    }

    /// Keys and rows of a range of keys, in order.
    pub fn range<Q>(
        &self,
        keys: impl RangeBounds<Q>,
    ) -> impl DoubleEndedIterator<Item = (&R::Key, &Arc<R>)>
    where
        R::Key: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        self.rows.range(keys)
    }

    /// The keys, in order.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &R::Key> {
        self.rows.keys()
    }

    /// The rows, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Arc<R>> {
        self.rows.values()
    }

    /// The number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    pub(crate) fn insert(&mut self, key: R::Key, row: R) {
        self.rows.insert(key, Arc::new(row));
    }

    pub(crate) fn remove(&mut self, key: &R::Key) -> Option<Arc<R>> {
        self.rows.remove(key)
    }
}

impl<R: Row> Clone for Table<R> {
    fn clone(&self) -> Self {
        Self {
            rows: self.rows.clone(),
        }
    }
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            rows: OrdMap::new(),
        }
    }
}

impl<R: Row + fmt::Debug> fmt::Debug for Table<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.values()).finish()
    }
}
