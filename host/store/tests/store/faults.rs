//! What the writer does when a commit fails, over every kind of disk.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleet_store::{CommitError, WriteError};

use crate::media::{Event, Media, event, note, soon, write};

suite!(
    a_full_disk_takes_the_whole_batch_back,
    a_held_database_can_be_tried_again,
    an_unknown_outcome_ends_the_store,
    a_failed_store_closes,
);

fn cause(kind: io::ErrorKind) -> Arc<io::Error> {
    Arc::new(io::Error::from(kind))
}

async fn a_full_disk_takes_the_whole_batch_back(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    write(&store, |tx| {
        tx.put(note(1, "old"));
        tx.append(1, event("old"));
        tx.revision();
    })
    .await
    .unwrap();

    probe.fail_next(CommitError::Full(cause(io::ErrorKind::StorageFull)));
    probe.hold();
    let writer = store.clone();
    let first = tokio::spawn(async move {
        write(&writer, |tx| {
            tx.put(note(1, "new"));
            tx.delete::<crate::media::Note>(&1);
            tx.put(note(2, "new"));
            (tx.append(2, event("new")), tx.revision())
        })
        .await
    });
    probe.arrived(2).await;
    probe.release();
    let full = soon(first).await.unwrap();
    assert!(matches!(full, Err(WriteError::Full(_))));

    let snapshot = store.snapshot();
    let notes: Vec<_> = snapshot
        .state
        .notes
        .values()
        .map(|row| &*row.text)
        .collect();
    assert_eq!(notes, ["old"]);
    assert_eq!((snapshot.commit, snapshot.revision), (1, 1));
    assert_eq!(snapshot.log_head::<Event>(), 1);

    // Numbers that nobody was told are given out again.
    let again = write(&store, |tx| {
        tx.put(note(2, "again"));
        (tx.append(3, event("again")), tx.revision())
    });
    assert_eq!(again.await.unwrap(), (2, 2));
    store.close().await;
    let store = disk.store().await;
    assert_eq!(store.snapshot().state.notes.len(), 2);
    let events = store.read_log::<Event>(0, 10).await.unwrap();
    assert_eq!(events, [(1, 1, event("old")), (2, 3, event("again"))]);
}

async fn a_held_database_can_be_tried_again(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.fail_next(CommitError::Busy(cause(io::ErrorKind::ResourceBusy)));
    let busy = write(&store, |tx| tx.put(note(1, "new"))).await;
    assert!(matches!(busy, Err(WriteError::Busy(_))));
    assert!(store.snapshot().state.notes.is_empty());
    write(&store, |tx| tx.put(note(1, "new"))).await.unwrap();
    assert_eq!(store.snapshot().state.notes.len(), 1);
}

async fn an_unknown_outcome_ends_the_store(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    let watching = store.clone();
    let mut watching = tokio::spawn(async move { watching.failed().await.to_string() });
    write(&store, |tx| tx.put(note(1, "old"))).await.unwrap();
    assert!(crate::media::waits(&mut watching).await);

    probe.fail_next(CommitError::Failed(Arc::new(io::Error::other(
        "sync failed",
    ))));
    let failed = write(&store, |tx| tx.put(note(1, "new"))).await;
    assert!(matches!(failed, Err(WriteError::Failed(_))));
    assert_eq!(soon(watching).await.unwrap(), "sync failed");

    // The disk would take the next one, but is not asked, and neither is the decision.
    let asked = Arc::new(AtomicBool::new(false));
    let asks = asked.clone();
    let refused = write(&store, move |_| asks.store(true, Ordering::SeqCst)).await;
    assert!(
        matches!(refused, Err(WriteError::Failed(cause)) if cause.to_string() == "sync failed")
    );
    assert!(!asked.load(Ordering::SeqCst));
    assert_eq!(probe.commits(), 2);
    // Readers still have what was committed.
    assert_eq!(store.snapshot().state.notes.get(&1).unwrap().text, "old");
}

async fn a_failed_store_closes(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.fail_next(CommitError::Failed(cause(io::ErrorKind::Other)));
    assert!(write(&store, |tx| tx.put(note(1, "new"))).await.is_err());
    soon(store.clone().close()).await;
    assert_eq!(probe.closed(), 1);
    let late = write(&store, |tx| tx.put(note(1, "late"))).await;
    assert!(matches!(late, Err(WriteError::Failed(_))));
    let mut failed = Box::pin(store.failed());
    assert!(!crate::media::waits(&mut failed).await);
}
