//! The SQLite file: what is refused, that a refused file is left alone, and real trouble with the disk.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use fleet_store::sqlite::Sqlite;
use fleet_store::{Options, Row, Store, StoreError, WriteError, state};
use serde::{Deserialize, Serialize};
use sqlx::{Connection, SqliteConnection};
use tempfile::TempDir;

use crate::media::{Event, Item, Media, Note, OnDisk, TestState, event, item, note, write};

async fn open(path: &Path) -> Result<Store<TestState>, StoreError> {
    let opened = Sqlite::open::<TestState>(path, "st_sqlite").await?;
    Store::open(std::sync::Arc::new(opened), Options::default()).await
}

/// Opening is refused, every file is as before, and the message names the one.
async fn refused(path: &Path) -> StoreError {
    let before = contents(path);
    let Err(error) = open(path).await else {
        panic!("{} was opened", path.display());
    };
    assert!(contents(path) == before, "{error}: the folder has changed");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
    error
}

/// What a folder holds. SQLite may leave an empty log and its index behind, which mean nothing, or may just
/// be about to remove them.
fn contents(path: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let listed = std::fs::read_dir(path.parent().unwrap()).unwrap();
    listed
        .map(|entry| entry.unwrap())
        .filter_map(|entry| Some((entry.file_name(), std::fs::read(entry.path()).ok()?)))
        .filter(|(name, bytes)| name == "test.db" || !(bytes.is_empty() || name == "test.db-shm"))
        .collect()
}

async fn sql(path: &Path, sql: &'static str) {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    let mut connection = SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[derive(Serialize, Deserialize)]
struct Other {
    id: u64,
}

impl Row for Other {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }
}

state! {
    struct OtherRole("other") { others: Other }
    logs {}
}

#[tokio::test]
async fn another_roles_file_is_refused() {
    let disk = OnDisk::new();
    let other = Sqlite::open::<OtherRole>(disk.path(), "st_other")
        .await
        .unwrap();
    let other = Store::<OtherRole>::open(std::sync::Arc::new(other), Options::default()).await;
    other.unwrap().close().await;
    let error = refused(&disk.path()).await;
    assert!(
        matches!(error, StoreError::WrongRole { ref found, expected: "test", .. } if found == "other")
    );
}

