//! Transactions by hand.
//!
//! SQLite ends a transaction by itself when it meets certain errors, a full disk among them. A wrapper that
//! counts transactions does not notice and calls the next one nested; so begin, commit and rollback are plain
//! statements here.

use sqlx::sqlite::SqliteConnection;

/// Takes the write lock, or fails.
pub(super) async fn begin(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    run(connection, "BEGIN IMMEDIATE").await
}

/// Commits and syncs.
pub(super) async fn commit(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    run(connection, "COMMIT").await
}

/// Commits what was done, or undoes it.
pub(super) async fn finish<E: From<sqlx::Error>>(
    connection: &mut SqliteConnection,
    done: Result<(), E>,
) -> Result<(), E> {
    let outcome = match done {
        Ok(()) => commit(connection).await.map_err(E::from),
        Err(error) => Err(error),
    };
    if outcome.is_err() {
        roll_back(connection).await;
    }
    outcome
}

/// Undoes what was not committed. `false` if it is not certain that nothing is left of it.
pub(super) async fn roll_back(connection: &mut SqliteConnection) -> bool {
    if run(connection, "ROLLBACK").await.is_ok() {
        return true;
    }
    // Fails also when SQLite has rolled back already: then a new transaction can begin, else it cannot.
    begin(connection).await.is_ok() && run(connection, "ROLLBACK").await.is_ok()
}

pub(super) async fn begin_reading(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    run(connection, "BEGIN").await
}

pub(super) async fn end_reading(connection: &mut SqliteConnection) -> sqlx::Result<()> {
    run(connection, "ROLLBACK").await
}

async fn run(connection: &mut SqliteConnection, sql: &'static str) -> sqlx::Result<()> {
    sqlx::query(sql).execute(connection).await.map(drop)
}
