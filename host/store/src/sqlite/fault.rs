//! What an error of SQLite means for us.

use std::path::Path;
use std::sync::Arc;

use crate::{Cause, CommitError, StoreError};

/// Primary result codes, <https://sqlite.org/rescode.html>.
const BUSY: i32 = 5;
const READONLY: i32 = 8;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// Extended: the index beside the write-ahead log could not be made larger, for want of space. A commit may
/// have reached the log by then, so there it is no [`FULL`].
const IOERR_SHMSIZE: i32 = 10 | (19 << 8);

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The database said no.
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    /// The newest commit on disk is not the one this process wrote or read.
    #[error("another process has written to the database")]
    Foreign,
    /// The file is not there any more, or another one is in its place.
    #[error("the database file was removed or replaced under the running host")]
    Removed,
}

impl From<Fault> for CommitError {
    fn from(fault: Fault) -> Self {
        let code = match &fault {
            Fault::Sql(error) => primary_code(error),
            Fault::Foreign | Fault::Removed => None,
        };
        let cause: Cause = Arc::new(fault);
        match code {
            Some(FULL) => Self::Full(cause),
            Some(BUSY) => Self::Busy(cause),
            _ => Self::Failed(cause),
        }
    }
}

/// The refusal that an error leads to while a database is opened or read.
pub(super) fn open_error(path: &Path, error: sqlx::Error) -> StoreError {
    let path = path.to_path_buf();
    let code = primary_code(&error);
    let has_no_room = code == Some(FULL) || extended_code(&error) == Some(IOERR_SHMSIZE);
    if matches!(error, sqlx::Error::PoolClosed) {
        return StoreError::Closed;
    }
    let source: Cause = Arc::new(error);
    match code {
        _ if has_no_room => StoreError::DiskFull { path, source },
        Some(BUSY) => StoreError::Busy { path, source },
        Some(READONLY | CANTOPEN) => StoreError::Unwritable { path, source },
        Some(CORRUPT) => StoreError::Corrupt { path, source },
        Some(NOTADB) => StoreError::NotADatabase { path },
        _ => StoreError::Database { path, source },
    }
}

/// The low byte of the extended code.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    Some(extended_code(error)? & 0xff)
}

/// What SQLite reports.
fn extended_code(error: &sqlx::Error) -> Option<i32> {
    error.as_database_error()?.code()?.parse().ok()
}
