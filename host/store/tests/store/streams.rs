//! Streams: what is kept per key, on every kind of disk.

use std::io;
use std::sync::Arc;

use fleet_store::{CommitError, Store, WriteError};

use crate::media::{
    Event, Media, Packet, TestState, Trace, UNSTORABLE, event, item, note, packet, put_later, soon,
    waits, write,
};

suite!(
    entries_survive_reopening,
    a_page_begins_after_a_number,
    a_page_is_bounded_in_bytes,
    any_text_is_a_key,
    streams_and_keys_are_apart,
    the_first_entry_of_a_number_stays,
    numbers_come_in_any_order,
    trimming_forgets_up_to_a_number,
    dropping_forgets_one_key,
    what_was_forgotten_can_come_again,
    transactions_of_one_commit_run_in_order,
    one_transaction_changes_all_kinds,
    a_refusal_writes_nothing,
    what_cannot_be_stored_writes_nothing,
    nothing_is_seen_before_it_is_durable,
    a_full_disk_takes_all_back,
    many_entries_are_one_commit,
    readings_that_are_given_up_harm_nothing,
    readers_do_not_hold_the_writer_up,
);

const ALL: usize = usize::MAX;
/// The highest number there can be.
const LAST: u64 = (1 << 63) - 1;

async fn packets(store: &Store<TestState>, key: &str) -> Vec<(u64, String)> {
    let entries = store.read_stream::<Packet>(key, 0, ALL, ALL).await.unwrap();
    let entries = entries.into_iter().map(|(seq, _, row)| (seq, row.text));
    entries.collect()
}

async fn numbers(store: &Store<TestState>, key: &str) -> Vec<u64> {
    packets(store, key).await.iter().map(|row| row.0).collect()
}

async fn append(store: &Store<TestState>, key: &'static str, seqs: &'static [u64]) {
    write(store, move |tx| {
        for seq in seqs {
            tx.stream_append(key, *seq, 1, packet(&seq.to_string()));
        }
    })
    .await
    .unwrap();
}

async fn entries_survive_reopening(mut disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        tx.stream_append("web", 3, 30, packet("three"));
        tx.stream_append("web", 7, u64::MAX, packet("seven"));
        tx.stream_append("db", LAST, 0, packet("last"));
    })
    .await
    .unwrap();
    store.close().await;
    let mut store = disk.store().await;
    for crashed in [false, true] {
        if crashed {
            disk.crash();
            store = disk.store().await;
        }
        let web = store.read_stream::<Packet>("web", 0, ALL, ALL).await;
        let expected = [(3, 30, packet("three")), (7, u64::MAX, packet("seven"))];
        assert_eq!(web.unwrap(), expected);
        let db = packets(&store, "db").await;
        assert_eq!(db, [(LAST, "last".to_owned())]);
        assert!(packets(&store, "none").await.is_empty());
    }
    store.close().await;
    // None of it is loaded.
    let image = disk.open().await.load().await.unwrap();
    assert_eq!((image.rows.len(), image.commit), (0, 1));
}

async fn a_page_begins_after_a_number(disk: impl Media) {
    let store = disk.store().await;
    append(&store, "web", &[2, 4, 6, 8]).await;
    for (after, limit, expected) in [
        (0, 2, vec![2, 4]),
        (1, 2, vec![2, 4]),
        (2, 2, vec![4, 6]),
        (6, 9, vec![8]),
        (8, 9, vec![]),
        (u64::MAX, 9, vec![]),
        (0, 0, vec![]),
    ] {
        let page = store.read_stream::<Packet>("web", after, limit, ALL).await;
        let seqs: Vec<_> = page.unwrap().iter().map(|row| row.0).collect();
        assert_eq!(seqs, expected, "{limit} after {after}");
    }
}

/// As large as a packet gets.
const LARGE_BYTES: usize = 64 << 10;

