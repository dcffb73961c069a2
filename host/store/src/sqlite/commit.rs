//! Writing one batch.

use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, query};

use super::fault::Fault;
use super::{open, stream, transaction};
use crate::{Batch, CommitError, LogEntry};

/// Rows per statement, largest first. Few sizes, so that every statement is prepared once and kept.
const SIZES: [usize; 3] = [128, 16, 1];

/// Writes the whole batch in one synced transaction, or nothing of it.
///
/// A full disk or a held lock is a definite no as soon as the rollback has gone through: a transaction is in
/// the write-ahead log only when its last frame is there, whole, and that is the one that did not fit.
pub(super) async fn commit(
    connection: &mut SqliteConnection,
    batch: &Batch,
) -> Result<(), CommitError> {
    transaction::begin(connection).await.map_err(Fault::from)?;
    let written = match write(connection, batch).await {
        Ok(()) => transaction::commit(connection).await.map_err(Fault::from),
        Err(fault) => Err(fault),
    };
    let Err(fault) = written else {
        return Ok(());
    };
    if transaction::roll_back(connection).await {
        Err(fault.into())
    } else {
        Err(CommitError::Failed(std::sync::Arc::new(fault)))
    }
}

async fn write(connection: &mut SqliteConnection, batch: &Batch) -> Result<(), Fault> {
    follow(connection, batch.commit).await?;
    if let Some(revision) = batch.revision {
        set_meta(connection, open::REVISION, revision).await?;
    }
    for (table, rows) in &batch.rows {
        let changed = rows
            .iter()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_deref()?)));
        put(connection, table, &changed.collect::<Vec<_>>()).await?;
        let gone = rows.iter().filter(|(_, value)| value.is_none());
        let gone = gone.map(|(key, _)| key.as_str()).collect::<Vec<_>>();
        delete(connection, table, &gone).await?;
    }
    for (log, entries) in &batch.entries {
        append(connection, log, entries).await?;
        if let Some(newest) = entries.last() {
            set_meta(connection, &open::head_key(log), newest.seq).await?;
        }
    }
    for (log, through) in &batch.trims {
        let sql = AssertSqlSafe(format!("DELETE FROM \"{log}\" WHERE seq <= ?"));
        let trim = query(sql).bind(through.cast_signed());
        trim.execute(&mut *connection).await?;
    }
    for (stream, keys) in &batch.streams {
        stream::write(connection, stream, keys).await?;
    }
    Ok(())
}

/// Counts the commit, if the one before is the newest on disk.
async fn follow(connection: &mut SqliteConnection, commit: u64) -> Result<(), Fault> {
    let counted = query("UPDATE meta SET value = ? WHERE key = ? AND value = ?")
        .bind(commit.to_string())
        .bind(open::COMMIT)
        .bind(commit.saturating_sub(1).to_string())
        .execute(connection)
        .await?;
    match counted.rows_affected() {
        1 => Ok(()),
        _ => Err(Fault::Foreign),
    }
}

async fn set_meta(connection: &mut SqliteConnection, key: &str, value: u64) -> sqlx::Result<()> {
    query(
        "INSERT INTO meta (key, value) VALUES (?, ?) \
         ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    )
    .bind(key)
    .bind(value.to_string())
    .execute(connection)
    .await
    .map(drop)
}

/// Writes rows, over those with the same keys.
pub(super) async fn put(
    connection: &mut SqliteConnection,
    table: &str,
    rows: &[(&str, &str)],
) -> sqlx::Result<()> {
    for piece in pieces(rows) {
        let values = list("(?, ?)", piece.len());
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO \"{table}\" (key, value) VALUES {values} \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )));
        for (key, value) in piece {
            insert = insert.bind(*key).bind(*value);
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn delete(connection: &mut SqliteConnection, table: &str, keys: &[&str]) -> sqlx::Result<()> {
    for piece in pieces(keys) {
        let values = list("?", piece.len());
        let mut delete = query(AssertSqlSafe(format!(
            "DELETE FROM \"{table}\" WHERE key IN ({values})"
        )));
        for key in piece {
            delete = delete.bind(*key);
        }
        delete.execute(&mut *connection).await?;
    }
    Ok(())
}

async fn append(
    connection: &mut SqliteConnection,
    log: &str,
    entries: &[LogEntry],
) -> sqlx::Result<()> {
    for piece in pieces(entries) {
        let values = list("(?, ?, ?)", piece.len());
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO \"{log}\" (seq, at_ms, value) VALUES {values}"
        )));
        for entry in piece {
            insert = insert
                .bind(entry.seq.cast_signed())
                .bind(entry.at_ms.cast_signed())
                .bind(entry.value.as_str());
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Cuts a list into pieces of the sizes that statements are kept for.
pub(super) fn pieces<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let (piece, left) = SIZES
            .into_iter()
            .find_map(|size| rest.split_at_checked(size))?;
        rest = left;
        Some(piece)
    })
}

/// The same item so many times.
pub(super) fn list(item: &str, times: usize) -> String {
    vec![item; times].join(", ")
}
