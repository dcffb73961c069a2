//! From an older schema to the present one, version by version.
//!
//! Each migration is one transaction together with its record, so a failure or a crash leaves the file at a
//! version that some build knows.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, query, query_as, query_scalar, raw_sql};

use super::fault::open_error;
use super::{commit, open, transaction};
use crate::{BoxError, Migration, Rewrite, Schema, Step, StoreError};

/// Runs what leads from version `from` to the newest.
pub(super) async fn migrate(
    connection: &mut SqliteConnection,
    path: &Path,
    schema: &Schema,
    from: u32,
) -> Result<(), StoreError> {
    check_integrity(connection, path).await?;
    for migration in schema.migrations.iter().filter(|m| m.to > from) {
        let done = migrate_once(connection, migration).await;
        done.map_err(|source| StoreError::Migration {
            path: path.to_path_buf(),
            to: migration.to,
            name: migration.name,
            source: Arc::from(source),
        })?;
        tracing::info!(version = migration.to, name = migration.name, "migrated");
    }
    Ok(())
}

/// A migration would carry damage on into a file that an older build cannot read any more.
async fn check_integrity(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let found: String = query_scalar("PRAGMA quick_check(1)")
        .fetch_one(connection)
        .await
        .map_err(|error| open_error(path, error))?;
    if found == "ok" {
        return Ok(());
    }
    Err(StoreError::Corrupt {
        path: path.to_path_buf(),
        source: Arc::new(Damage(found)),
    })
}

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Damage(String);

#[derive(Debug, thiserror::Error)]
enum Unfit {
    #[error("another process has migrated the file")]
    Overtaken,
    #[error("two rows of {table} end up with the key {key}")]
    SameKey { table: &'static str, key: String },
    #[error("row {key} of {table} cannot be rewritten")]
    Row {
        table: &'static str,
        key: String,
        source: BoxError,
    },
}

async fn migrate_once(
    connection: &mut SqliteConnection,
    migration: &Migration,
) -> Result<(), BoxError> {
    transaction::begin(connection).await?;
    let stepped = run_steps(connection, migration).await;
    transaction::finish(connection, stepped).await
}

async fn run_steps(
    connection: &mut SqliteConnection,
    migration: &Migration,
) -> Result<(), BoxError> {
    let raised = query("UPDATE meta SET value = ? WHERE key = ? AND value = ?")
        .bind(migration.to.to_string())
        .bind(open::SCHEMA_VERSION)
        .bind((migration.to - 1).to_string())
        .execute(&mut *connection)
        .await?;
    if raised.rows_affected() != 1 {
        return Err(Unfit::Overtaken.into());
    }
    query("INSERT INTO meta (key, value) VALUES (?, ?)")
        .bind(format!("migration.{}", migration.to))
        .bind(migration.name)
        .execute(&mut *connection)
        .await?;
    for step in migration.steps {
        match step {
            Step::Sql(sql) => raw_sql(*sql).execute(&mut *connection).await.map(drop)?,
            Step::Rows { table, rewrite } => rewrite_rows(connection, table, *rewrite).await?,
        }
    }
    Ok(())
}

async fn rewrite_rows(
    connection: &mut SqliteConnection,
    table: &'static str,
    rewrite: Rewrite,
) -> Result<(), BoxError> {
    let tables = open::tables(connection).await?;
    if !tables.iter().any(|name| name == table) {
        return Ok(());
    }
    let select = AssertSqlSafe(format!("SELECT key, value FROM \"{table}\""));
    let old: Vec<(String, String)> = query_as(select).fetch_all(&mut *connection).await?;
    let mut rewritten = BTreeMap::new();
    for (key, value) in old {
        let parsed = serde_json::from_str(&value).map_err(BoxError::from);
        let rows = parsed.and_then(|row| rewrite(&key, row));
        for (key, row) in rows.map_err(|source| Unfit::Row { table, key, source })? {
            if rewritten.insert(key.clone(), row.to_string()).is_some() {
                return Err(Unfit::SameKey { table, key }.into());
            }
        }
    }
    let delete = AssertSqlSafe(format!("DELETE FROM \"{table}\""));
    query(delete).execute(&mut *connection).await?;
    let rows = rewritten
        .iter()
        .map(|(key, row)| (key.as_str(), row.as_str()));
    commit::put(connection, table, &rows.collect::<Vec<_>>()).await?;
    Ok(())
}
