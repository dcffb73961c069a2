//! Trouble that needs a hand on the writing connection.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use serde::{Deserialize, Serialize};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use super::Sqlite;
use crate::{Batch, CommitError, Durable, Row, Schema, StoreError, state};

#[derive(Serialize, Deserialize)]
struct Blob {
    id: u64,
}

impl Row for Blob {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }
}

state! {
    struct Blobs("blobs") { blobs: Blob }
    logs {}
}

async fn open() -> (TempDir, Sqlite) {
    let folder = TempDir::new().unwrap();
    let opened = Sqlite::open::<Blobs>(folder.path().join("blobs.db"), "st_blobs").await;
    (folder, opened.unwrap())
}

async fn pragma(disk: &Sqlite, pragma: &str) {
    let mut writer = disk.writer.lock().await;
    let sql = AssertSqlSafe(format!("PRAGMA {pragma}"));
    sqlx::raw_sql(sql)
        .execute(writer.as_mut().unwrap())
        .await
        .unwrap();
}

/// Commit number `commit`, of rows of this many bytes.
fn batch(commit: u64, rows: usize, bytes: usize) -> Batch {
    let mut batch = Batch {
        commit,
        ..Batch::default()
    };
    for n in 0..rows {
        batch.set("blobs", n.to_string(), Some("x".repeat(bytes)));
    }
    batch
}

/// Many rows in a statement: SQLite takes the statement back, and the transaction is left to us. One row in
/// a statement: SQLite ends the transaction by itself.
#[tokio::test]
async fn a_transaction_that_does_not_fit_leaves_nothing() {
    for (rows, bytes) in [(1000, 1000), (8, 200_000)] {
        let (_folder, disk) = open().await;
        disk.commit(&batch(1, 1, 1)).await.unwrap();
        pragma(&disk, "max_page_count = 30").await;
        for _ in 0..3 {
            let full = disk.commit(&batch(2, rows, bytes)).await;
            assert!(matches!(full, Err(CommitError::Full(_))), "{full:?}");
            assert_eq!(disk.load().await.unwrap().rows.len(), 1);
        }
        pragma(&disk, "max_page_count = 1000000").await;
        disk.commit(&batch(2, rows, bytes)).await.unwrap();
        assert_eq!(disk.load().await.unwrap().rows.len(), rows);
    }
}

#[tokio::test]
async fn a_new_table_that_does_not_fit_is_refused() {
    let (_folder, disk) = open().await;
    pragma(&disk, "max_page_count = 3").await;
    let grown = Schema {
        tables: &["blobs", "added_1", "added_2", "added_3"],
        ..disk.schema.clone()
    };
    let mut writer = disk.writer.lock().await;
    let writer = writer.as_mut().unwrap();
    let full = super::open::prepare(writer, &disk.path, &grown, "").await;
    assert!(matches!(full, Err(StoreError::DiskFull { .. })), "{full:?}");
    let tables = super::open::tables(writer).await.unwrap();
    assert_eq!(tables, ["meta", "blobs"]);
}

#[tokio::test]
async fn a_lock_held_by_another_process_is_waited_for_then_reported() {
    let (_folder, disk) = open().await;
    pragma(&disk, "busy_timeout = 10").await;
    let url = format!("sqlite://{}", disk.place());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let begin = sqlx::raw_sql("BEGIN IMMEDIATE");
    begin.execute(&mut other).await.unwrap();
    let busy = disk.commit(&batch(1, 1, 1)).await;
    assert!(matches!(busy, Err(CommitError::Busy(_))), "{busy:?}");
    let rollback = sqlx::raw_sql("ROLLBACK");
    rollback.execute(&mut other).await.unwrap();
    disk.commit(&batch(1, 1, 1)).await.unwrap();
}

#[tokio::test]
async fn a_commit_follows_the_one_before() {
    let (_folder, disk) = open().await;
    disk.commit(&batch(1, 1, 1)).await.unwrap();
    for wrong in [0, 1, 3] {
        let foreign = disk.commit(&batch(wrong, 2, 1)).await;
        assert!(
            matches!(foreign, Err(CommitError::Failed(_))),
            "{foreign:?}"
        );
    }
    assert_eq!(disk.load().await.unwrap().rows.len(), 1);
    disk.commit(&batch(2, 2, 1)).await.unwrap();
}

#[tokio::test]
async fn a_closed_database_is_closed() {
    let (_folder, disk) = open().await;
    disk.close().await;
    assert!(disk.load().await.is_err());
    assert!(matches!(
        disk.commit(&batch(1, 1, 1)).await,
        Err(CommitError::Failed(_))
    ));
    disk.close().await;
}