async fn a_page_is_bounded_in_bytes(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        for seq in 1..=100 {
            tx.stream_append("web", seq, seq, packet(&"x".repeat(LARGE_BYTES)));
        }
    })
    .await
    .unwrap();
    let entry_bytes = serde_json::to_string(&packet("")).unwrap().len() + LARGE_BYTES;
    for (max_bytes, expected) in [
        (0, 1),
        (1, 1),
        (2 * entry_bytes - 1, 1),
        (2 * entry_bytes, 2),
        (40 * entry_bytes + 7, 40),
        (ALL, 100),
    ] {
        let page = store.read_stream::<Packet>("web", 0, ALL, max_bytes).await;
        assert_eq!(page.unwrap().len(), expected, "{max_bytes} bytes");
    }
    // Page by page, nothing is passed over.
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = store.read_stream::<Packet>("web", after, 7, 5 * entry_bytes);
        let page = page.await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page[0].0 > after, "{} again", page[0].0);
        after = last.0;
        seen.extend(page.iter().map(|row| row.0));
    }
    assert_eq!(seen, (1..=100).collect::<Vec<_>>());
}

async fn any_text_is_a_key(disk: impl Media) {
    let keys = [
        "",
        "a\"b",
        "a','b",
        "\0",
        "a\0",
        "\u{1f980}",
        "%_",
        "A",
        "a",
    ];
    let store = disk.store().await;
    write(&store, move |tx| {
        for key in keys {
            tx.stream_append(key, 1, 1, packet(key));
        }
    })
    .await
    .unwrap();
    write(&store, |tx| tx.stream_drop::<Packet>("%_"))
        .await
        .unwrap();
    for key in keys.into_iter().filter(|key| *key != "%_") {
        assert_eq!(packets(&store, key).await, [(1, key.to_owned())]);
    }
    assert!(packets(&store, "%_").await.is_empty());
}

async fn streams_and_keys_are_apart(disk: impl Media) {
    let store = disk.store().await;
    let key = |run| ("web".to_owned(), run);
    write(&store, move |tx| {
        tx.stream_append("web", 1, 1, packet("packet"));
        tx.stream_append(&key(1), 1, 1, Trace(1));
        tx.stream_append(&key(2), 1, 1, Trace(2));
        tx.stream_trim::<Trace>(&key(1), 1);
    })
    .await
    .unwrap();
    // In a task of its own, as a server reads.
    let reader = store.clone();
    let traces = tokio::spawn(async move {
        let first = reader.read_stream::<Trace>(&key(1), 0, 9, 99).await;
        let second = reader.read_stream::<Trace>(&key(2), 0, 9, 99).await;
        (first.unwrap(), second.unwrap())
    });
    assert_eq!(
        soon(traces).await.unwrap(),
        (vec![], vec![(1, 1, Trace(2))])
    );
    assert_eq!(numbers(&store, "web").await, [1]);
}

async fn the_first_entry_of_a_number_stays(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        tx.stream_append("web", 1, 1, packet("first"));
        tx.stream_append("web", 1, 2, packet("again"));
    })
    .await
    .unwrap();
    // With its neighbours: those that are new come in.
    write(&store, |tx| {
        tx.stream_append("web", 1, 3, packet("later"));
        tx.stream_append("web", 2, 3, packet("second"));
        tx.put(note(1, "unharmed"));
    })
    .await
    .unwrap();
    let page = store.read_stream::<Packet>("web", 0, 9, ALL).await.unwrap();
    assert_eq!(page, [(1, 1, packet("first")), (2, 3, packet("second"))]);
    assert_eq!(store.snapshot().state.notes.len(), 1);
}

async fn numbers_come_in_any_order(disk: impl Media) {
    let store = disk.store().await;
    append(&store, "web", &[9, 2]).await;
    append(&store, "web", &[5, 1]).await;
    assert_eq!(numbers(&store, "web").await, [1, 2, 5, 9]);
}

async fn trimming_forgets_up_to_a_number(disk: impl Media) {
    let store = disk.store().await;
    append(&store, "web", &[2, 4, 6, 8]).await;
    append(&store, "db", &[2]).await;
    for (through, left) in [(1, 4), (4, 2), (3, 2), (7, 1)] {
        let trim = write(&store, move |tx| tx.stream_trim::<Packet>("web", through));
        trim.await.unwrap();
        assert_eq!(
            numbers(&store, "web").await.len(),
            left,
            "through {through}"
        );
    }
    assert_eq!(numbers(&store, "web").await, [8]);
    assert_eq!(numbers(&store, "db").await, [2]);
    store.close().await;
    assert_eq!(numbers(&disk.store().await, "web").await, [8]);
}

