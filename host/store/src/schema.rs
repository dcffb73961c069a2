//! The shape of a database, and the way from an older shape to this one.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{State, StoreError};

/// An error of any kind, for code that a migration brings along.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Rewrites one row, given its stored key and its JSON: into none, one or several rows, each with its key.
pub type Rewrite = fn(key: &str, row: Value) -> Result<Vec<(String, Value)>, BoxError>;

/// One step of the schema's version. Its steps and the new version are one transaction.
///
/// A released migration is never edited; a fixture of every released version is kept and opened by a test.
/// A table, log or stream that is merely *added* needs no migration: it is made when the store is opened.
#[derive(Debug, Clone, Copy)]
pub struct Migration {
    /// The version it leads to, one above the one before. The first is 2.
    pub to: u32,
    /// What it does, in a few words, for the log and the database's own record.
    pub name: &'static str,
    /// What it does, in order.
    pub steps: &'static [Step],
}

/// Part of a [`Migration`].
#[derive(Debug, Clone, Copy)]
pub enum Step {
    /// SQL statements, for what concerns whole tables, and for logs and streams.
    Sql(&'static str),
    /// A rewriting of every row of one table. A table that the file does not have yet is passed over.
    Rows {
        /// The table.
        table: &'static str,
        /// What becomes of each row.
        rewrite: Rewrite,
    },
}

/// What a [`State`] declares about its database, checked.
#[derive(Debug, Clone)]
pub struct Schema {
    /// [`State::NAME`].
    pub name: &'static str,
    /// [`State::tables`].
    pub tables: &'static [&'static str],
    /// [`State::logs`].
    pub logs: &'static [&'static str],
    /// [`State::streams`].
    pub streams: &'static [&'static str],
    /// [`State::migrations`].
    pub migrations: &'static [Migration],
}

impl Schema {
    /// The schema of a state.
    ///
    /// # Errors
    /// A name cannot be the name of a table, two are the same, or a migration is out of order.
    pub fn of<S: State>() -> Result<Self, StoreError> {
        let schema = Self {
            name: S::NAME,
            tables: S::tables(),
            logs: S::logs(),
            streams: S::streams(),
            migrations: S::migrations(),
        };
        match schema.problem() {
            None => Ok(schema),
            Some(problem) => Err(StoreError::Declaration {
                state: S::NAME,
                problem,
            }),
        }
    }

    /// The version of a database that has been through all migrations.
    pub fn version(&self) -> u32 {
        self.migrations.last().map_or(1, |newest| newest.to)
    }

    fn problem(&self) -> Option<String> {
        let mut seen = BTreeSet::from(["meta"]);
        for name in self.tables.iter().chain(self.logs).chain(self.streams) {
            if !is_plain(name) {
                return Some(format!("{name:?} cannot be the name of a table"));
            }
            if !seen.insert(name) {
                return Some(format!("the name {name} is taken"));
            }
        }
        let out_of_order = (2..).zip(self.migrations).find(|(to, m)| m.to != *to);
        out_of_order.map(|(to, m)| format!("migration {} should lead to version {to}", m.to))
    }
}

/// Names go into SQL as they are, so they have to be plain; `sqlite_` is reserved by the database.
fn is_plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_'))
        && !name.starts_with("sqlite_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn schema(
        tables: &'static [&'static str],
        logs: &'static [&'static str],
        migrations: &'static [Migration],
    ) -> Schema {
        Schema {
            name: "test",
            tables,
            logs,
            streams: &["packets"],
            migrations,
        }
    }

    const fn to(version: u32) -> Migration {
        Migration {
            to: version,
            name: "",
            steps: &[],
        }
    }

    #[test]
    fn names_are_plain_and_unlike() {
        assert_eq!(
            schema(&["items", "node_2"], &["events"], &[]).problem(),
            None
        );
        for bad in [
            "", "Items", "a-b", "a\"b", "1a", "_a", "sqlite_x", "meta", "packets",
        ] {
            let tables: &'static [&'static str] = vec![bad].leak();
            assert!(schema(tables, &[], &[]).problem().is_some(), "{bad}");
        }
        assert!(schema(&["items"], &["items"], &[]).problem().is_some());
    }

    #[test]
    fn migrations_lead_from_version_to_version() {
        assert_eq!(schema(&[], &[], &[]).version(), 1);
        let good = schema(&[], &[], const { &[to(2), to(3)] });
        assert_eq!((good.version(), good.problem()), (3, None));
        assert!(schema(&[], &[], const { &[to(1)] }).problem().is_some());
        assert!(
            schema(&[], &[], const { &[to(2), to(4)] })
                .problem()
                .is_some()
        );
        assert!(
            schema(&[], &[], const { &[to(3), to(2)] })
                .problem()
                .is_some()
        );
    }
}
