//! Opening a file: everything that can be refused is refused before anything is written.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{AssertSqlSafe, ConnectOptions, query, query_as, query_scalar};
use tokio::io::AsyncReadExt;

use super::fault::open_error;
use super::{migrate, stream, transaction};
use crate::{Schema, StoreError};

pub(super) const STATE: &str = "state";
pub(super) const SCHEMA_VERSION: &str = "schema_version";
pub(super) const STORE_ID: &str = "store_id";
pub(super) const REVISION: &str = "revision";
pub(super) const COMMIT: &str = "commit";

/// The first bytes of every database, <https://sqlite.org/fileformat.html>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long to wait for another process, a backup say, to let go of the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// A write-ahead log that has grown larger in a burst is cut back to this size.
const LOG_SIZE_LIMIT_BYTES: u32 = 64 << 20;

/// Where the head of a log is kept in `meta`.
pub(super) fn head_key(log: &str) -> String {
    format!("head.{log}")
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .foreign_keys(true)
        .synchronous(SqliteSynchronous::Full)
        // Where a plain sync leaves data in the drive's cache (macOS).
        .pragma("fullfsync", "ON")
        .pragma("journal_size_limit", LOG_SIZE_LIMIT_BYTES.to_string())
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(512)
        .disable_statement_logging()
}

