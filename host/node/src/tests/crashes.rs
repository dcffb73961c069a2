//! The host crashes at every durable step in turn; afterwards all is as if it had not.

use fleet_model::driver::RunState;
use fleet_model::item::{ItemKey, Phase};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_store::sim::Fault;

use super::script::workload;
use super::{Fixture, until};

/// Runs one workload through its whole life while the `nth` commit from the start meets `fault`,
/// restarting the host whenever its disk has crashed. Says whether the fault fired.
async fn life_with_a_crash_at(nth: u64) -> bool {
    let mut node = Fixture::off();
    node.disk.inject(nth, Fault::Crash);
    node.boot().await;
    let mut restarts = 0;
    for (desired, reached) in [
        (Some(Desired::Running), WorkloadState::Running),
        (Some(Desired::Stopped), WorkloadState::Exited),
        (Some(Desired::Running), WorkloadState::Running),
        (None, WorkloadState::Exited),
    ] {
        let generation = node.script.want(1, desired);
        let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
        loop {
            if restarts == 0 && node.disk.counters().crashes_in_commit == 1 {
                node.crash().await;
                node.boot().await;
                restarts = 1;
            }
            let done = node.script.heard(|heard| {
                let status = heard.statuses.get(&ItemKey::workload(workload(1)))?;
                (status.generation.0 == generation)
                    .then_some((status.phase, status.detail["state"].clone()))
            });
            match (desired, done) {
                (None, Some((Phase::Removed, _))) => break,
                (Some(_), Some((_, state))) if state == reached.as_str() => break,
                _ => {}
            }
            assert!(
                tokio::time::Instant::now() < deadline,
                "commit {nth}: {desired:?} was never reached"
            );
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let effects = node.world.effects();
    assert!(
        effects.values().all(|count| *count == 1),
        "commit {nth}: {effects:#?}"
    );
    let starts: Vec<_> = effects.keys().filter(|op| op.ends_with(":start")).collect();
    assert_eq!(
        starts.len(),
        2,
        "commit {nth}: one start per intent to run: {effects:#?}"
    );
    assert!(
        node.world.runtimes().is_empty(),
        "commit {nth}: nothing is left"
    );
    let told = until("the events", || {
        let told: Vec<_> = node.script.heard(|heard| {
            heard
                .packets
                .values()
                .map(|packet| packet.event.kind.clone())
                .collect()
        });
        (told.len() >= 4).then_some(told)
    })
    .await;
    assert_eq!(
        told,
        [
            "workload.started",
            "workload.exited",
            "workload.started",
            "workload.exited"
        ],
        "commit {nth}"
    );
    let fired = node.disk.counters().crashes_in_commit == 1;
    node.stop().await;
    fired
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_commit_of_a_life_changes_nothing() {
    let mut nth = 0;
    loop {
        nth += 1;
        if !life_with_a_crash_at(nth).await {
            break;
        }
        assert!(nth < 200, "a life has an end");
    }
    // Identity, session, two intents to run with begin, created, started and ended each, and more.
    assert!(nth > 12, "only {nth} commits were tried");
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