async fn dropping_forgets_one_key(disk: impl Media) {
    let store = disk.store().await;
    append(&store, "web", &[1, LAST]).await;
    append(&store, "db", &[1]).await;
    write(&store, |tx| {
        tx.stream_drop::<Packet>("web");
        tx.stream_drop::<Packet>("none");
    })
    .await
    .unwrap();
    store.close().await;
    let store = disk.store().await;
    assert!(numbers(&store, "web").await.is_empty());
    assert_eq!(numbers(&store, "db").await, [1]);
}

async fn what_was_forgotten_can_come_again(disk: impl Media) {
    let store = disk.store().await;
    append(&store, "web", &[1, 2, 3]).await;
    write(&store, |tx| {
        tx.stream_append("web", 4, 1, packet("gone with the others"));
        tx.stream_drop::<Packet>("web");
        tx.stream_append("web", 1, 1, packet("new"));
        tx.stream_append("web", 2, 1, packet("never seen"));
        tx.stream_append("web", 3, 1, packet("stays"));
        tx.stream_trim::<Packet>("web", 2);
        tx.stream_append("web", 2, 1, packet("newest"));
    })
    .await
    .unwrap();
    let expected = [(2, "newest".to_owned()), (3, "stays".to_owned())];
    assert_eq!(packets(&store, "web").await, expected);
}

async fn transactions_of_one_commit_run_in_order(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    append(&store, "web", &[1, 2]).await;
    probe.hold();
    let first = tokio::spawn(put_later(store.clone(), item("a", "first", 0)));
    probe.arrived(2).await;
    let mut callers = Vec::new();
    for n in 3..=6_u64 {
        let store = store.clone();
        callers.push(tokio::spawn(async move {
            write(&store, move |tx| {
                tx.stream_trim::<Packet>("web", n - 2);
                tx.stream_append("web", 1, 1, packet(&format!("first of {n}")));
                tx.stream_append("web", n, 1, packet(&n.to_string()));
            })
            .await
        }));
    }
    tokio::task::yield_now().await;
    probe.release();
    soon(first).await.unwrap();
    for caller in callers {
        soon(caller).await.unwrap().unwrap();
    }
    assert_eq!(probe.commits(), 3);
    let entries = packets(&store, "web").await;
    let expected = [(1, "first of 6"), (5, "5"), (6, "6")];
    assert_eq!(entries, expected.map(|(seq, text)| (seq, text.to_owned())));
}

async fn one_transaction_changes_all_kinds(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    write(&store, |tx| {
        tx.put(note(1, "how far: 5"));
        tx.append(1, event("came"));
        tx.stream_append("web", 5, 1, packet("five"));
    })
    .await
    .unwrap();
    assert_eq!((probe.commits(), store.snapshot().commit), (1, 1));
    store.close().await;
    let store = disk.store().await;
    assert_eq!(store.snapshot().state.notes.len(), 1);
    assert_eq!(store.read_log::<Event>(0, 9).await.unwrap().len(), 1);
    assert_eq!(numbers(&store, "web").await, [5]);
}

async fn a_refusal_writes_nothing(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    append(&store, "web", &[1]).await;
    let refused = store.write::<(), _>(|tx| {
        tx.stream_append("web", 2, 1, packet("never"));
        tx.stream_drop::<Packet>("web");
        Err("no")
    });
    assert!(matches!(refused.await, Err(WriteError::Refused("no"))));
    assert_eq!(probe.commits(), 1);
    assert_eq!(numbers(&store, "web").await, [1]);
}

async fn what_cannot_be_stored_writes_nothing(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    for (seq, text, cause) in [
        (1, UNSTORABLE, "will not"),
        (0, "none", "the number 0 "),
        (1 << 63, "too high", "the number 9223372036854775808 "),
    ] {
        let failed = write(&store, move |tx| {
            tx.put(note(1, "never"));
            tx.stream_append("web", seq, 1, packet(text));
        });
        let Err(WriteError::Encode { table, source }) = failed.await else {
            panic!("stored as number {seq}");
        };
        assert_eq!(table, "packets");
        assert!(source.to_string().starts_with(cause), "{source}");
    }
    assert_eq!(probe.commits(), 0);
    assert!(store.snapshot().state.notes.is_empty());
}