#[tokio::test]
async fn what_is_not_a_database_is_refused() {
    let disk = OnDisk::new();
    for text in [
        "x",
        "not a database",
        "SQLite format 2, and more than sixteen bytes of it",
    ] {
        std::fs::write(disk.path(), text).unwrap();
        let error = refused(&disk.path()).await;
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_strangers_database_is_refused() {
    for schema in [
        "CREATE TABLE songs (title TEXT)",
        "CREATE TABLE meta (key TEXT, value TEXT)",
    ] {
        let disk = OnDisk::new();
        sql(&disk.path(), schema).await;
        let error = refused(&disk.path()).await;
        assert!(matches!(error, StoreError::NotADatabase { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_empty_file_is_a_new_database() {
    let disk = OnDisk::new();
    std::fs::write(disk.path(), "").unwrap();
    let store = open(&disk.path()).await.unwrap();
    write(&store, |tx| tx.put(note(1, "new"))).await.unwrap();
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    const PAGE: usize = 4096;
    let disk = OnDisk::new();
    let store = disk.store().await;
    write(&store, |tx| {
        for n in 0..2000 {
            tx.put(item("node", &n.to_string(), n));
        }
    })
    .await
    .unwrap();
    store.close().await;
    let good = std::fs::read(disk.path()).unwrap();
    assert!(good.len() > 10 * PAGE);

    // Where the tables are listed, and where the rows are.
    for damaged in [100..PAGE, 5 * PAGE..good.len()] {
        let mut bad = good.clone();
        bad[damaged.clone()].fill(0xa5);
        std::fs::write(disk.path(), &bad).unwrap();
        let error = refused(&disk.path()).await;
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{damaged:?}: {error:?}"
        );
    }
    std::fs::write(disk.path(), &good[..3 * PAGE]).unwrap();
    let error = refused(&disk.path()).await;
    assert!(
        matches!(error, StoreError::Corrupt { .. }),
        "cut off: {error:?}"
    );

    std::fs::write(disk.path(), &good).unwrap();
    assert_eq!(
        open(&disk.path())
            .await
            .unwrap()
            .snapshot()
            .state
            .items
            .len(),
        2000
    );
}

#[tokio::test]
async fn rows_that_do_not_fit_are_refused() {
    for change in [
        "INSERT INTO notes VALUES ('1', '{\"id\": 1')",
        "INSERT INTO notes VALUES ('1', '{\"id\": 1}')",
        "INSERT INTO notes VALUES ('2', '{\"id\": 1, \"text\": \"elsewhere\"}')",
    ] {
        let disk = OnDisk::new();
        disk.store().await.close().await;
        sql(&disk.path(), change).await;
        let error = refused(&disk.path()).await;
        assert!(matches!(error, StoreError::Unreadable { .. }), "{error:?}");
    }
    let disk = OnDisk::new();
    disk.store().await.close().await;
    sql(&disk.path(), "DELETE FROM meta WHERE key = 'commit'").await;
    let error = refused(&disk.path()).await;
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
}

#[tokio::test]
async fn a_log_that_lost_its_database_is_not_deleted() {
    let mut disk = OnDisk::new();
    let store = disk.store().await;
    write(&store, |tx| tx.put(note(1, "in the log")))
        .await
        .unwrap();
    disk.crash();
    let kept = std::fs::read(disk.path()).unwrap();
    std::fs::remove_file(disk.path()).unwrap();
    assert!(matches!(
        refused(&disk.path()).await,
        StoreError::OrphanLog { .. }
    ));
    std::fs::write(disk.path(), "").unwrap();
    assert!(matches!(
        refused(&disk.path()).await,
        StoreError::OrphanLog { .. }
    ));
    std::fs::write(disk.path(), kept).unwrap();
    assert_eq!(
        open(&disk.path())
            .await
            .unwrap()
            .snapshot()
            .state
            .notes
            .len(),
        1
    );
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_refused() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    for path in [
        folder.path().join("missing/test.db"),
        file.join("test.db"),
        folder.path().to_owned(),
    ] {
        let Err(error) = open(&path).await else {
            panic!("{} was opened", path.display());
        };
        assert!(matches!(error, StoreError::Unwritable { .. }), "{error:?}");
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
}

state! {
    struct Grown("test") { items: Item, notes: Note, others: Other }
    logs { events: Event }
}

#[tokio::test]
async fn an_added_table_is_made() {
    let disk = OnDisk::new();
    let store = disk.store().await;
    write(&store, |tx| tx.put(note(1, "old"))).await.unwrap();
    store.close().await;
    let grown = Sqlite::open::<Grown>(disk.path(), "st_ignored")
        .await
        .unwrap();
    let grown = Store::<Grown>::open(std::sync::Arc::new(grown), Options::default())
        .await
        .unwrap();
    let put = grown.write::<_, ()>(|tx| {
        tx.put(Other { id: 1 });
        Ok(tx.state().notes.len())
    });
    assert_eq!(put.await.unwrap(), 1);
    grown.close().await;
    assert_eq!(open(&disk.path()).await.unwrap().id(), "st_test");
}

#[tokio::test]
async fn a_second_writer_is_found_out() {
    let disk = OnDisk::new();
    let first = disk.store().await;
    write(&first, |tx| tx.put(note(1, "first"))).await.unwrap();
    let second = disk.store().await;
    assert_eq!(second.snapshot().state.notes.len(), 1);
    write(&second, |tx| {
        tx.put(note(2, "second"));
        tx.append(1, event("second"));
    })
    .await
    .unwrap();
    // Readers of a store see what its snapshot has, whatever else is in the file.
    assert!(first.read_log::<Event>(0, 1).await.unwrap().is_empty());
    assert_eq!(second.read_log::<Event>(0, 1).await.unwrap().len(), 1);
    let failed = write(&first, |tx| tx.put(note(2, "first"))).await;
    assert!(matches!(failed, Err(WriteError::Failed(_))));
    write(&second, |tx| tx.put(note(3, "second")))
        .await
        .unwrap();
    first.close().await;
    second.close().await;
    let notes = disk.store().await.snapshot();
    let texts: Vec<_> = notes.state.notes.values().map(|row| &*row.text).collect();
    assert_eq!(texts, ["first", "second", "second"]);
}

#[tokio::test]
async fn ten_thousand_rows_are_one_commit() {
    let disk = OnDisk::new();
    let (store, probe) = disk.probed().await;
    for round in 0..2 {
        write(&store, move |tx| {
            for n in 0..10_000 {
                tx.put(item("node", &n.to_string(), n + round));
            }
            for n in 0..1_000 {
                tx.append(n, event("many"));
            }
        })
        .await
        .unwrap();
    }
    assert_eq!(probe.commits(), 2);
    write(&store, |tx| {
        for n in 0..9_999 {
            tx.delete::<Item>(&crate::media::key("node", &n.to_string()));
        }
    })
    .await
    .unwrap();
    store.close().await;
    let store = disk.store().await;
    let rows: Vec<_> = store.snapshot().state.items.values().cloned().collect();
    assert_eq!(*rows[0], item("node", "9999", 10_000));
    assert_eq!(rows.len(), 1);
    assert_eq!(
        store.read_log::<Event>(0, usize::MAX).await.unwrap().len(),
        2_000
    );
}

#[tokio::test]
async fn a_file_that_was_removed_or_replaced_takes_nothing_more() {
    for replaced in [false, true] {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("test.db");
        let store = open(&path).await.unwrap();
        write(&store, |tx| tx.put(note(1, "kept"))).await.unwrap();
        std::fs::remove_file(&path).unwrap();
        if replaced {
            std::fs::write(&path, "another").unwrap();
        }
        let refused = write(&store, |tx| tx.put(note(2, "lost"))).await;
        assert!(matches!(refused, Err(WriteError::Failed(_))), "{refused:?}");
        let cause = store.failed().await.to_string();
        assert!(cause.contains("removed or replaced"), "{cause}");
    }
}
