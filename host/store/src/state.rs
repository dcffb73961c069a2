//! What a role remembers: its tables, logs and streams, declared once with [`state!`](crate::state).

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Migration, StoreError, Table};

/// A struct of [`Table`]s. Cloning must be cheap, which it is when every field is a table.
pub trait State: Default + Clone + Send + Sync + 'static {
    /// The role. It is written into the database, so that another role's file is refused.
    const NAME: &'static str;

    /// The names of the tables.
    fn tables() -> &'static [&'static str];

    /// The names of the logs.
    fn logs() -> &'static [&'static str];

    /// The names of the streams.
    fn streams() -> &'static [&'static str] {
        &[]
    }

    /// The steps from schema version 1 to the present one, see [`Migration`].
    fn migrations() -> &'static [Migration] {
        &[]
    }

    /// Puts one stored row into its table while the store is opened.
    ///
    /// # Errors
    /// The table is unknown, or the row does not fit.
    fn load(&mut self, table: &str, key: &str, value: &str) -> Result<(), StoreError>;
}

/// One row of a table. Its JSON is what is stored; a change of its shape needs a [`Migration`], unless
/// every row ever written still parses.
pub trait Row: Serialize + DeserializeOwned + Send + Sync + 'static {
    /// The primary key. Stored as its JSON, so that a tuple is as good a key as a string, and two keys can
    /// never meet in one text.
    type Key: Ord + Clone + Serialize + Send + Sync + 'static;

    /// The key of this row.
    fn key(&self) -> Self::Key;
}

/// An entry of a log: anything with a JSON form.
pub trait LogRow: Serialize + DeserializeOwned + Send + 'static {}

impl<L: Serialize + DeserializeOwned + Send + 'static> LogRow for L {}

/// The state has a table of `R`.
pub trait HasTable<R: Row>: State {
    /// The table's name.
    const TABLE: &'static str;

    /// The table.
    fn table(&self) -> &Table<R>;

    /// The table, for the transaction that writes it.
    fn table_mut(&mut self) -> &mut Table<R>;
}

/// The state has a log of `L`.
pub trait HasLog<L: LogRow>: State {
    /// The log's name.
    const LOG: &'static str;
}

/// Parses a stored row into its table: the body of [`State::load`].
///
/// # Errors
/// The row does not parse, or is stored under a key that is not its own.
pub fn load_row<R: Row, S: HasTable<R>>(
    state: &mut S,
    stored: &str,
    value: &str,
) -> Result<(), StoreError> {
    let unreadable = |source| StoreError::Row {
        table: S::TABLE.to_owned(),
        key: stored.to_owned(),
        source,
    };
    let row: R = serde_json::from_str(value).map_err(unreadable)?;
    let key = row.key();
    let own = key_text(&key).map_err(unreadable)?;
    if own != stored {
        return Err(StoreError::Misplaced {
            table: S::TABLE,
            stored: stored.to_owned(),
            own,
        });
    }
    state.table_mut().insert(key, row);
    Ok(())
}

/// The stored form of a key.
pub(crate) fn key_text(key: &(impl Serialize + ?Sized)) -> Result<String, serde_json::Error> {
    serde_json::to_string(key)
}
