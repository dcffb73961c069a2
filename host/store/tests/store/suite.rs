//! What holds on every kind of disk.

use std::sync::Arc;

use fleet_store::{Options, Store, StoreError, WriteError, state};

use crate::media::{
    Audit, Event, Item, Media, Note, TestState, UNSTORABLE, event, item, key, note, soon, waits,
    write,
};

suite!(
    rows_survive_reopening,
    any_text_is_a_key,
    the_id_is_given_once,
    a_refusal_writes_nothing,
    a_panic_harms_only_its_call,
    an_unstorable_row_writes_nothing,
    transactions_run_in_order,
    the_last_change_of_a_row_counts,
    transactions_of_one_commit_add_up,
    a_revision_is_given_out_once,
    logs_are_read_by_range,
    log_numbers_go_on_after_trimming,
    every_commit_wakes,
    waiting_writes_share_a_commit,
    nothing_is_visible_before_it_is_durable,
    a_transaction_without_changes_does_not_commit,
    an_answer_waits_for_what_it_has_seen,
    a_full_queue_holds_callers_back,
    what_was_acknowledged_survives_a_crash,
    closing_finishes_what_was_submitted,
    dropping_the_last_handle_closes,
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

async fn a_panic_harms_only_its_call(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.hold();
    let first = tokio::spawn(put_later(store.clone(), item("a", "first", 1)));
    probe.arrived(1).await;
    // These three wait together and make one batch.
    let before = tokio::spawn(put_later(store.clone(), item("a", "before", 1)));
    let panicking = tokio::spawn({
        let store = store.clone();
        async move {
            let decide = |tx: &mut fleet_store::Tx<'_, TestState>| {
                tx.put(item("a", "panicking", 1));
                panic!("on purpose")
            };
            store.write::<(), ()>(decide).await
        }
    });
    let after = tokio::spawn(put_later(store.clone(), item("a", "after", 1)));
    tokio::task::yield_now().await;
    probe.release();
    for good in [first, before, after] {
        good.await.unwrap();
    }
    let panicked = panicking.await.unwrap();
    assert!(matches!(panicked, Err(WriteError::Panicked(text)) if text == "on purpose"));
    let names: Vec<_> = store
        .snapshot()
        .state
        .items
        .keys()
        .map(|key| key.1.clone())
        .collect();
    assert_eq!(names, ["after", "before", "first"]);
}

