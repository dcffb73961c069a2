//! The host crashes at every durable step in turn; afterwards all is as if it had not.
//!
//! A life goes through every verb: created and started, ended by itself and made again, stopped,
//! started under a newer intent, removed. It is lived once for each commit and each side of it: the
//! commit is lost with the crash, or it is on the disk and nobody was told. What a backend was asked
//! for lies between two commits, so each of its effects has a crash right before and right after it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use fleet_model::driver::RunState;
use fleet_model::item::{ItemKey, Phase};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_store::sim::Fault;
use serde_json::json;

use super::script::workload;
use super::{Fixture, KEEP_ATTEMPT, until};

/// One act of a life, and what is to be seen after it.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// The controller wants something else.
    Want(Option<Desired>),
    /// The program ends by itself, with this code.
    End(i32),
}

const LIFE: [(Act, WorkloadState, u64); 5] = [
    (Act::Want(Some(Desired::Running)), WorkloadState::Running, 1),
    (Act::End(1), WorkloadState::Running, 2),
    (Act::Want(Some(Desired::Stopped)), WorkloadState::Exited, 2),
    (Act::Want(Some(Desired::Running)), WorkloadState::Running, 1),
    (Act::Want(None), WorkloadState::Exited, 0),
];

/// Lives once, with a fault at the `nth` commit. Says whether the fault fired, or what went wrong.
async fn live(nth: u64, fault: Fault, patience: Duration) -> Result<bool, String> {
    let mut node = Fixture::off();
    node.disk.inject(nth, fault);
    node.boot().await;
    let mut restarted = false;
    let mut generation = 0;
    for (act, reached, attempt) in LIFE {
        match act {
            Act::Want(desired) => {
                generation = node
                    .script
                    .want_with(1, desired, json!({"restart": "on-failure"}));
            }
            Act::End(code) => node.world.exit_all(code),
        }
        let deadline = tokio::time::Instant::now() + patience;
        loop {
            if !restarted && node.disk.counters().crashes_in_commit == 1 {
                node.crash().await;
                node.boot().await;
                restarted = true;
            }
            let seen = node.script.heard(|heard| {
                let status = heard.statuses.get(&ItemKey::workload(workload(1)))?;
                let detail = &status.detail;
                (status.generation.0 == generation).then(|| {
                    (
                        status.phase,
                        detail["state"].clone(),
                        detail["attempt"].as_u64(),
                    )
                })
            });
            match (act, &seen) {
                (Act::Want(None), Some((Phase::Removed, ..))) => break,
                (Act::Want(Some(_)) | Act::End(_), Some((_, state, tries)))
                    if state == reached.as_str() && *tries == Some(attempt) =>
                {
                    break;
                }
                _ => {}
            }
            if tokio::time::Instant::now() >= deadline {
                return Err(format!(
                    "{act:?} never led to {reached} in try {attempt}: {seen:?}"
                ));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let effects = node.world.effects();
    if effects.values().any(|count| *count != 1) {
        return Err(format!("an op had more than one effect: {effects:#?}"));
    }
    let starts: Vec<_> = effects.keys().filter(|op| op.ends_with(":start")).collect();
    if starts.len() != 3 {
        return Err(format!("not one start per try: {starts:?}"));
    }
    if !node.world.runtimes().is_empty() {
        return Err(format!("something is left: {:?}", node.world.runtimes()));
    }
    let told = until("the events", || {
        let told: Vec<_> = node.script.heard(|heard| {
            let entries = heard.packets.values();
            entries.map(|entry| entry.event.kind.clone()).collect()
        });
        (told.len() >= 6).then_some(told)
    })
    .await;
    if told != ["workload.started", "workload.exited"].repeat(3) {
        return Err(format!("the events are others: {told:?}"));
    }
    let fired = node.disk.counters().crashes_in_commit == 1;
    node.stop().await;
    Ok(fired)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_on_either_side_of_any_commit_of_a_life_changes_nothing() {
    let mut lives = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for nth in 1.. {
            let fired = live(nth, fault, Duration::from_secs(20))
                .await
                .unwrap_or_else(|error| panic!("{fault:?} at commit {nth}: {error}"));
            if !fired {
                // The life has fewer commits: each of them has had its crash.
                break;
            }
            lives += 1;
            assert!(nth < 200, "a life has an end");
        }
    }
    // Identity, session, and for each of three tries begin, created, started, ended, and more.
    assert!(lives > 2 * 16, "only {lives} crashes fired");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_raised_attempt_the_same_life_is_found_wrong() {
    KEEP_ATTEMPT.store(true, Ordering::Relaxed);
    let lived = live(10_000, Fault::CrashBefore, Duration::from_secs(2)).await;
    KEEP_ATTEMPT.store(false, Ordering::Relaxed);
    let wrong = lived.expect_err("a try under an old number was not noticed");
    assert!(wrong.contains("in try 2"), "{wrong}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_waited_out() {
    let mut node = Fixture::start().await;
    for nth in 1..=3 {
        node.disk.inject(nth, Fault::DiskFull);
    }
    node.script.want(1, Some(Desired::Running));
    until("running", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    assert_eq!(node.disk.counters().disk_full, 3, "the fault fired");
    assert!(
        node.world
            .runtimes()
            .values()
            .all(|runtime| runtime.state == RunState::Running)
    );
    assert!(node.world.effects().values().all(|count| *count == 1));
    node.stop().await;
}