async fn nothing_is_seen_before_it_is_durable(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    append(&store, "web", &[1]).await;
    probe.hold();
    let mut caller = Box::pin(write(&store, |tx| {
        tx.stream_trim::<Packet>("web", 1);
        tx.stream_append("web", 2, 1, packet("two"));
    }));
    assert!(waits(&mut caller).await);
    // And reading does not wait for the writer.
    assert_eq!(soon(numbers(&store, "web")).await, [1]);
    probe.release();
    soon(caller).await.unwrap();
    assert_eq!(numbers(&store, "web").await, [2]);
}

async fn a_full_disk_takes_all_back(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    append(&store, "web", &[1]).await;
    let cause = Arc::new(io::Error::from(io::ErrorKind::StorageFull));
    probe.fail_next(CommitError::Full(cause));
    let full = write(&store, |tx| {
        tx.stream_trim::<Packet>("web", 1);
        tx.stream_append("web", 2, 1, packet("two"));
    });
    assert!(matches!(full.await, Err(WriteError::Full(_))));
    assert_eq!(numbers(&store, "web").await, [1]);
    append(&store, "web", &[3]).await;
    assert_eq!(numbers(&store, "web").await, [1, 3]);
}

async fn many_entries_are_one_commit(disk: impl Media) {
    let (store, probe) = disk.probed().await;
    // Several statements of each size, with numbers that are taken among them.
    append(&store, "7", &[4, 9]).await;
    write(&store, |tx| {
        for n in 0..2_001 {
            let key = (n % 10).to_string();
            tx.stream_append(key.as_str(), n / 10 + 1, n, packet(&n.to_string()));
        }
    })
    .await
    .unwrap();
    assert_eq!(probe.commits(), 2);
    for (key, expected) in [("0", 201), ("7", 200), ("9", 200)] {
        let seqs = numbers(&store, key).await;
        assert_eq!(seqs, (1..=expected).collect::<Vec<_>>());
    }
    let taken = packets(&store, "7").await;
    assert_eq!((&*taken[3].1, &*taken[4].1, &*taken[8].1), ("4", "47", "9"));
}

async fn readings_that_are_given_up_harm_nothing(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        for seq in 1..=300 {
            tx.stream_append("web", seq, 1, packet("x"));
        }
    })
    .await
    .unwrap();
    // More than there are connections, each at another point.
    for turns in 0..20 {
        let mut reading = Box::pin(store.read_stream::<Packet>("web", 0, ALL, ALL));
        for _ in 0..turns {
            if !waits_once(&mut reading).await {
                break;
            }
        }
        drop(reading);
        assert_eq!(soon(numbers(&store, "web")).await.len(), 300);
    }
    append(&store, "web", &[301]).await;
    soon(store.close()).await;
}

async fn waits_once<F: Future + Unpin>(future: &mut F) -> bool {
    let waiting = futures::poll!(future).is_pending();
    tokio::task::yield_now().await;
    waiting
}

async fn readers_do_not_hold_the_writer_up(disk: impl Media) {
    let store = disk.store().await;
    write(&store, |tx| {
        for seq in 1..=200 {
            tx.stream_append("web", seq, 1, packet(&"x".repeat(10_000)));
        }
    })
    .await
    .unwrap();
    let mut readers = tokio::task::JoinSet::new();
    for _ in 0..16 {
        let store = store.clone();
        readers.spawn(async move {
            let mut least = ALL;
            for _ in 0..5 {
                least = least.min(packets(&store, "web").await.len());
            }
            least
        });
    }
    for seq in 201..=240 {
        let append = write(&store, move |tx| {
            tx.stream_append("web", seq, 1, packet("beside"));
        });
        soon(append).await.unwrap();
    }
    for least in soon(readers.join_all()).await {
        assert!((200..=240).contains(&least), "{least} entries");
    }
    assert_eq!(numbers(&store, "web").await.len(), 240);
}
