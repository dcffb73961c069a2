//! How transactions come together in commits, and what their callers see of it, on every kind of disk.

use std::sync::Arc;

use fleet_store::{Options, Store, WriteError};

use crate::media::{
    Event, Media, Note, Probe, TestState, event, item, note, put_later, soon, waits, write,
};

suite!(
    a_panic_harms_only_its_call,
    transactions_of_one_commit_add_up,
    every_commit_wakes,
    waiting_writes_share_a_commit,
    nothing_is_visible_before_it_is_durable,
    a_transaction_without_changes_does_not_commit,
    an_answer_waits_for_what_it_has_seen,
    a_full_queue_holds_callers_back,
    closing_finishes_what_was_submitted,
    dropping_the_last_handle_closes,
);

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
    let probe = Arc::new(Probe::new(disk.open().await));
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
