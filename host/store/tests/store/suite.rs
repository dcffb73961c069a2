//! What a store keeps, on every kind of disk.

use fleet_store::{Options, Store, StoreError, WriteError, state};

use crate::media::{Audit, Event, Item, Media, Note, UNSTORABLE, event, item, key, note, write};

suite!(
    rows_survive_reopening,
    any_text_is_a_key,
    the_id_is_given_once,
    a_refusal_writes_nothing,
    an_unstorable_row_writes_nothing,
    transactions_run_in_order,
    the_last_change_of_a_row_counts,
    a_revision_is_given_out_once,
    logs_are_read_by_range,
    log_numbers_go_on_after_trimming,
    what_was_acknowledged_survives_a_crash,
    another_state_is_refused,
    a_snapshot_stays_as_it_is,
);

async fn rows_survive_reopening(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        tx.put(item("a", "web", 1));
        tx.put(item("a", "db", 2));
        tx.put(note(7, "kept"));
    })
    .await
    .unwrap();
    let gone = write(&store, |tx| tx.delete::<Item>(&key("a", "db"))).await;
    assert_eq!(gone.unwrap().as_deref(), Some(&item("a", "db", 2)));
    let missing = write(&store, |tx| tx.delete::<Item>(&key("a", "db"))).await;
    assert!(missing.unwrap().is_none());
    let before = store.snapshot();
    store.close().await;

    let store = disk.store().await;
    let after = store.snapshot();
    let items: Vec<_> = after
        .state
        .items
        .values()
        .map(|row| (**row).clone())
        .collect();
    assert_eq!(items, [item("a", "web", 1)]);
    assert_eq!(
        after.state.notes.get(&7).map(|row| &*row.text),
        Some("kept")
    );
    assert_eq!(
        (after.commit, after.revision),
        (before.commit, before.revision)
    );
    assert_eq!(after.commit, 2);
}

async fn any_text_is_a_key(disk: impl Media) {
    let names = [
        "",
        "a\"b",
        "a','b",
        "\0",
        "\u{1f980}",
        "a\nb",
        "%_",
        "[\"a\"]",
    ];
    let store = disk.store().await;
    write(&store, move |tx| {
        for (size, name) in (0..).zip(names) {
            tx.put(item(name, "x", size));
            tx.put(item("x", name, size));
        }
    })
    .await
    .unwrap();
    store.close().await;
    let snapshot = disk.store().await.snapshot();
    assert_eq!(snapshot.state.items.len(), 2 * names.len());
    for (size, name) in (0..).zip(names) {
        assert_eq!(
            snapshot.state.items.get(&key(name, "x")).unwrap().size,
            size
        );
        assert_eq!(
            snapshot.state.items.get(&key("x", name)).unwrap().size,
            size
        );
    }
}

async fn the_id_is_given_once(disk: impl Media) {
    let store = disk.store().await;
    assert_eq!(store.id(), "st_test");
    store.close().await;
    assert_eq!(disk.store().await.id(), "st_test");
}

async fn a_refusal_writes_nothing(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    let refused = store
        .write::<(), _>(|tx| {
            tx.put(item("a", "web", 1));
            tx.append(1, event("never"));
            tx.revision();
            Err("no")
        })
        .await;
    assert!(matches!(refused, Err(WriteError::Refused("no"))));
    let snapshot = store.snapshot();
    assert_eq!((snapshot.commit, snapshot.revision), (0, 0));
    assert!(snapshot.state.items.is_empty());
    assert_eq!(snapshot.log_head::<Event>(), 0);
    assert_eq!(probe.commits(), 0);
}

async fn an_unstorable_row_writes_nothing(disk: impl Media) {
    let store = disk.store().await;
    let failed = write(&store, |tx| {
        tx.put(item("a", "web", 1));
        tx.put(note(1, UNSTORABLE));
    });
    let failed = failed.await;
    assert!(matches!(
        failed,
        Err(WriteError::Encode { table: "notes", .. })
    ));
    assert!(store.snapshot().state.items.is_empty());
    write(&store, |tx| tx.put(note(1, "storable")))
        .await
        .unwrap();
    assert_eq!(store.snapshot().state.notes.len(), 1);
}

async fn transactions_run_in_order(disk: impl Media) {
    let store = disk.store().await;
    let callers: Vec<_> = (0..100)
        .map(|size| {
            let store = store.clone();
            tokio::spawn(async move {
                write(&store, move |tx| {
                    let seen = tx.get::<Item>(&key("a", "web")).map(|row| row.size);
                    tx.put(item("a", "web", size));
                    (seen, tx.append(u64::from(size), event("set")))
                })
                .await
                .unwrap()
            })
        })
        .collect();
    for (size, caller) in (0_u32..).zip(callers) {
        let (seen, seq) = caller.await.unwrap();
        assert_eq!(seen, size.checked_sub(1));
        assert_eq!(seq, u64::from(size) + 1);
    }
    assert_eq!(
        store
            .snapshot()
            .state
            .items
            .get(&key("a", "web"))
            .unwrap()
            .size,
        99
    );
}

