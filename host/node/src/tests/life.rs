//! One node, one controller, everything works.

use std::collections::BTreeSet;

use fleet_model::Error;
use fleet_model::driver::RunState;
use fleet_model::item::{ItemKey, Phase};
use fleet_model::workload::{Desired, WorkloadState};

use super::script::workload;
use super::{Fixture, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_is_made_runs_ends_and_is_removed() {
    let mut node = Fixture::start().await;
    let generation = node.script.want(1, Some(Desired::Running));
    let status = until("running", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    assert_eq!(status.0, generation);
    assert_eq!(status.1.attributes["pid"], "42");

    node.world.exit_all(3);
    let (_, status) = until("its end", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Exited)
    })
    .await;
    assert_eq!(status.exit.unwrap().code, 3);
    assert_eq!(
        status.attributes["pid"], "42",
        "what was known of it is still shown"
    );

    node.script.want(1, None);
    let key = ItemKey::workload(workload(1));
    until("its removal", || {
        node.script
            .heard(|heard| heard.statuses.get(&key).map(|status| status.phase))
            .filter(|phase| *phase == Phase::Removed)
    })
    .await;
    assert!(node.world.runtimes().is_empty());
    assert_eq!(node.world.removed_files(), 1);
    let told: Vec<_> = until("the events", || {
        let told: Vec<_> = node.script.heard(|heard| {
            heard
                .packets
                .values()
                .map(|packet| packet.event.kind.clone())
                .collect()
        });
        (told.len() == 2).then_some(told)
    })
    .await;
    assert_eq!(told, ["workload.started", "workload.exited"]);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_is_ignored_becomes_a_kill_and_a_start_makes_a_new_run() {
    let mut node = Fixture::start().await;
    let first = node.script.want(1, Some(Desired::Running));
    until("running", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    node.world.make_stubborn();
    let rest = node.script.want(1, Some(Desired::Stopped));
    let status = until("its end", || {
        node.script
            .status(1)
            .filter(|(generation, s)| *generation == rest && s.state == WorkloadState::Exited)
    })
    .await;
    assert_eq!(status.1.exit.unwrap().signal.as_deref(), Some("KILL"));

    let again = node.script.want(1, Some(Desired::Running));
    until("running again", || {
        node.script
            .status(1)
            .filter(|(generation, s)| *generation == again && s.state == WorkloadState::Running)
    })
    .await;
    let runtimes = node.world.runtimes();
    assert_eq!(
        runtimes.keys().map(|key| key.1).collect::<Vec<_>>(),
        [again],
        "{first} is gone"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_that_is_behind_changes_nothing_and_hears_so() {
    let mut node = Fixture::start().await;
    node.script.want(1, Some(Desired::Running));
    until("running", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    node.stop().await;
    node.script.forget(1);
    node.boot().await;
    let seen = until("the report", || {
        node.script.heard(|heard| heard.behind.first().copied())
    })
    .await;
    assert_eq!(seen.revision.0, 2);
    assert!(matches!(
        node.world.runtimes().values().next().unwrap().state,
        RunState::Running
    ));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn absence_deletes_nothing() {
    let mut node = Fixture::start().await;
    node.script.want(1, Some(Desired::Running));
    until("running", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    node.stop().await;
    // A full set of a later place that does not name the workload.
    node.script.forget(9);
    node.boot().await;
    node.script.want(2, Some(Desired::Running));
    until("the other to run", || {
        node.script
            .status(2)
            .filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    let running: BTreeSet<_> = node
        .world
        .runtimes()
        .into_iter()
        .filter(|(_, r)| r.state == RunState::Running)
        .map(|(key, _)| key.0)
        .collect();
    assert_eq!(
        running,
        BTreeSet::from([workload(1).to_string(), workload(2).to_string()])
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_is_started_again_later_and_later_as_its_policy_says() {
    let mut node = Fixture::start().await;
    let policy = serde_json::json!({"restart": "on-failure"});
    node.script.want_with(1, Some(Desired::Running), policy);
    for attempt in 1..=3 {
        until("a try to run", || {
            node.script.status(1).filter(|(_, status)| {
                status.state == WorkloadState::Running && status.attempt.0 == attempt
            })
        })
        .await;
        node.world.exit_all(7);
        let (_, status) = until("the pause", || {
            node.script
                .status(1)
                .filter(|(_, status)| status.state == WorkloadState::Restarting)
        })
        .await;
        assert_eq!(status.exit.unwrap().code, 7);
        let message = status.message.unwrap();
        assert!(
            message.contains("exited with code 7; it is started again after"),
            "{message}"
        );
    }
    until("the fourth try", || {
        node.script
            .status(1)
            .filter(|(_, status)| status.state == WorkloadState::Running)
    })
    .await;
    node.world.exit_all(0);
    let (_, status) = until("its end", || {
        node.script
            .status(1)
            .filter(|(_, status)| status.state == WorkloadState::Exited)
    })
    .await;
    assert_eq!((status.attempt.0, status.exit.unwrap().code), (4, 0));
    assert!(node.world.effects().values().all(|count| *count == 1));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_that_is_too_large_ends_its_workload_for_good() {
    let mut node = Fixture::start().await;
    let spec = serde_json::json!({"restart": "always", "limits": {"disk": "1MiB"}});
    node.script.want_with(1, Some(Desired::Running), spec);
    until("running", || {
        node.script
            .status(1)
            .filter(|(_, status)| status.state == WorkloadState::Running)
    })
    .await;
    node.world.fill(3 << 20);
    let (_, status) = until("its end", || {
        node.script
            .status(1)
            .filter(|(_, status)| status.state == WorkloadState::Failed)
    })
    .await;
    let message = status.message.unwrap();
    assert!(
        message.contains("3 MiB") && message.contains("1MiB"),
        "{message}"
    );
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_written_before_each_try_secrets_included() {
    let mut node = Fixture::start().await;
    let spec = serde_json::json!({"files": {"a/b.toml": "x = 1", "key": {"secret": "api-key"}}});
    node.script.want_with(1, Some(Desired::Running), spec);
    until("running", || {
        node.script
            .status(1)
            .filter(|(_, status)| status.state == WorkloadState::Running)
    })
    .await;
    let files = node.world.files();
    assert_eq!(files["a/b.toml"], b"x = 1");
    assert_eq!(files["key"], b"value-of-api-key");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_granted_gets_into_no_file() {
    let mut node = Fixture::start().await;
    node.world.forbid("api-key");
    let spec =
        serde_json::json!({"restart": "always", "files": {"a": "x", "key": {"secret": "api-key"}}});
    node.script.want_with(1, Some(Desired::Running), spec);
    let (_, status) = until("its failure", || {
        node.script
            .status(1)
            .filter(|(_, status)| status.state == WorkloadState::Failed)
    })
    .await;
    assert_eq!(status.message.as_deref(), Some("no secret api-key"));
    assert!(node.world.files().is_empty(), "{:?}", node.world.files());
    assert!(node.world.runtimes().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_removed_are_said_until_they_can() {
    let mut node = Fixture::start().await;
    node.script.want(1, Some(Desired::Running));
    until("running", || {
        let status = node.script.status(1);
        status.filter(|(_, s)| s.state == WorkloadState::Running)
    })
    .await;
    let error = Error::unavailable("workspace-foreign-files", "remove them");
    node.world.hold_files(Some(error));
    node.script.want(1, None);
    let key = ItemKey::workload(workload(1));
    let reported = || node.script.heard(|heard| heard.statuses.get(&key).cloned());
    let said = until("why it stays", || {
        reported().filter(|status| status.error.is_some())
    })
    .await;
    assert_eq!(said.phase, Phase::Progressing);
    assert_eq!(said.error.unwrap().code, "workspace-foreign-files");
    let message = said.detail["message"].as_str().unwrap();
    assert!(message.starts_with("remove them (tried"), "{message}");
    node.world.hold_files(None);
    until("its removal", || {
        reported().filter(|status| status.phase == Phase::Removed)
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_killed_is_seen_to_be_gone_though_its_watch_is_silent() {
    let mut node = Fixture::start().await;
    node.world.silence_watches();
    node.script.want(1, Some(Desired::Running));
    until("running", || {
        let status = node.script.status(1)?;
        (status.1.state == WorkloadState::Running).then_some(())
    })
    .await;
    let began = std::time::Instant::now();
    node.script.want(1, None);
    let key = ItemKey::workload(workload(1));
    until("its removal", || {
        let phase = node
            .script
            .heard(|heard| heard.statuses.get(&key).map(|status| status.phase));
        (phase == Some(Phase::Removed)).then_some(())
    })
    .await;
    // A second kill would have come after five seconds.
    assert!(began.elapsed().as_secs() < 4, "{:?}", began.elapsed());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn new_code_is_asked_what_it_sees() {
    let mut node = Fixture::start().await;
    node.script.want(1, Some(Desired::Running));
    let seen_by = |version: &'static str| {
        let script = &node.script;
        until("a look", move || {
            let attributes = script.status(1)?.1.attributes;
            (attributes.get("seen-by").map(String::as_str) == Some(version)).then_some(())
        })
    };
    seen_by("1").await;
    node.world.new_code("2");
    seen_by("2").await;
    node.world.new_code("3");
    seen_by("3").await;
    assert_eq!(
        node.world.effects().values().sum::<u32>(),
        2,
        "create and start"
    );
    node.stop().await;
}
