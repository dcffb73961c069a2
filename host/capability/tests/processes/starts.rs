//! A start happens once, whoever asks how often; what it runs in; how it ends.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use fleet_capability::{Launcher, OutputOptions, ProcessState, Processes, Stdin};
use fleet_model::driver::KillTarget;
use fleet_model::{ErrorKind, Verb};
use futures::future::join_all;

use crate::harness::{BOTH, Host, any, caller, lives, members, op, request, stdout, until};

#[tokio::test]
async fn exit_codes_and_signals_are_told_as_they_were() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        for (script, code, signal) in [
            ("exit 0", 0, None),
            ("exit 7", 7, None),
            ("kill -9 $$", 137, Some("KILL")),
            ("kill -TERM $$", 143, Some("TERM")),
        ] {
            let run = host.script(script).await;
            assert_eq!(run.inspect().await.state, ProcessState::Prepared);
            let exit = run.run().await;
            assert_eq!(
                (exit.code, exit.signal.as_deref()),
                (code, signal),
                "{script}"
            );
            let status = run.inspect().await;
            assert_eq!(status.attributes.get("signal").map(String::as_str), signal);
            assert!(status.started_at_ms.unwrap() <= exit.at_ms.unwrap());
            assert_eq!(status.pid, None);
        }
    }
}

#[tokio::test]
async fn the_program_runs_where_and_as_it_was_promised() {
    let host = Host::new();
    let script = "pwd; echo $0; env | sort; grep -i 'sig[bi]' /proc/self/status; cat; \
        ps -o pgid= -p $$; echo $$; ls /proc/self/fd";
    let mut request = request(&["sh", "-c", script, "a b"]);
    request.stdin = Stdin::Null;
    request.env = BTreeMap::from([
        ("MINE".into(), "x=y z".into()),
        ("HOME".into(), "/nowhere".into()),
    ]);
    let run = host.prepared(request).await;
    let mode = |name: &str| {
        fs::metadata(run.workload_folder().join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(
        (
            mode("runs/1.1/request.json"),
            mode("runs/1.1"),
            mode("workspace")
        ),
        (0o600, 0o700, 0o700)
    );
    assert_eq!(run.run().await.code, 0);

    let text = stdout(&run.output(OutputOptions::default()).await);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(fs::canonicalize(lines[0]).unwrap(), run.workspace());
    assert_eq!(lines[1], "a b");
    assert!(
        lines.contains(&"MINE=x=y z") && lines.contains(&"HOME=/nowhere"),
        "{text}"
    );
    assert!(lines.iter().any(|line| line.starts_with("PATH=")));
    assert!(
        !text.contains("FLEET_SHIM") && !text.contains("CARGO"),
        "{text}"
    );
    let [.., group, own, zero, one, two, three] = lines.as_slice() else {
        panic!("{text}")
    };
    assert_eq!(group.trim(), *own, "it leads its group");
    // `ls` itself holds 3 while it looks; whatever the host was left open by its parent is not there.
    assert_eq!([*zero, *one, *two, *three], ["0", "1", "2", "3"], "{text}");
    for name in ["SigBlk", "SigIgn"] {
        let line = lines.iter().find(|line| line.starts_with(name)).unwrap();
        // Above 31 are real-time signals, which nobody but libraries touches.
        let mask = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
        assert_eq!(mask & 0x7fff_ffff, 0, "{line}");
    }
}

#[tokio::test]
async fn a_repeated_prepare_has_the_same_answer_and_another_request_is_refused() {
    let host = Host::new();
    let run = host.script("exit 0").await;
    let again = |request| {
        let op = op(&run.request, Verb::Create);
        let host = &host;
        async move {
            host.processes
                .prepare(&caller(), &any(), &op, request)
                .await
        }
    };
    assert_eq!(again(run.request.clone()).await.unwrap(), run.prepared);
    let mut other = run.request.clone();
    other.env.insert("A".into(), "b".into());
    let error = again(other).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Conflict, "prepared-otherwise")
    );
    if let Some(KillTarget::Cgroup { path }) = &run.prepared.kill_target {
        assert!(path.ends_with(&run.reference.replace('/', ".")), "{path}");
    }
}

