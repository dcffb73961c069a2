//! Ending, removing and watching.

use std::fs;
use std::path::Path;

use fleet_capability::{Open, OutputOptions, ProcessState, Processes, Stream};
use fleet_model::driver::KillTarget;
use fleet_model::{ErrorKind, Op, Verb};
use futures::StreamExt;

use crate::harness::{BOTH, Host, Run, any_op, caller, joined, lives, members, op, until, within};

/// A daemon as daemons are: in a session of its own, with its parent gone.
const DAEMON: &str =
    "sh -c 'setsid nohup sh -c \"echo \\$\\$ > daemon; sleep 61\" >/dev/null 2>&1 & '; ";

async fn daemon(run: &Run<'_>) -> u32 {
    run.file("daemon").await.parse().unwrap()
}

fn group(run: &Run<'_>) -> Option<String> {
    match &run.prepared.kill_target {
        Some(KillTarget::Cgroup { path }) => Some(path.clone()),
        _ => None,
    }
}

#[tokio::test]
async fn nothing_of_a_killed_tree_is_left() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script(&format!("{DAEMON} sleep 62 & sleep 63")).await;
        let pid = run.start().await.pid.unwrap();
        let daemon = daemon(&run).await;
        assert!(lives(daemon) && lives(pid));
        run.kill().await;
        let exit = run.exit().await;
        assert_eq!((exit.code, exit.signal.as_deref()), (137, Some("KILL")));
        assert!(!lives(daemon) && !lives(pid), "exited means gone");
        run.kill().await;
        run.signal("TERM").await;
        let has_cgroups = host.processes.facilities()["isolation"].starts_with("cgroup");
        assert_eq!(group(&run).is_some(), has_cgroups);
        if let Some(group) = group(&run) {
            assert!(!Path::new(&group).exists());
        }
    }
}

#[tokio::test]
async fn an_exit_is_told_when_what_it_left_behind_is_gone() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host
            .script(&format!(
                "{DAEMON} while [ ! -s daemon ]; do :; done; exit 4"
            ))
            .await;
        assert_eq!(run.run().await.code, 4);
        assert!(!lives(daemon(&run).await));
        let frames = run.output(OutputOptions::default()).await;
        let said = String::from_utf8(joined(&frames, Stream::Event)).unwrap();
        assert!(said.contains("run it in the foreground"), "{said}");
        if let Some(group) = group(&run) {
            until(|| (!Path::new(&group).parent().unwrap().exists()).then_some(())).await;
        }
    }
}

#[tokio::test]
async fn a_signal_reaches_the_program_and_its_group() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host
            .script("trap 'echo got >> seen; exit 9' TERM; echo ready > ready; sleep 64 & wait")
            .await;
        run.start().await;
        run.file("ready").await;
        run.signal("SIGTERM").await;
        assert_eq!(run.exit().await.code, 9);
        assert_eq!(run.file("seen").await, "got");
    }
}

#[tokio::test]
async fn an_op_that_is_asked_for_again_signals_once() {
    let host = Host::new();
    let script = "trap 'echo one >> seen' USR1; trap 'echo two >> seen' USR2; \
        trap 'echo bye >> seen; exit 9' TERM; echo ready > ready; while :; do sleep 0.01; done";
    let run = host.script(script).await;
    // Nobody is there to take it: the same op is for whoever comes.
    run.signal("TERM").await;
    run.start().await;
    run.file("ready").await;
    let keyed = |key: &str| Op {
        call: key.to_owned(),
        ..op(&run.request, Verb::Signal)
    };
    let seen = async |all: &str| {
        let path = run.workspace().join("seen");
        until(|| (fs::read_to_string(&path).ok()? == all).then_some(())).await;
    };
    run.signal_under(&keyed("a"), "USR1").await;
    seen("one\n").await;
    for _ in 0..3 {
        run.signal_under(&keyed("a"), "USR1").await;
    }
    // What comes later is seen later.
    run.signal_under(&keyed("b"), "USR2").await;
    seen("one\ntwo\n").await;
    run.signal_under(&keyed("c"), "USR1").await;
    seen("one\ntwo\none\n").await;
    run.signal("TERM").await;
    assert_eq!(run.exit().await.code, 9);
    seen("one\ntwo\none\nbye\n").await;
}