/// Looks at the file without SQLite, which takes a stranger's file for damaged, and deletes a write-ahead
/// log that has lost its database.
pub(super) async fn inspect(path: &Path) -> Result<(), StoreError> {
    let unreadable = |error: std::io::Error| StoreError::Unwritable {
        path: path.to_path_buf(),
        source: Arc::new(error),
    };
    let mut start = Vec::new();
    match tokio::fs::File::open(path).await {
        Ok(file) => {
            let mut file = file.take(MAGIC.len() as u64);
            file.read_to_end(&mut start).await.map_err(unreadable)?;
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(unreadable(error)),
    }
    if start.is_empty() {
        let log = beside(path, "-wal");
        return match tokio::fs::metadata(&log).await {
            Ok(metadata) if metadata.len() > 0 => Err(StoreError::OrphanLog {
                path: path.to_path_buf(),
                log,
            }),
            _ => Ok(()),
        };
    }
    if start != MAGIC {
        return Err(StoreError::NotADatabase {
            path: path.to_path_buf(),
        });
    }
    Ok(())
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    PathBuf::from(name)
}

pub(super) async fn connect(path: &Path) -> Result<SqliteConnection, StoreError> {
    let connected = options(path).connect().await;
    connected.map_err(|error| open_error(path, error))
}

/// Checks whose database it is, then brings it to the present schema.
pub(super) async fn prepare(
    connection: &mut SqliteConnection,
    path: &Path,
    schema: &Schema,
    store_id: &str,
) -> Result<(), StoreError> {
    let failed = |error| open_error(path, error);
    let is_new = tables(connection).await.map_err(failed)?.is_empty();
    let version = if is_new {
        schema.version()
    } else {
        check(connection, path, schema).await?
    };
    // Only now: it changes a file that was not in this mode.
    let mode: String = query_scalar("PRAGMA journal_mode = WAL")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if mode != "wal" {
        return Err(StoreError::Unwritable {
            path: path.to_path_buf(),
            source: Arc::new(NoWriteAheadLog),
        });
    }
    if version < schema.version() {
        migrate::migrate(connection, path, schema, version).await?;
    }
    create(connection, schema, store_id).await.map_err(failed)
}

#[derive(Debug, thiserror::Error)]
#[error("the file system does not support a write-ahead log (is it a network share?)")]
struct NoWriteAheadLog;

/// The schema version of a database that is one of ours.
async fn check(
    connection: &mut SqliteConnection,
    path: &Path,
    schema: &Schema,
) -> Result<u32, StoreError> {
    let not_ours = || StoreError::NotADatabase {
        path: path.to_path_buf(),
    };
    let failed = |error| open_error(path, error);
    let tables = tables(connection).await.map_err(failed)?;
    if !tables.iter().any(|name| name == "meta") {
        return Err(not_ours());
    }
    let meta = Meta::read(connection).await.map_err(failed)?;
    let found = meta.get(STATE).ok_or_else(not_ours)?;
    if found != schema.name {
        return Err(StoreError::WrongRole {
            path: path.to_path_buf(),
            found: found.to_owned(),
            expected: schema.name,
        });
    }
    let version = meta.number(SCHEMA_VERSION, path)?;
    let version = u32::try_from(version).unwrap_or(u32::MAX);
    if version > schema.version() {
        return Err(StoreError::NewerSchema {
            path: path.to_path_buf(),
            found: version,
            known: schema.version(),
        });
    }
    Ok(version)
}

/// Makes what is missing: everything in a new file, else tables, logs and streams that were added since. It takes the
/// write lock even if nothing is missing, so that a file that cannot be written is refused now.
async fn create(
    connection: &mut SqliteConnection,
    schema: &Schema,
    store_id: &str,
) -> sqlx::Result<()> {
    transaction::begin(connection).await?;
    let created = create_missing(connection, schema, store_id).await;
    transaction::finish(connection, created).await
}

async fn create_missing(
    connection: &mut SqliteConnection,
    schema: &Schema,
    store_id: &str,
) -> sqlx::Result<()> {
    let present = tables(connection).await?;
    let missing = |name: &str| !present.iter().any(|table| table == name);
    if missing("meta") {
        let keyed = "key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL";
        make(connection, &format!("meta ({keyed}) WITHOUT ROWID")).await?;
        for (key, value) in [
            (STATE, schema.name),
            (SCHEMA_VERSION, &schema.version().to_string()),
            (STORE_ID, store_id),
            (REVISION, "0"),
            (COMMIT, "0"),
        ] {
            let insert = query("INSERT INTO meta (key, value) VALUES (?, ?)");
            let insert = insert.bind(key).bind(value);
            insert.execute(&mut *connection).await?;
        }
    }
    for table in schema.tables.iter().filter(|name| missing(name)) {
        let keyed = "key TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL";
        make(connection, &format!("\"{table}\" ({keyed}) WITHOUT ROWID")).await?;
    }
    for log in schema.logs.iter().filter(|name| missing(name)) {
        let numbered = "seq INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL, value TEXT NOT NULL";
        make(connection, &format!("\"{log}\" ({numbered})")).await?;
    }
    for stream in schema.streams.iter().filter(|name| missing(name)) {
        make(connection, &stream::definition(stream)).await?;
    }
    Ok(())
}

async fn make(connection: &mut SqliteConnection, table: &str) -> sqlx::Result<()> {
    let sql = AssertSqlSafe(format!("CREATE TABLE {table}"));
    query(sql).execute(connection).await.map(drop)
}

/// The names of the tables in the file, without SQLite's own.
pub(super) async fn tables(connection: &mut SqliteConnection) -> sqlx::Result<Vec<String>> {
    query_scalar(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .fetch_all(connection)
    .await
}

/// What `meta` holds.
pub(super) struct Meta(BTreeMap<String, String>);

impl Meta {
    pub(super) async fn read(connection: &mut SqliteConnection) -> sqlx::Result<Self> {
        let rows: Vec<(String, String)> = query_as("SELECT key, value FROM meta")
            .fetch_all(connection)
            .await?;
        Ok(Self(rows.into_iter().collect()))
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// A counter that must be there.
    pub(super) fn number(&self, key: &str, path: &Path) -> Result<u64, StoreError> {
        let number = self.get(key).and_then(|text| text.parse().ok());
        number.ok_or_else(|| StoreError::Corrupt {
            path: path.to_path_buf(),
            source: Arc::new(NoCounter(key.to_owned())),
        })
    }

    /// A counter that is there once it has counted.
    pub(super) fn number_or_zero(&self, key: &str, path: &Path) -> Result<u64, StoreError> {
        self.get(key).map_or(Ok(0), |_| self.number(key, path))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("meta holds no number under {0}")]
struct NoCounter(String);
