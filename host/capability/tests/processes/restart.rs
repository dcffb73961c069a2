//! The host goes and comes back; the shim dies; nobody knows.

use std::fs;

use fleet_capability::{Open, OutputOptions, ProcessState, Processes};
use fleet_model::ErrorKind;
use futures::StreamExt;

use crate::harness::{BOTH, Host, Run, caller, kill_9, lives, shim_of, stdout, until, within};

#[tokio::test]
async fn a_program_outlives_its_host_and_is_found_again() {
    for isolation in BOTH {
        let first = Host::isolated(isolation);
        let run = first
            .script("echo before; read line < go; echo after; exit 5")
            .await;
        let fifo = run.workspace().join("go");
        assert!(
            std::process::Command::new("mkfifo")
                .arg(&fifo)
                .status()
                .unwrap()
                .success()
        );
        let before = run.start().await;

        let second = first.again();
        let run = second.find(&run);
        drop(first);
        assert_eq!(run.inspect().await, before);
        assert_eq!(run.start().await, before);
        let source = second
            .processes
            .open(
                &caller(),
                &run.reference,
                Open::Output(OutputOptions {
                    follow: true,
                    ..Default::default()
                }),
            )
            .await
            .unwrap();
        let mut lines = source
            .output
            .map(|frame| String::from_utf8(frame.unwrap().bytes.to_vec()).unwrap());
        assert_eq!(within(lines.next()).await.unwrap(), "before");
        fs::write(&fifo, "go\n").unwrap();
        assert_eq!(within(lines.next()).await.unwrap(), "after");
        assert_eq!(run.exit().await.code, 5);
    }
}

#[test]
fn an_end_while_no_host_was_there_is_recorded() {
    let host = Host::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (reference, gone) = runtime.block_on(async {
        let run = host
            .script("echo $$ > pid; sleep 0.3; echo done; exit 6")
            .await;
        run.start().await;
        (
            run.reference.clone(),
            run.file("pid").await.parse().unwrap(),
        )
    });
    // With its runtime goes every task of the host.
    drop(runtime);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        until(|| (!lives(gone)).then_some(())).await;
        let next = host.again();
        let exit = within(async {
            loop {
                match next
                    .processes
                    .inspect(&caller(), &reference)
                    .await
                    .unwrap()
                    .state
                {
                    ProcessState::Exited(exit) => return exit,
                    ProcessState::Running => tokio::task::yield_now().await,
                    other => panic!("{other:?}"),
                }
            }
        })
        .await;
        assert_eq!(exit.code, 6);
    });
}

#[tokio::test]
async fn a_claim_of_which_nothing_is_known_is_lost() {
    let host = Host::new();
    let no_one = r#"{"pid":999999,"start_ticks":1,"boot_id":"BOOT"}"#;
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for (claim, why) in [
        (String::new(), "nothing was recorded"),
        (r#"{"by":"shi"#.to_owned(), "nothing was recorded"),
        (
            format!(r#"{{"by":"shim","program":{no_one},"shim":{no_one},"at_ms":1}}"#),
            "machine restarted",
        ),
        (
            format!(r#"{{"by":"shim","program":{no_one},"shim":{no_one},"at_ms":1}}"#)
                .replace("BOOT", boot.trim()),
            "so is the shim",
        ),
    ] {
        let run = host.script("echo ran > effects").await;
        fs::write(run.slot().join("claim"), &claim).unwrap();
        match run.inspect().await.state {
            ProcessState::Lost(found) => assert!(found.contains(why), "{found}"),
            other => panic!("{claim}: {other:?}"),
        }
        let error = run.try_start().await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Other, "start-lost")
        );
        assert!(!run.workspace().join("effects").exists());
        let mut end = host
            .processes
            .open(&caller(), &run.reference, Open::End)
            .await
            .unwrap()
            .output;
        assert_eq!(within(end.next()).await, None);
        run.kill().await;
        run.remove().await;
        assert!(!run.slot().exists());
    }
}

#[tokio::test]
async fn a_program_whose_shim_was_killed_still_runs_and_can_be_ended() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script("sleep 66 & echo $! > child; sleep 67").await;
        let pid = run.start().await.pid.unwrap();
        let child: u32 = run.file("child").await.parse().unwrap();
        kill_9(shim_of(&run));
        until(|| (!lives(shim_of(&run))).then_some(())).await;
        let status = run.inspect().await;
        assert_eq!(status.state, ProcessState::Running);
        assert_eq!(
            status.attributes.get("shim").map(String::as_str),
            Some("lost")
        );
        run.kill().await;
        until(|| (!lives(pid) && !lives(child)).then_some(())).await;
        assert!(matches!(run.inspect().await.state, ProcessState::Lost(_)));
        run.remove().await;
    }
}

#[tokio::test]
async fn tries_of_one_workload_share_a_log() {
    let host = Host::new();
    let run = host.script("echo from $N").await;
    let mut request = run.request.clone();
    for attempt in 2..=3 {
        request.env.insert("N".into(), attempt.to_string());
        let mut op = crate::harness::op(&request, fleet_model::Verb::Create);
        op.attempt = fleet_model::Attempt(attempt);
        let prepared = host
            .processes
            .prepare(&caller(), &crate::harness::any(), &op, request.clone())
            .await
            .unwrap();
        let next = Run {
            reference: prepared.reference.clone(),
            prepared,
            ..host.find(&run)
        };
        assert_eq!(next.run().await.code, 0);
    }
    assert_eq!(
        stdout(&run.output(OutputOptions::default()).await),
        "from 2\nfrom 3\n"
    );
}