#[tokio::test]
async fn a_program_deaf_to_term_is_killed_all_the_same() {
    let host = Host::new();
    let run = host
        .script("trap '' TERM; echo ready > ready; while :; do sleep 0.05; done")
        .await;
    run.start().await;
    run.file("ready").await;
    run.signal("TERM").await;
    assert_eq!(run.inspect().await.state, ProcessState::Running);
    run.kill().await;
    assert_eq!(run.exit().await.code, 137);
}

#[tokio::test]
async fn what_was_killed_before_it_started_never_starts() {
    let host = Host::new();
    let run = host.script("echo ran > effects").await;
    run.signal("TERM").await;
    assert_eq!(run.inspect().await.state, ProcessState::Prepared);
    run.kill().await;
    run.kill().await;
    assert!(matches!(run.start().await.state, ProcessState::Exited(exit) if exit.code == 137));
    assert!(!run.workspace().join("effects").exists());
}

#[tokio::test]
async fn the_end_closes_when_the_process_ends_and_at_once_when_it_has() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script("read line < go; exit 3").await;
        let fifo = run.workspace().join("go");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let open = || async {
            host.processes
                .open(&caller(), &run.reference, Open::End)
                .await
                .unwrap()
                .output
        };

        let mut early = open().await;
        assert!(futures::poll!(early.next()).is_pending());
        run.start().await;
        let mut late = open().await;
        for end in [&mut early, &mut late] {
            let quiet =
                tokio::time::timeout(std::time::Duration::from_millis(300), end.next()).await;
            assert!(quiet.is_err(), "it closed while the process runs");
        }
        fs::write(&fifo, "go\n").unwrap();
        assert_eq!(within(early.next()).await, None);
        assert_eq!(within(late.next()).await, None);
        assert!(matches!(run.inspect().await.state, ProcessState::Exited(exit) if exit.code == 3));
        assert_eq!(within(open().await.next()).await, None);
    }
}

#[tokio::test]
async fn a_removed_process_leaves_nothing_but_its_log() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script(&format!("echo hello; {DAEMON} sleep 65")).await;
        let pid = run.start().await.pid.unwrap();
        let daemon = daemon(&run).await;
        run.remove().await;
        assert!(!lives(pid) && !lives(daemon));
        until(|| members(&run.slot()).is_empty().then_some(())).await;
        assert!(!run.slot().exists());
        if let Some(group) = group(&run) {
            let group = Path::new(&group);
            // The group, and the folders of this host, which had no other process.
            assert!(!group.exists() && !group.parent().unwrap().exists());
        }
        run.remove().await;
        let error = host
            .processes
            .inspect(&caller(), &run.reference)
            .await
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::NotFound);
        let log = fs::read_to_string(run.workload_folder().join("logs/00000001.log")).unwrap();
        assert!(log.ends_with(" stdout F hello\n"), "{log}");

        host.processes
            .workspaces()
            .remove(run.request.workload)
            .unwrap();
        assert!(!run.workload_folder().exists());
        assert_eq!(host.processes.workspaces().ids().unwrap(), []);
    }
}

#[tokio::test]
async fn a_fork_bomb_is_ended() {
    let host = Host::new();
    let script = "i=0; while [ $i -lt 60 ]; do (trap '' HUP TERM; while :; do sleep 0.01; done) & i=$((i+1)); done; echo ready > ready; wait";
    let run = host.script(script).await;
    run.start().await;
    run.file("ready").await;
    run.kill().await;
    assert_eq!(run.exit().await.code, 137);
    run.remove().await;
}

#[tokio::test]
async fn a_program_that_removes_its_own_records_is_ended_by_its_name() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host
            .script(&format!(
                "{DAEMON} while [ ! -s daemon ]; do :; done; rm -rf ../runs; echo gone > gone; sleep 64"
            ))
            .await;
        let pid = run.start().await.pid.unwrap();
        run.file("gone").await;
        let daemon = daemon(&run).await;
        let reference = &run.prepared.reference;
        let looked = host.processes.inspect(&caller(), reference).await;
        assert_eq!(looked.unwrap_err().kind, ErrorKind::NotFound);
        assert!(lives(pid) && lives(daemon));
        let killed = host.processes.kill(&caller(), &any_op(), reference).await;
        assert_eq!(killed.unwrap_err().kind, ErrorKind::NotFound);
        within(host.processes.remove(&caller(), &any_op(), reference))
            .await
            .unwrap();
        until(|| (!lives(pid) && !lives(daemon)).then_some(())).await;
        if let Some(group) = group(&run) {
            assert!(!Path::new(&group).exists());
        }
    }
}
