//! The simulated disk: its faults happen, and mean what they say.

use std::time::Duration;

use fleet_store::sim::{Counters, Fault, SimDisk};
use fleet_store::{Options, Store, WriteError};

use crate::media::{Event, Packet, TestState, event, note, packet, soon, waits, write};

fn disk(seed: u64) -> SimDisk {
    SimDisk::new::<TestState>("st_sim", seed).unwrap()
}

async fn open(disk: &SimDisk) -> Store<TestState> {
    let opened = Store::open(disk.mount(), Options::default()).await;
    opened.unwrap()
}

#[tokio::test]
async fn a_full_disk_has_room_again() {
    let disk = disk(1);
    let store = open(&disk).await;
    disk.inject(2, Fault::DiskFull);
    write(&store, |tx| tx.put(note(1, "fits"))).await.unwrap();
    let full = write(&store, |tx| tx.put(note(2, "does not fit"))).await;
    assert!(matches!(full, Err(WriteError::Full(_))));
    write(&store, |tx| tx.put(note(3, "fits"))).await.unwrap();
    let expected = Counters {
        commits: 2,
        disk_full: 1,
        ..Counters::default()
    };
    assert_eq!(disk.counters(), expected);
    let kept = open(&disk).await.snapshot();
    assert_eq!(kept.state.notes.keys().copied().collect::<Vec<_>>(), [1, 3]);
}

/// Runs one commit of two rows and an entry into a fault, for several seeds, and says how often it survived.
async fn survivals(fault: Fault) -> (u64, u64) {
    let (mut survived, mut crashes) = (0, 0);
    for seed in 0..32 {
        let disk = disk(seed);
        let store = open(&disk).await;
        write(&store, |tx| tx.put(note(1, "old"))).await.unwrap();
        disk.inject(1, fault);
        let failed = write(&store, |tx| {
            tx.put(note(1, "new"));
            tx.put(note(2, "new"));
            tx.append(1, event("new"));
            tx.revision()
        });
        assert!(matches!(failed.await, Err(WriteError::Failed(_))));
        assert_eq!(store.snapshot().state.notes.len(), 1);

        let store = open(&disk).await;
        let snapshot = store.snapshot();
        let is_there = snapshot.commit == 2;
        let text = if is_there { "new" } else { "old" };
        assert_eq!(snapshot.state.notes.get(&1).unwrap().text, text);
        assert_eq!(snapshot.state.notes.get(&2).is_some(), is_there);
        assert_eq!(snapshot.revision, u64::from(is_there));
        let events = store.read_log::<Event>(0, 9).await.unwrap();
        assert_eq!(events.len(), usize::from(is_there));
        let counters = disk.counters();
        assert_eq!(counters.survived, u64::from(is_there));
        survived += counters.survived;
        crashes += counters.crashes_in_commit;
    }
    (survived, crashes)
}

#[tokio::test]
async fn a_crash_in_a_commit_leaves_all_of_it_or_nothing() {
    let (survived, crashes) = survivals(Fault::Crash).await;
    assert_eq!(crashes, 32);
    assert!((1..32).contains(&survived), "{survived} of 32");
}

#[tokio::test]
async fn a_crash_before_or_after_is_what_it_says() {
    for (fault, is_kept) in [(Fault::CrashBefore, false), (Fault::CrashAfter, true)] {
        let (survived, crashes) = survivals(fault).await;
        assert_eq!(crashes, 32);
        assert_eq!(survived, if is_kept { 32 } else { 0 });
        let disk = disk(7);
        let store = open(&disk).await;
        disk.inject(1, fault);
        let crashed = write(&store, |tx| {
            tx.stream_append("web", 1, 1, packet("new"));
        });
        assert!(matches!(crashed.await, Err(WriteError::Failed(_))));
        // The host that crashed has lost the disk.
        assert!(store.read_stream::<Packet>("web", 0, 9, 99).await.is_err());
        let expected = Counters {
            crashes_in_commit: 1,
            crashes_before: u64::from(!is_kept),
            crashes_after: u64::from(is_kept),
            survived: u64::from(is_kept),
            ..Counters::default()
        };
        assert_eq!(disk.counters(), expected);
        let store = open(&disk).await;
        let kept = store.read_stream::<Packet>("web", 0, 9, 99).await.unwrap();
        assert_eq!(kept.len(), usize::from(is_kept));
        // Like any crash, it is over after it.
        write(&store, |tx| tx.put(note(1, "next"))).await.unwrap();
    }
}