#[tokio::test]
async fn the_same_start_again_has_no_second_effect() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host.script("echo $$ >> effects; sleep 60").await;
        let first = run.start().await;
        let second = run.start().await;
        assert_eq!(first, second);
        assert_eq!(first.state, ProcessState::Running);
        assert_eq!(run.file("effects").await, first.pid.unwrap().to_string());
        run.kill().await;
        let exit = run.exit().await;
        assert_eq!(run.start().await.state, ProcessState::Exited(exit));
        assert_eq!(run.file("effects").await.lines().count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_starts_at_once_have_one_effect() {
    let host = Host::new();
    let run = host.script("echo $$ >> effects; sleep 60").await;
    let answers = join_all((0..20).map(|_| run.try_start())).await;
    let pids: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.unwrap().pid.unwrap())
        .collect();
    assert!(pids.iter().all(|pid| *pid == pids[0]), "{pids:?}");
    assert_eq!(run.file("effects").await, pids[0].to_string());
    // Nor is anything left of the shims that came too late.
    until(|| (members(&run.slot()).len() == 1).then_some(())).await;
    assert!(lives(pids[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_programs_at_once_each_run_once() {
    let host = Host::new();
    let mut runs = Vec::new();
    for _ in 0..40 {
        runs.push(host.script("echo ran >> effects").await);
    }
    let exits = join_all(runs.iter().map(|run| run.run())).await;
    assert!(exits.iter().all(|exit| exit.code == 0));
    for run in &runs {
        assert_eq!(
            fs::read_to_string(run.workspace().join("effects")).unwrap(),
            "ran\n"
        );
    }
    let (page, next) = host.processes.list(&caller(), None, 25).await.unwrap();
    assert_eq!(page.len(), 25);
    let (rest, end) = host
        .processes
        .list(&caller(), next.as_deref(), 25)
        .await
        .unwrap();
    assert_eq!((rest.len(), end), (15, None));
    assert!(
        page.iter()
            .chain(&rest)
            .zip(&runs)
            .all(|(listed, run)| listed.reference == run.reference)
    );
}

#[tokio::test]
async fn what_cannot_be_executed_answers_the_same_each_time() {
    let host = Host::new();
    let folder = host.folder.path().join("bin");
    fs::create_dir(&folder).unwrap();
    let program = folder.join("program");
    for (content, code, exit_code) in [
        ("#!/no/such/interpreter\n", "program-missing", 127),
        ("gone", "program-missing", 127),
    ] {
        fs::write(&program, content).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let run = host.command(&[program.to_str().unwrap()]).await;
        if content == "gone" {
            fs::remove_file(&program).unwrap();
        }
        let first = run.try_start().await.unwrap_err();
        assert_eq!(
            (first.kind, first.code.as_str()),
            (ErrorKind::Invalid, code),
            "{first}"
        );
        assert!(first.message.contains("install"), "{first}");
        fs::write(&program, "#!/bin/sh\n").unwrap();
        assert_eq!(run.try_start().await.unwrap_err(), first);
        let status = run.inspect().await;
        assert!(matches!(&status.state, ProcessState::Exited(exit) if exit.code == exit_code));
        assert_eq!(status.attributes.get("start-error"), Some(&first.message));
    }
}

#[tokio::test]
async fn a_program_changed_after_it_was_checked_is_not_started() {
    let host = Host::new();
    let program = host.folder.path().join("program");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let launcher = Launcher {
        executable: Some(program.clone()),
        sha256: Some("a8076d3d28d21e02012b20eaf7dbf75409a6277134439025f282e368e3305abf".into()),
        ..Launcher::default()
    };
    let request = request(&["program"]);
    let prepared = host
        .processes
        .prepare(
            &caller(),
            &launcher,
            &op(&request, Verb::Create),
            request.clone(),
        )
        .await
        .unwrap();
    fs::write(&program, "#!/bin/sh\necho evil > effects\n").unwrap();
    for _ in 0..2 {
        let error = host
            .processes
            .start(&caller(), &op(&request, Verb::Start), &prepared.reference)
            .await
            .unwrap_err();
        assert_eq!(error.code, "program-changed");
    }
    assert!(
        !host
            .processes
            .workspaces()
            .path(request.workload)
            .join("effects")
            .exists()
    );
}
