//! What is refused, and that the refusal says what to do.

use fleet_capability::{Caller, Launcher, LocalProcesses, Open, Processes, ShimCommand};
use fleet_model::{ErrorKind, Verb};

use crate::harness::{Host, any, any_op, caller, op, request};

#[tokio::test]
async fn a_command_that_cannot_run_is_refused_before_anything_is_made() {
    let host = Host::new();
    let mut directory = host.folder.path().to_path_buf();
    directory.push("workloads");
    for (command, code) in [
        ("no-such-program", "program-missing"),
        ("/no/such/program", "program-missing"),
        (directory.to_str().unwrap(), "program-is-directory"),
        ("/etc/passwd", "program-not-executable"),
        ("", "bad-command"),
    ] {
        let request = request(&[command]);
        let refused = host
            .processes
            .prepare(
                &caller(),
                &any(),
                &op(&request, Verb::Create),
                request.clone(),
            )
            .await;
        let error = refused.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Invalid, code),
            "{error}"
        );
    }
    assert_eq!(host.processes.workspaces().ids().unwrap(), []);
    assert_eq!(
        host.processes.list(&caller(), None, 10).await.unwrap(),
        (Vec::new(), None)
    );
}

#[tokio::test]
async fn a_program_no_launcher_allows_is_told_what_it_allows() {
    let host = Host::new();
    let launcher = Launcher {
        executable: Some("/bin/echo".into()),
        ..Launcher::default()
    };
    let request = request(&["sh", "-c", "true"]);
    let op = op(&request, Verb::Create);
    let error = host
        .processes
        .prepare(&caller(), &launcher, &op, request)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "no-launcher-rule")
    );
    assert!(error.message.contains("needs another launcher"), "{error}");
}

#[tokio::test]
async fn an_op_of_another_workload_is_refused() {
    let host = Host::new();
    let error = host
        .processes
        .prepare(&caller(), &any(), &any_op(), request(&["true"]))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Invalid, "bad-op")
    );
}

#[tokio::test]
async fn another_plugins_process_is_not_there() {
    let host = Host::new();
    let run = host.script("echo ran > effects").await;
    let other = Caller {
        plugin: "other".parse().unwrap(),
    };
    let processes = &host.processes;
    let reference = run.reference.as_str();
    let kinds = [
        processes
            .start(&other, &any_op(), reference)
            .await
            .map(|_| ()),
        processes.signal(&other, &any_op(), reference, "TERM").await,
        processes.kill(&other, &any_op(), reference).await,
        processes.inspect(&other, reference).await.map(|_| ()),
        processes.remove(&other, &any_op(), reference).await,
        processes
            .open(&other, reference, Open::End)
            .await
            .map(|_| ()),
    ]
    .map(|answer| answer.unwrap_err().kind);
    assert_eq!(kinds, [ErrorKind::NotFound; 6]);
    assert_eq!(
        processes.list(&other, None, 10).await.unwrap(),
        (Vec::new(), None)
    );
    assert_eq!(
        processes.list(&caller(), None, 10).await.unwrap().0.len(),
        1
    );
    let taken = processes
        .prepare(
            &other,
            &any(),
            &op(&run.request, Verb::Create),
            run.request.clone(),
        )
        .await;
    assert_eq!(taken.unwrap_err().kind, ErrorKind::Conflict);
    assert_eq!(run.run().await.code, 0);
}

#[tokio::test]
async fn a_reference_cannot_leave_the_folder() {
    let host = Host::new();
    let run = host.script("true").await;
    let id = run.request.workload;
    for bad in [
        "",
        "..",
        "../1.1",
        "/etc/1.1",
        &format!("{id}/../{id}/1.1"),
        &format!("{id}/1.1/"),
        &format!("{id}/01.1"),
        &format!("./{id}/1.1"),
    ] {
        let processes = &host.processes;
        let codes = [
            processes.inspect(&caller(), bad).await.map(|_| ()),
            processes.kill(&caller(), &any_op(), bad).await,
            processes.remove(&caller(), &any_op(), bad).await,
            processes.open(&caller(), bad, Open::End).await.map(|_| ()),
        ]
        .map(|answer| answer.unwrap_err().code);
        assert!(
            codes.iter().all(|code| code == "bad-reference"),
            "{bad}: {codes:?}"
        );
    }
    assert!(run.slot().exists());
}

#[tokio::test]
async fn an_unknown_signal_names_the_known_ones() {
    let host = Host::new();
    let run = host.script("true").await;
    let error = host
        .processes
        .signal(&caller(), &any_op(), &run.reference, "SIGNOPE")
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Invalid, "unknown-signal")
    );
    assert!(error.message.contains("TERM"));
}

#[tokio::test]
async fn without_a_shim_a_start_fails_and_can_be_tried_again() {
    let host = Host::new();
    let run = host.script("exit 3").await;
    for program in ["/no/such/shim", "/bin/true"] {
        let shim = ShimCommand {
            program: program.into(),
            args: Vec::new(),
        };
        let root = host.folder.path().join("workloads");
        let broken =
            LocalProcesses::open(&root, shim, std::sync::Arc::new(fleet_seam::SystemClock))
                .unwrap();
        let error = broken
            .start(&caller(), &op(&run.request, Verb::Start), &run.reference)
            .await
            .unwrap_err();
        assert!(error.kind.is_retryable(), "{error:?}");
    }
    assert_eq!(run.run().await.code, 3);
}

#[tokio::test]
async fn what_this_machine_offers_is_said() {
    for isolation in crate::harness::BOTH {
        let host = Host::isolated(isolation);
        let said = host.processes.facilities();
        assert!(said.contains_key("isolation"), "{said:?}");
        if isolation == fleet_capability::cgroup::Choice::ProcessGroup {
            assert_eq!(said["isolation"], "process group and subreaper");
            assert!(said.contains_key("isolation-reason"));
        }
    }
}