#[tokio::test]
async fn exact_crashes_leave_chance_alone() {
    let mut outcomes = Vec::new();
    for exact in [None, Some(Fault::CrashBefore)] {
        let disk = disk(8);
        let mut survived = Vec::new();
        for _ in 0..16 {
            for fault in exact.into_iter().chain([Fault::Crash]) {
                let store = open(&disk).await;
                disk.inject(1, fault);
                let _ = write(&store, |tx| tx.append(1, event("perhaps"))).await;
            }
            survived.push(disk.counters().survived);
        }
        outcomes.push(survived);
    }
    assert_eq!(outcomes[0], outcomes[1]);
}

#[tokio::test]
async fn a_failed_sync_leaves_all_of_it_or_nothing() {
    let (survived, crashes) = survivals(Fault::IoError).await;
    assert_eq!(crashes, 0);
    assert!((1..32).contains(&survived), "{survived} of 32");
}

#[tokio::test]
async fn a_held_commit_is_lost_with_the_machine() {
    let disk = disk(3);
    let store = open(&disk).await;
    disk.hold();
    let mut held = Box::pin(write(&store, |tx| tx.put(note(1, "held"))));
    assert!(waits(&mut held).await);
    disk.crash();
    assert!(matches!(soon(held).await, Err(WriteError::Failed(_))));
    assert_eq!(disk.counters().crashes_in_commit, 1);
    assert_eq!(disk.counters().commits, 0);

    // The host of before cannot write any more, not even when the disk works again.
    disk.release();
    let next = open(&disk).await;
    let survived = usize::from(disk.counters().survived == 1);
    assert_eq!(next.snapshot().state.notes.len(), survived);
    assert!(
        write(&store, |tx| tx.put(note(2, "old host")))
            .await
            .is_err()
    );
    assert!(store.read_log::<Event>(0, 1).await.is_err());
    write(&next, |tx| tx.put(note(3, "new host")))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_host_is_cut_off_by_the_next_mount() {
    let disk = disk(4);
    let old = open(&disk).await;
    let new = open(&disk).await;
    let cut_off = write(&old, |tx| tx.put(note(1, "old host"))).await;
    assert!(matches!(cut_off, Err(WriteError::Failed(_))));
    write(&new, |tx| tx.put(note(2, "new host"))).await.unwrap();
}

#[tokio::test]
async fn held_and_slow_commits_arrive() {
    let disk = disk(5);
    let store = open(&disk).await;
    disk.hold();
    let mut held = Box::pin(write(&store, |tx| tx.put(note(1, "held"))));
    assert!(waits(&mut held).await);
    assert!(store.snapshot().state.notes.is_empty());
    disk.release();
    soon(held).await.unwrap();
    disk.inject(1, Fault::Delay(Duration::from_millis(1)));
    soon(write(&store, |tx| tx.put(note(2, "slow"))))
        .await
        .unwrap();
    assert_eq!(disk.counters().delays, 1);
    assert_eq!(store.snapshot().state.notes.len(), 2);
}

#[tokio::test]
async fn a_seed_decides_alike_each_time() {
    let mut outcomes = Vec::new();
    for _ in 0..2 {
        let disk = disk(6);
        for _ in 0..16 {
            let store = open(&disk).await;
            disk.inject(1, Fault::Crash);
            let _ = write(&store, |tx| tx.append(1, event("perhaps"))).await;
        }
        outcomes.push((disk.counters(), open(&disk).await.snapshot().commit));
    }
    assert_eq!(outcomes[0], outcomes[1]);
    assert_eq!(outcomes[0].0.crashes_in_commit, 16);
}