async fn put_later(store: Store<TestState>, row: Item) {
    write(&store, |tx| tx.put(row)).await.unwrap();
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

async fn transactions_of_one_commit_add_up(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.hold();
    let first = tokio::spawn(put_later(store.clone(), item("a", "first", 0)));
    probe.arrived(1).await;
    let callers: Vec<_> = (1..=5_u64)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                write(&store, move |tx| {
                    tx.put(note(1, &n.to_string()));
                    tx.delete::<Note>(&(n - 1));
                    tx.put(note(n + 10, "kept"));
                    tx.append(n, event(&n.to_string()));
                    tx.trim::<Event>(n / 2);
                    tx.revision()
                })
                .await
                .unwrap()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    probe.release();
    soon(first).await.unwrap();
    for (revision, caller) in (1..).zip(callers) {
        assert_eq!(soon(caller).await.unwrap(), revision);
    }
    assert_eq!(probe.commits(), 2);
    store.close().await;

    let store = disk.store().await;
    let snapshot = store.snapshot();
    assert_eq!(snapshot.revision, 5);
    assert_eq!(snapshot.state.notes.get(&1).unwrap().text, "5");
    let ids: Vec<_> = snapshot.state.notes.keys().copied().collect();
    assert_eq!(ids, [1, 11, 12, 13, 14, 15]);
    let events = store.read_log::<Event>(0, 10).await.unwrap();
    assert_eq!(
        events.iter().map(|row| row.0).collect::<Vec<_>>(),
        [3, 4, 5]
    );
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

async fn every_commit_wakes(disk: impl Media) {
    let store = disk.store().await;
    let mut changes = store.changes();
    assert!(!changes.has_changed().unwrap());
    for n in 1..=3 {
        write(&store, move |tx| tx.put(note(n, "new")))
            .await
            .unwrap();
        soon(changes.changed()).await.unwrap();
        let seen = *changes.borrow_and_update();
        assert_eq!((seen, store.snapshot().commit), (n, n));
    }
    store.close().await;
    assert!(soon(changes.changed()).await.is_err());
}

async fn waiting_writes_share_a_commit(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.hold();
    let mut callers = vec![tokio::spawn(put_later(
        store.clone(),
        item("a", "first", 0),
    ))];
    probe.arrived(1).await;
    for n in 0..200 {
        callers.push(tokio::spawn(put_later(
            store.clone(),
            item("a", &n.to_string(), n),
        )));
    }
    tokio::task::yield_now().await;
    probe.release();
    for caller in callers {
        soon(caller).await.unwrap();
    }
    assert_eq!(store.snapshot().state.items.len(), 201);
    assert!(probe.commits() <= 5, "{} commits", probe.commits());
    assert_eq!(store.snapshot().commit, probe.commits());
}

async fn nothing_is_visible_before_it_is_durable(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    let changes = store.changes();
    probe.hold();
    let mut caller = Box::pin(write(&store, |tx| {
        tx.put(note(1, "new"));
        tx.revision();
        tx.append(1, event("new"))
    }));
    assert!(waits(&mut caller).await);
    probe.arrived(1).await;
    assert!(waits(&mut caller).await);
    let snapshot = store.snapshot();
    assert!(snapshot.state.notes.is_empty());
    assert_eq!((snapshot.commit, snapshot.revision), (0, 0));
    assert_eq!(snapshot.log_head::<Event>(), 0);
    assert!(store.read_log::<Event>(0, 10).await.unwrap().is_empty());
    assert!(!changes.has_changed().unwrap());

    probe.release();
    soon(caller).await.unwrap();
    assert_eq!(store.snapshot().state.notes.len(), 1);
    assert_eq!(store.read_log::<Event>(0, 10).await.unwrap().len(), 1);
    assert!(changes.has_changed().unwrap());
}

async fn a_transaction_without_changes_does_not_commit(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.hold();
    let seen = soon(write(&store, |tx| tx.state().notes.len())).await;
    assert_eq!(seen.unwrap(), 0);
    let refused = soon(store.write::<(), _>(|_| Err("no"))).await;
    assert!(matches!(refused, Err(WriteError::Refused("no"))));
    soon(write(&store, |tx| tx.trim::<Event>(9))).await.unwrap();
    assert_eq!(probe.commits(), 0);
}

async fn an_answer_waits_for_what_it_has_seen(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.hold();
    let first = tokio::spawn(put_later(store.clone(), item("a", "first", 0)));
    probe.arrived(1).await;
    let second = tokio::spawn(put_later(store.clone(), item("a", "second", 0)));
    tokio::task::yield_now().await;
    // Reads and refusals that are decided in the batch of `second`.
    let reading = store.clone();
    let mut reading =
        tokio::spawn(async move { write(&reading, |tx| tx.state().items.len()).await });
    let refusing = store.clone();
    let mut refusing = tokio::spawn(async move {
        refusing
            .write::<(), _>(|tx| Err(tx.state().items.len()))
            .await
    });
    tokio::task::yield_now().await;
    let unspent = fleet_store::CommitError::Full(Arc::new(std::io::Error::other("full")));
    probe.allow(1);
    probe.arrived(2).await;
    assert!(waits(&mut reading).await);
    assert!(waits(&mut refusing).await);
    probe.fail_next(unspent);
    probe.release();
    soon(first).await.unwrap();
    // What they have seen has never been: they are told what the writer of it is told.
    assert!(soon(second).await.is_err());
    assert!(matches!(
        soon(reading).await.unwrap(),
        Err(WriteError::Full(_))
    ));
    assert!(matches!(
        soon(refusing).await.unwrap(),
        Err(WriteError::Full(_))
    ));
    assert_eq!(store.snapshot().state.items.len(), 1);
}

async fn a_full_queue_holds_callers_back(disk: impl Media) {
    let probe = Arc::new(crate::media::Probe::new(disk.open().await));
    let options = Options { queue: 1, batch: 1 };
    let store = Store::<TestState>::open(probe.clone(), options)
        .await
        .unwrap();
    probe.hold();
    let first = tokio::spawn(put_later(store.clone(), item("a", "first", 0)));
    probe.arrived(1).await;
    let second = tokio::spawn(put_later(store.clone(), item("a", "second", 0)));
    tokio::task::yield_now().await;
    let mut third = Box::pin(write(&store, |tx| tx.put(note(3, "third"))));
    assert!(waits(&mut third).await);
    // It was never taken in, so giving it up takes it back.
    drop(third);
    probe.release();
    soon(first).await.unwrap();
    soon(second).await.unwrap();
    let snapshot = store.snapshot();
    assert_eq!(
        (snapshot.state.items.len(), snapshot.state.notes.len()),
        (2, 0)
    );
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

async fn closing_finishes_what_was_submitted(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    probe.hold();
    let first = tokio::spawn(put_later(store.clone(), item("a", "first", 0)));
    probe.arrived(1).await;
    let second = tokio::spawn(put_later(store.clone(), item("a", "second", 0)));
    tokio::task::yield_now().await;
    let closing = tokio::spawn(store.clone().close());
    tokio::task::yield_now().await;
    // Behind the close, but before the writer has seen that.
    let third = tokio::spawn(put_later(store.clone(), item("a", "third", 0)));
    tokio::task::yield_now().await;
    probe.release();
    soon(closing).await.unwrap();
    for submitted in [first, second, third] {
        soon(submitted).await.unwrap();
    }
    assert_eq!(probe.closed(), 1);
    let late = write(&store, |tx| tx.put(note(1, "late"))).await;
    assert!(matches!(late, Err(WriteError::Closed)));
    assert_eq!(store.snapshot().state.items.len(), 3);
    soon(store.close()).await;
    assert_eq!(disk.store().await.snapshot().state.items.len(), 3);
}

async fn dropping_the_last_handle_closes(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    let mut changes = store.changes();
    drop(store.clone());
    write(&store, |tx| tx.put(note(1, "still open")))
        .await
        .unwrap();
    changes.borrow_and_update();
    drop(store);
    assert!(soon(changes.changed()).await.is_err());
    assert_eq!(probe.closed(), 1);
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