async fn the_last_change_of_a_row_counts(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    write(&store, |tx| {
        tx.put(note(1, "old"));
        tx.put(note(2, "old"));
    })
    .await
    .unwrap();
    write(&store, |tx| {
        tx.put(note(1, "newer"));
        tx.put(note(1, "newest"));
        tx.delete::<Note>(&2);
        tx.put(note(2, "again"));
        tx.put(note(3, "short"));
        tx.delete::<Note>(&3);
    })
    .await
    .unwrap();
    assert_eq!(probe.commits(), 2);
    let live = store.snapshot();
    store.close().await;
    let stored = disk.store().await.snapshot();
    for snapshot in [live, stored] {
        let notes = snapshot
            .state
            .notes
            .values()
            .map(|row| (row.id, row.text.clone()));
        let expected = [(1, "newest".to_owned()), (2, "again".to_owned())];
        assert_eq!(notes.collect::<Vec<_>>(), expected);
    }
}

async fn a_revision_is_given_out_once(mut disk: impl Media) {
    let store = disk.store().await;
    let twice = write(&store, |tx| (tx.revision(), tx.revision()))
        .await
        .unwrap();
    assert_eq!(twice, (1, 1));
    write(&store, |tx| tx.put(note(1, "asks for none")))
        .await
        .unwrap();
    assert_eq!(store.snapshot().revision, 1);
    let refused = store.write::<(), _>(|tx| Err(tx.revision())).await;
    assert!(matches!(refused, Err(WriteError::Refused(2))));
    assert_eq!(write(&store, |tx| tx.revision()).await.unwrap(), 2);
    store.close().await;

    let store = disk.store().await;
    assert_eq!(store.snapshot().revision, 2);
    assert_eq!(write(&store, |tx| tx.revision()).await.unwrap(), 3);
    disk.crash();
    let store = disk.store().await;
    assert_eq!(write(&store, |tx| tx.revision()).await.unwrap(), 4);
}

async fn logs_are_read_by_range(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        for n in 1..=300_u32 {
            tx.append(u64::from(n) * 10, event(&n.to_string()));
        }
        tx.append(u64::MAX, Audit(1));
    })
    .await
    .unwrap();
    let page = store.read_log::<Event>(297, 2).await.unwrap();
    let expected = [(298, 2980, event("298")), (299, 2990, event("299"))];
    assert_eq!(page, expected);
    assert_eq!(store.read_log::<Event>(0, 1000).await.unwrap().len(), 300);
    assert!(store.read_log::<Event>(300, 1000).await.unwrap().is_empty());
    assert!(
        store
            .read_log::<Event>(u64::MAX, 1)
            .await
            .unwrap()
            .is_empty()
    );
    assert!(store.read_log::<Event>(0, 0).await.unwrap().is_empty());
    let audits = store.read_log::<Audit>(0, usize::MAX).await.unwrap();
    assert_eq!(audits, [(1, u64::MAX, Audit(1))]);
}

async fn log_numbers_go_on_after_trimming(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        for n in 1..=5 {
            tx.append(n, event("old"));
        }
    })
    .await
    .unwrap();
    write(&store, |tx| tx.trim::<Event>(3)).await.unwrap();
    let left = store.read_log::<Event>(0, 10).await.unwrap();
    assert_eq!(left.iter().map(|row| row.0).collect::<Vec<_>>(), [4, 5]);
    // Beyond the head, and in one transaction with an entry.
    write(&store, |tx| {
        tx.append(6, event("old"));
        tx.trim::<Event>(u64::MAX);
    })
    .await
    .unwrap();
    assert!(store.read_log::<Event>(0, 10).await.unwrap().is_empty());
    store.close().await;

    let store = disk.store().await;
    assert_eq!(store.snapshot().log_head::<Event>(), 6);
    let seq = write(&store, |tx| tx.append(7, event("new")))
        .await
        .unwrap();
    assert_eq!(seq, 7);
    let left = store.read_log::<Event>(0, 10).await.unwrap();
    assert_eq!(left, [(7, 7, event("new"))]);
}

async fn what_was_acknowledged_survives_a_crash(mut disk: impl Media) {
    let store = disk.store().await;
    for n in 1..=20 {
        write(&store, move |tx| {
            tx.put(note(n, "acknowledged"));
            tx.append(n, event("acknowledged"));
        })
        .await
        .unwrap();
    }
    disk.crash();
    let store = disk.store().await;
    assert_eq!(store.snapshot().state.notes.len(), 20);
    assert_eq!(store.read_log::<Event>(0, 100).await.unwrap().len(), 20);
    assert_eq!(store.snapshot().commit, 20);
}

state! {
    struct Stranger("stranger") { notes: Note }
    logs {}
}

async fn another_state_is_refused(disk: impl Media) {
    let (store, _) = disk.probed().await;
    store.close().await;
    let opened = Store::<Stranger>::open(disk.open().await, Options::default()).await;
    let Err(StoreError::Declaration { state, problem }) = opened else {
        panic!("opened for another state");
    };
    assert_eq!(state, "stranger");
    assert!(problem.contains("test"), "{problem}");
}

async fn a_snapshot_stays_as_it_is(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| tx.put(note(1, "old"))).await.unwrap();
    let old = store.snapshot();
    write(&store, |tx| {
        tx.put(note(1, "new"));
        tx.put(note(2, "new"));
    })
    .await
    .unwrap();
    assert_eq!(old.state.notes.len(), 1);
    assert_eq!(old.state.notes.get(&1).unwrap().text, "old");
    let new = store.snapshot();
    let range = new.state.notes.range(2..).map(|(id, _)| *id);
    assert_eq!(range.collect::<Vec<_>>(), [2]);
}
