//! Streams in SQLite: one table each, in the order of key and number.
//!
//! So the entries of one key lie together, and a page of them is one walk from where it begins.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use sqlx::sqlite::{SqliteConnection, SqlitePool};
use sqlx::{AssertSqlSafe, query, query_as};

use super::bounded;
use super::commit::{list, pieces};
use crate::stream::Page;
use crate::{LogEntry, StreamChange, StreamRange};

/// The table of a stream, as SQL.
pub(super) fn definition(stream: &str) -> String {
    format!(
        "\"{stream}\" (key TEXT NOT NULL, seq INTEGER NOT NULL, at_ms INTEGER NOT NULL, \
         value TEXT NOT NULL, PRIMARY KEY (key, seq)) WITHOUT ROWID"
    )
}

/// Writes the changes of one stream by key: deletes, then inserts.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    stream: &str,
    keys: &BTreeMap<String, StreamChange>,
) -> sqlx::Result<()> {
    let trims = keys
        .iter()
        .filter_map(|(key, change)| Some((key, change.through?)));
    for (key, through) in trims {
        let sql = AssertSqlSafe(format!(
            "DELETE FROM \"{stream}\" WHERE key = ? AND seq <= ?"
        ));
        let delete = query(sql).bind(key.as_str()).bind(bounded(through));
        delete.execute(&mut *connection).await?;
    }
    let entries = keys
        .iter()
        .flat_map(|(key, change)| change.entries.values().map(move |entry| (key, entry)));
    for piece in pieces(&entries.collect::<Vec<_>>()) {
        let values = list("(?, ?, ?, ?)", piece.len());
        let mut insert = query(AssertSqlSafe(format!(
            "INSERT INTO \"{stream}\" (key, seq, at_ms, value) VALUES {values} \
             ON CONFLICT (key, seq) DO NOTHING"
        )));
        for (key, entry) in piece {
            insert = insert
                .bind(key.as_str())
                .bind(entry.seq.cast_signed())
                .bind(entry.at_ms.cast_signed())
                .bind(entry.value.as_str());
        }
        insert.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Takes row after row until the page is full, so that no more than it is ever in memory.
pub(super) async fn read(
    readers: &SqlitePool,
    stream: &str,
    key: &str,
    range: StreamRange,
) -> sqlx::Result<Vec<LogEntry>> {
    let sql = AssertSqlSafe(format!(
        "SELECT seq, at_ms, value FROM \"{stream}\" \
         WHERE key = ? AND seq > ? ORDER BY seq LIMIT ?"
    ));
    let mut rows = query_as::<_, (i64, i64, String)>(sql)
        .bind(key)
        .bind(bounded(range.after))
        .bind(bounded(range.limit))
        .fetch(readers);
    let mut page = Page::new(range.max_bytes);
    while let Some((seq, at_ms, value)) = rows.try_next().await? {
        let entry = LogEntry {
            seq: seq.cast_unsigned(),
            at_ms: at_ms.cast_unsigned(),
            value,
        };
        if page.add(entry).is_break() {
            break;
        }
    }
    Ok(page.into_entries())
}
