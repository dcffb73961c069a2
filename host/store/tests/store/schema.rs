//! Databases of released schemas, and the way from one to the next.

use std::path::Path;
use std::sync::Arc;

use fleet_store::sqlite::Sqlite;
use fleet_store::{BoxError, Migration, Options, Row, Step, Store, StoreError, state};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sqlx::{Connection, SqliteConnection};

use crate::media::{
    Audit, Event, Item, Media, Note, OnDisk, Packet, TestState, Trace, event, item, key, packet,
    write,
};

/// Schema version 1, as released. Never edited: a new version gets a fixture of its own.
const VERSION_1: &str = include_str!("../../fixtures/test-v1.sql");
/// The same version with what was added to it.
const VERSION_1_STREAMS: &str = include_str!("../../fixtures/test-v1-streams.sql");

async fn connect(path: &Path) -> SqliteConnection {
    let url = format!("sqlite://{}?mode=rwc", path.display());
    SqliteConnection::connect(&url).await.unwrap()
}

async fn fixture() -> OnDisk {
    filled(VERSION_1).await
}

async fn filled(dump: &'static str) -> OnDisk {
    let disk = OnDisk::new();
    let mut connection = connect(&disk.path()).await;
    sqlx::raw_sql(dump).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    disk
}

async fn tables(disk: &OnDisk) -> Vec<(String, String)> {
    let mut connection = connect(&disk.path()).await;
    let tables = sqlx::query_as("SELECT name, sql FROM sqlite_master ORDER BY name");
    let tables = tables.fetch_all(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    tables
}

async fn meta(disk: &OnDisk, key: &str) -> Option<String> {
    let mut connection = connect(&disk.path()).await;
    let value = sqlx::query_scalar("SELECT value FROM meta WHERE key = ?").bind(key);
    let value = value.fetch_optional(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    value
}

#[tokio::test]
async fn version_1_opens() {
    let disk = fixture().await;
    let store = disk.store().await;
    assert_eq!(store.id(), "st_fixture");
    let snapshot = store.snapshot();
    assert_eq!((snapshot.commit, snapshot.revision), (3, 2));
    let items: Vec<_> = snapshot
        .state
        .items
        .values()
        .map(|row| (**row).clone())
        .collect();
    assert_eq!(items, [item("a", "db", 2), item("a", "it's \"web\"", 1)]);
    assert_eq!(snapshot.state.notes.get(&7).unwrap().text, "seven");
    assert_eq!(snapshot.log_head::<Event>(), 4);
    assert_eq!(snapshot.log_head::<Audit>(), 0);
    let events = store.read_log::<Event>(0, 10).await.unwrap();
    assert_eq!(
        events,
        [
            (3, 1_700_000_000_003, event("third")),
            (4, 1_700_000_000_004, event("fourth"))
        ]
    );
}

#[tokio::test]
async fn a_new_database_has_the_released_schema() {
    let new = OnDisk::new();
    new.store().await.close().await;
    let released = filled(VERSION_1_STREAMS).await;
    assert_eq!(tables(&new).await, tables(&released).await);
    assert_eq!(meta(&new, "schema_version").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn streams_open() {
    let disk = filled(VERSION_1_STREAMS).await;
    let store = disk.store().await;
    let packets = store.read_stream::<Packet>("web", 0, 9, 999).await.unwrap();
    let expected = [
        (3, 1_700_000_000_003, packet("three")),
        (7, 1_700_000_000_007, packet("seven")),
    ];
    assert_eq!(packets, expected);
    let key = ("web".to_owned(), 2);
    let traces = store.read_stream::<Trace>(&key, 0, 9, 999).await.unwrap();
    assert_eq!(traces, [(1, 1_700_000_000_001, Trace(9))]);
}

#[tokio::test]
async fn streams_are_added_to_a_database_without_them() {
    let disk = fixture().await;
    for seq in 1..=2 {
        let store = disk.store().await;
        let append = write(&store, move |tx| {
            tx.stream_append("web", seq, 1, packet("new"));
        });
        append.await.unwrap();
        let packets = store.read_stream::<Packet>("web", 0, 9, 999).await.unwrap();
        assert_eq!(packets.last(), Some(&(seq, 1, packet("new"))));
        assert_eq!(store.snapshot().state.items.len(), 2);
        store.close().await;
    }
    let released = filled(VERSION_1_STREAMS).await;
    assert_eq!(tables(&disk).await, tables(&released).await);
    assert_eq!(meta(&disk, "schema_version").await.as_deref(), Some("1"));
}

/// Version 2 and 3 of [`Note`]: the text becomes a list of lines, then the empty ones go.
#[derive(Debug, Serialize, Deserialize)]
struct Lines {
    id: u64,
    lines: Vec<String>,
}

impl Row for Lines {
    type Key = u64;

    fn key(&self) -> u64 {
        self.id
    }
}

fn into_lines(key: &str, row: Value) -> Result<Vec<(String, Value)>, BoxError> {
    let text = row.get("text").and_then(Value::as_str).ok_or("no text")?;
    let row = json!({ "id": row.get("id"), "lines": [text] });
    Ok(vec![(key.to_owned(), row)])
}

fn without_items_called_db(key: &str, row: Value) -> Result<Vec<(String, Value)>, BoxError> {
    let gone = row.get("name").and_then(Value::as_str) == Some("db");
    Ok(if gone {
        vec![]
    } else {
        vec![(key.to_owned(), row)]
    })
}

const TO_2: Migration = Migration {
    to: 2,
    name: "notes have lines",
    steps: &[
        Step::Rows {
            table: "notes",
            rewrite: into_lines,
        },
        Step::Sql("ALTER TABLE notes RENAME TO lines"),
    ],
};

const TO_3: Migration = Migration {
    to: 3,
    name: "old things go",
    steps: &[
        Step::Rows {
            table: "items",
            rewrite: without_items_called_db,
        },
        Step::Rows {
            table: "not_there_yet",
            rewrite: into_lines,
        },
        Step::Sql("DELETE FROM events WHERE seq < 4; DROP TABLE audits"),
    ],
};

state! {
    struct Third("test") { items: Item, lines: Lines }
    logs { events: Event }
    migrations &[TO_2, TO_3]
}

async fn third(disk: &OnDisk) -> Result<Store<Third>, StoreError> {
    let opened = Sqlite::open::<Third>(disk.path(), "st_ignored").await?;
    Store::open(Arc::new(opened), Options::default()).await
}

#[tokio::test]
async fn an_old_database_is_brought_up_to_date() {
    let disk = fixture().await;
    for _ in 0..2 {
        let store = third(&disk).await.unwrap();
        let snapshot = store.snapshot();
        assert_eq!(
            (store.id(), snapshot.commit, snapshot.revision),
            ("st_fixture", 3, 2)
        );
        assert_eq!(snapshot.state.lines.get(&7).unwrap().lines, ["seven"]);
        assert!(!snapshot.state.items.contains(&key("a", "db")));
        assert_eq!(snapshot.state.items.len(), 1);
        assert_eq!(snapshot.log_head::<Event>(), 4);
        assert_eq!(store.read_log::<Event>(0, 10).await.unwrap().len(), 1);
        store.close().await;
        assert_eq!(meta(&disk, "schema_version").await.as_deref(), Some("3"));
        assert_eq!(
            meta(&disk, "migration.2").await.as_deref(),
            Some("notes have lines")
        );
        assert_eq!(
            meta(&disk, "migration.3").await.as_deref(),
            Some("old things go")
        );
    }
}

#[tokio::test]
async fn a_newer_database_is_refused() {
    let disk = OnDisk::new();
    third(&disk).await.unwrap().close().await;
    assert_eq!(meta(&disk, "schema_version").await.as_deref(), Some("3"));
    let before = std::fs::read(disk.path()).unwrap();
    let Err(error) = Sqlite::open::<TestState>(disk.path(), "st_ignored").await else {
        panic!("opened by an older build");
    };
    assert!(matches!(
        error,
        StoreError::NewerSchema {
            found: 3,
            known: 1,
            ..
        }
    ));
    let text = error.to_string();
    assert!(
        text.contains("version 3") && text.contains("up to 1"),
        "{text}"
    );
    assert!(
        text.contains(disk.path().to_str().unwrap()) && text.contains("restore a backup"),
        "{text}"
    );
    assert!(std::fs::read(disk.path()).unwrap() == before);
}

fn fails(_: &str, _: Value) -> Result<Vec<(String, Value)>, BoxError> {
    Err("no".into())
}

fn all_alike(_: &str, row: Value) -> Result<Vec<(String, Value)>, BoxError> {
    Ok(vec![("1".to_owned(), row)])
}

macro_rules! failing {
    ($name:ident, $($step:expr),+) => {
        state! {
            struct $name("test") { items: Item, notes: Note }
            logs { events: Event, audits: Audit }
            migrations &[Migration { to: 2, name: "fails", steps: &[Step::Sql("DELETE FROM notes"), $($step),+] }]
        }
    };
}

failing!(BadSql, Step::Sql("DELETE FROM nothing"));
failing!(
    BadRow,
    Step::Rows {
        table: "items",
        rewrite: fails
    }
);
failing!(
    SameKeys,
    Step::Rows {
        table: "items",
        rewrite: all_alike
    }
);

#[tokio::test]
async fn a_failed_migration_leaves_the_old_version() {
    let disk = fixture().await;
    for opened in [
        Sqlite::open::<BadSql>(disk.path(), "").await,
        Sqlite::open::<BadRow>(disk.path(), "").await,
        Sqlite::open::<SameKeys>(disk.path(), "").await,
    ] {
        let Err(error) = opened else {
            panic!("migrated");
        };
        assert!(
            matches!(
                error,
                StoreError::Migration {
                    to: 2,
                    name: "fails",
                    ..
                }
            ),
            "{error:?}"
        );
        assert_eq!(meta(&disk, "schema_version").await.as_deref(), Some("1"));
        assert_eq!(meta(&disk, "migration.2").await, None);
    }
    let store = disk.store().await;
    assert_eq!(store.snapshot().state.items.len(), 2);
    assert_eq!(store.snapshot().state.notes.len(), 1);
}

#[tokio::test]
async fn a_damaged_database_is_not_migrated() {
    let disk = fixture().await;
    let mut bytes = std::fs::read(disk.path()).unwrap();
    // The log: reading the tables alone would not notice.
    let text = bytes
        .windows(6)
        .position(|window| window == b"fourth")
        .unwrap();
    let page = text / 4096 * 4096;
    bytes[page..page + 4096].fill(0xa5);
    std::fs::write(disk.path(), &bytes).unwrap();
    let Err(error) = Sqlite::open::<Third>(disk.path(), "st_ignored").await else {
        panic!("migrated");
    };
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error:?}");
    assert_eq!(meta(&disk, "schema_version").await.as_deref(), Some("1"));
}
