//! The store on a disk: one SQLite file.
//!
//! Each table is an SQL table `(key, value)` with JSON in both, each log one of `(seq, at_ms, value)`,
//! each stream one of `(key, seq, at_ms, value)`, and `meta` holds the role, the schema version, the store's id and the counters. So the `sqlite3` command can
//! read all of it.
//!
//! The journal is a write-ahead log, and every commit is synced (`synchronous = FULL`). One connection
//! writes; a few others read logs and streams beside it. [`Store`](crate::Store) holds the tables in memory, so nothing
//! else is read after the start.
//!
//! Two processes must not write one file; whoever starts the host locks its folder. If it happens all the
//! same, no data is mixed up: each commit names the number of the one before, and the one who finds another
//! number on disk has failed.

mod commit;
mod fault;
mod migrate;
mod open;
mod stream;
#[cfg(test)]
mod tests;
mod transaction;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, Connection};
use tokio::sync::Mutex;

use crate::{
    Batch, CommitError, Durable, Image, LogEntry, LogRange, Schema, State, StoreError, StoredRow,
    StreamRange,
};
use open::Meta;

/// Connections that read logs and streams, at most.
const READERS: u32 = 4;
/// Rows that a reading connection fetches ahead of who takes them: so many entries are in memory for a moment
/// beyond the bytes of a page.
const ROWS_AHEAD: usize = 8;

/// An SQLite database, open.
pub struct Sqlite {
    path: PathBuf,
    /// What stood at the path when it was opened.
    identity: (u64, u64),
    schema: Schema,
    /// Gone after [`Durable::close`].
    writer: Mutex<Option<SqliteConnection>>,
    readers: SqlitePool,
}

impl Sqlite {
    /// Opens the database of a state, brings an older schema up to date, or makes a new database. Its folder
    /// must exist. `store_id` is the id of a new one; an existing one keeps its own.
    ///
    /// # Errors
    /// The file is refused if it is something else, another role's, newer than this build, damaged, or cannot
    /// be written. A refused file is left as it is.
    pub async fn open<S: State>(
        path: impl AsRef<Path>,
        store_id: &str,
    ) -> Result<Self, StoreError> {
        let path = path.as_ref().to_path_buf();
        let schema = Schema::of::<S>()?;
        open::inspect(&path).await?;
        let mut writer = open::connect(&path).await?;
        if let Err(error) = open::prepare(&mut writer, &path, &schema, store_id).await {
            let _ = writer.close().await;
            return Err(error);
        }
        let identity = identity(&path).map_err(|error| StoreError::Unwritable {
            path: path.clone(),
            source: std::sync::Arc::new(error),
        })?;
        let reading = open::options(&path)
            .create_if_missing(false)
            .row_buffer_size(ROWS_AHEAD)
            .pragma("query_only", "ON");
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .connect_lazy_with(reading);
        Ok(Self {
            path,
            identity,
            schema,
            writer: Mutex::new(Some(writer)),
            readers,
        })
    }

    /// A file that was removed or replaced takes writes as before, and nobody will ever read them: what
    /// went into it is not acknowledged.
    fn still_there(&self) -> Result<(), CommitError> {
        match identity(&self.path) {
            Ok(found) if found == self.identity => Ok(()),
            _ => Err(fault::Fault::Removed.into()),
        }
    }

    async fn read_all(&self, connection: &mut SqliteConnection) -> Result<Image, StoreError> {
        let failed = |error| fault::open_error(&self.path, error);
        let meta = Meta::read(connection).await.map_err(failed)?;
        let mut image = Image {
            id: meta.get(open::STORE_ID).unwrap_or_default().to_owned(),
            commit: meta.number(open::COMMIT, &self.path)?,
            revision: meta.number(open::REVISION, &self.path)?,
            ..Image::default()
        };
        for log in self.schema.logs {
            let head = meta.number_or_zero(&open::head_key(log), &self.path)?;
            image.heads.insert((*log).to_owned(), head);
        }
        for table in self.schema.tables {
            let sql = AssertSqlSafe(format!("SELECT key, value FROM \"{table}\""));
            let rows: Vec<(String, String)> = sqlx::query_as(sql)
                .fetch_all(&mut *connection)
                .await
                .map_err(failed)?;
            image
                .rows
                .extend(rows.into_iter().map(|(key, value)| StoredRow {
                    table: (*table).to_owned(),
                    key,
                    value,
                }));
        }
        Ok(image)
    }
}

/// Device and inode of a file: another one in its place has others.
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// SQLite's numbers are signed; those we count never come near the end.
fn bounded(number: impl TryInto<i64>) -> i64 {
    number.try_into().unwrap_or(i64::MAX)
}

#[async_trait]
impl Durable for Sqlite {
    fn schema(&self) -> &Schema {
        &self.schema
    }

    fn place(&self) -> String {
        self.path.display().to_string()
    }

    async fn load(&self) -> Result<Image, StoreError> {
        let mut writer = self.writer.lock().await;
        let connection = writer.as_mut().ok_or(StoreError::Closed)?;
        let failed = |error| fault::open_error(&self.path, error);
        // One read transaction, so that all of it is of one commit.
        transaction::begin_reading(connection)
            .await
            .map_err(failed)?;
        let image = self.read_all(connection).await;
        transaction::end_reading(connection).await.map_err(failed)?;
        image
    }

    async fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        match self.writer.lock().await.as_mut() {
            Some(connection) => {
                commit::commit(connection, batch).await?;
                self.still_there()
            }
            None => Err(CommitError::Failed(std::sync::Arc::new(StoreError::Closed))),
        }
    }

    async fn read_log(
        &self,
        log: &'static str,
        range: LogRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let sql = AssertSqlSafe(format!(
            "SELECT seq, at_ms, value FROM \"{log}\" \
             WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?"
        ));
        let rows: Vec<(i64, i64, String)> = sqlx::query_as(sql)
            .bind(bounded(range.after))
            .bind(bounded(range.through))
            .bind(bounded(range.limit))
            .fetch_all(&self.readers)
            .await
            .map_err(|error| fault::open_error(&self.path, error))?;
        let entries = rows.into_iter().map(|(seq, at_ms, value)| LogEntry {
            seq: seq.cast_unsigned(),
            at_ms: at_ms.cast_unsigned(),
            value,
        });
        Ok(entries.collect())
    }

    async fn read_stream(
        &self,
        stream: &'static str,
        key: &str,
        range: StreamRange,
    ) -> Result<Vec<LogEntry>, StoreError> {
        let read = stream::read(&self.readers, stream, key, range).await;
        read.map_err(|error| fault::open_error(&self.path, error))
    }

    async fn close(&self) {
        self.readers.close().await;
        if let Some(mut connection) = self.writer.lock().await.take() {
            // Closing does a checkpoint as well, but without saying why it could not.
            let checkpoint = sqlx::raw_sql("PRAGMA wal_checkpoint(TRUNCATE)");
            let tidied = checkpoint.execute(&mut connection).await;
            let closed = connection.close().await;
            if let Err(error) = tidied.map(drop).and(closed) {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "the database was not tidied up; nothing is lost");
            }
        }
    }
}
