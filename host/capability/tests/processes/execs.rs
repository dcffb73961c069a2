//! Programs beside a process: started once, ended with it, and nothing of them left.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use fleet_capability::cgroup::Choice;
use fleet_capability::{Caller, Claims, Launcher, Open, Processes, ShimPoint, Stdin};
use fleet_model::exec::ExecState;
use fleet_model::{Error, ErrorKind};
use futures::StreamExt;
use futures::future::join_all;

use crate::crashes::{recording, shim_again};
use crate::exec_harness::{Beside, exec_op, script, words};
use crate::harness::{BOTH, Host, Run, any, caller, kill_9, lives, members, until, within};

/// A process that runs until it is told to end.
async fn host_of(host: &Host) -> Run<'_> {
    let run = host
        .script("mkfifo go; echo ready > ready; read line < go")
        .await;
    run.start().await;
    run.file("ready").await;
    run
}

fn refused<T>(answer: Result<T, Error>) -> (ErrorKind, String) {
    let error = answer.err().expect("it was not refused");
    (error.kind, error.code)
}

fn is(kind: ErrorKind, code: &str) -> (ErrorKind, String) {
    (kind, code.to_owned())
}

fn effects(run: &Run<'_>) -> usize {
    let text = fs::read_to_string(run.workspace().join("effects")).unwrap_or_default();
    text.lines().count()
}

#[tokio::test]
async fn exit_codes_and_signals_are_told_as_they_were() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host_of(&host).await;
        for (text, code, signal) in [
            ("exit 0", 0, None),
            ("echo out; echo err >&2; exit 7", 7, None),
            ("kill -9 $$", 137, Some("KILL")),
        ] {
            let exec = run.exec(text, script(text)).await;
            let seen = exec.output(0).await;
            let exit = exec.exit().await;
            assert_eq!((exit.code, exit.signal.as_deref()), (code, signal));
            if code == 7 {
                assert_eq!(
                    (&seen.stdout[..], &seen.stderr[..]),
                    (&b"out\n"[..], &b"err\n"[..])
                );
            }
            // All was seen: nobody stays for it.
            let (shim, program) = exec.pids();
            until(|| (!lives(shim) && !lives(program)).then_some(())).await;
            assert_eq!(exec.exit().await, exit);
        }
    }
}

#[tokio::test]
async fn it_runs_where_the_process_does_and_as_it_does() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let mut request = crate::harness::request(&["sh", "-c", "echo > ready; sleep 60"]);
        request.env.insert("MINE".into(), "mine".into());
        request.env.insert("OTHER".into(), "other".into());
        let run = host.prepared(request).await;
        run.start().await;
        run.file("ready").await;
        let text = "pwd; echo $MINE $OTHER; echo $FLEET_TRY; test -S $FLEET_PACKET_SOCKET && echo socket; \
            cat /proc/self/cgroup; ps -o pgid= -p $$; echo $$; ls /proc/self/fd";
        let mut wanted = script(text);
        wanted.stdin = Stdin::Null;
        wanted.env.insert("OTHER".into(), "own".into());
        wanted.env.insert("FLEET_TRY".into(), "forged".into());
        let text = run.exec("env", wanted).await.output(0).await.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(fs::canonicalize(lines[0]).unwrap(), run.workspace());
        assert_eq!(lines[1], "mine own");
        assert!(lines[2].starts_with(&run.reference), "{text}");
        assert_eq!(lines[3], "socket");
        if run.prepared.kill_target.is_some() {
            assert!(text.contains(&run.reference.replace('/', ".")), "{text}");
        }
        let [.., group, own, zero, one, two, three] = lines.as_slice() else {
            panic!("{text}")
        };
        assert_eq!(group.trim(), *own, "it leads its group");
        assert_eq!([*zero, *one, *two, *three], ["0", "1", "2", "3"], "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_is_one_start_however_often_it_is_asked_for() {
    let host = Host::new();
    let other = host.again();
    let run = host_of(&host).await;
    let again = other.find(&run);
    let request = script("echo $$ >> effects; sleep 60");
    let asked = (0..20).map(|turn| {
        let run = if turn % 2 == 0 { &run } else { &again };
        run.try_exec("same", request.clone())
    });
    let answers: Vec<Beside<'_>> = join_all(asked)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    run.file("effects").await;
    assert_eq!(effects(&run), 1);
    // Nor is anything left of the shims that came too late.
    let slot = &answers[0].slot;
    until(|| (members(slot).len() == 1).then_some(())).await;
    run.exec("same", request.clone()).await;
    assert_eq!(
        refused(run.try_exec("same", script("echo other >> effects")).await),
        is(ErrorKind::Conflict, "call-reused")
    );
    kill_9(answers[0].pids().1);
    assert_eq!(answers[0].exit().await.code, 137);
    run.exec("same", request.clone()).await;
    assert_eq!(effects(&run), 1);
    run.exec("next", request).await;
    until(|| (effects(&run) == 2).then_some(())).await;
}

#[tokio::test]
async fn a_shim_that_is_killed_at_any_moment_of_a_start_starts_nothing_twice() {
    for (point, is_started) in [
        (ShimPoint::BeforeClaim, false),
        (ShimPoint::ChildReady, false),
        (ShimPoint::AfterClaim, true),
        (ShimPoint::AfterRelease, true),
        (ShimPoint::AfterExecutedMark, true),
    ] {
        let host = Host::new();
        let run = host_of(&host).await;
        let mark = host.folder.path().join("crashed");
        let variables = format!(
            "SHIM_CRASH={}:1 SHIM_CRASHED={}",
            point.as_str(),
            mark.display()
        );
        let crashing = host.with_shim(recording(&variables));
        let request = script("echo $$ >> effects");
        let _ = crashing.find(&run).try_exec("once", request.clone()).await;
        assert!(mark.exists(), "{point:?} was not reached");
        // The shim itself may still be seen for a moment.
        let slots = run.slot().join("execs");
        until(|| members(&slots).is_empty().then_some(())).await;
        for _ in 0..2 {
            let exec = run.exec("once", request.clone()).await;
            if is_started {
                // A shim that was just killed may still be seen for a moment.
                let state = within(async {
                    loop {
                        match exec.state().await.unwrap() {
                            ExecState::Running => tokio::task::yield_now().await,
                            state => return state,
                        }
                    }
                })
                .await;
                assert!(
                    matches!(state, ExecState::Lost { .. }),
                    "{point:?}: {state:?}"
                );
            } else {
                assert_eq!(exec.exit().await.code, 0);
            }
        }
        let ran = !matches!(point, ShimPoint::AfterClaim);
        until(|| (effects(&run) == usize::from(ran)).then_some(())).await;
    }
}

#[tokio::test]
async fn the_claim_alone_keeps_a_late_shim_from_starting_it_again() {
    for (claims, times) in [(Claims::Honoured, 1), (Claims::Ignored, 2)] {
        let host = Host::new();
        let run = host_of(&host).await;
        let keeping = host.with_shim(recording("NOTHING=1"));
        let request = script("echo $$ >> effects; sleep 60");
        let exec = keeping.find(&run).exec("once", request).await;
        let exec = exec.through(&host);
        until(|| (effects(&run) == 1).then_some(())).await;
        kill_9(exec.pids().0);
        until(|| (!lives(exec.pids().0)).then_some(())).await;
        let mut late = shim_again(&exec.slot, claims);
        until(|| (effects(&run) == times).then_some(())).await;
        run.remove().await;
        late.wait().unwrap();
        assert_eq!(effects(&run), times);
    }
}

#[tokio::test]
async fn each_reason_not_to_start_has_its_code() {
    let host = Host::new();
    let run = host
        .script("mkfifo go; echo ready > ready; read line < go")
        .await;
    let conflict = is(ErrorKind::Conflict, "not-running");
    assert_eq!(refused(run.try_exec("a", script("true")).await), conflict);
    run.start().await;
    run.file("ready").await;
    let folder = run.workspace().display().to_string();
    fs::write(run.workspace().join("plain"), "").unwrap();
    for (command, code) in [
        (vec!["no-such-program"], "program-missing"),
        (vec!["/no/such/program"], "program-missing"),
        (vec![folder.as_str()], "program-is-directory"),
        (vec!["./plain"], "program-not-executable"),
        (vec![], "bad-command"),
    ] {
        let answer = run.try_exec(&command.concat(), words(&command)).await;
        assert_eq!(
            refused(answer),
            is(
                ErrorKind::Invalid,
                if command.is_empty() { "bad-op" } else { code }
            )
        );
    }
    assert_eq!(
        refused(run.try_exec("empty", words(&[])).await),
        is(ErrorKind::Invalid, "bad-command")
    );
    let narrow = Launcher {
        executable: Some("/bin/cat".into()),
        ..Launcher::default()
    };
    let op = exec_op(&run, "narrow");
    let (own, dev) = (caller(), any());
    let narrow = host
        .processes
        .exec(&own, &narrow, &op, &run.reference, script("true"));
    assert_eq!(
        refused(narrow.await),
        is(ErrorKind::Denied, "no-launcher-rule")
    );
    let stranger = Caller {
        plugin: "other".parse().unwrap(),
    };
    let exec = run.exec("mine", script("sleep 60")).await;
    let processes = &host.processes;
    let other = exec_op(&run, "x");
    let started = processes.exec(&stranger, &dev, &other, &run.reference, script("true"));
    assert_eq!(
        refused(started.await),
        is(ErrorKind::NotFound, "no-process")
    );
    assert_eq!(
        refused(processes.inspect_exec(&stranger, &exec.name).await),
        is(ErrorKind::NotFound, "no-process")
    );
    for bad in [
        "",
        "nonsense",
        &run.reference,
        &format!("{}/xyz", run.reference),
    ] {
        assert_eq!(
            refused(processes.inspect_exec(&caller(), bad).await),
            is(ErrorKind::Invalid, "bad-reference")
        );
    }
    let unknown = format!("{}/0123456789abcdef", run.reference);
    assert_eq!(
        refused(processes.inspect_exec(&caller(), &unknown).await),
        is(ErrorKind::NotFound, "no-exec")
    );
    processes
        .remove_exec(&caller(), &op, &unknown)
        .await
        .unwrap();
    assert_eq!(
        refused(exec.resize(80, 24).await),
        is(ErrorKind::Invalid, "no-terminal")
    );
    assert_eq!(
        refused(exec.signal("", "NOPE").await),
        is(ErrorKind::Invalid, "unknown-signal")
    );
    exec.signal("", "KILL").await.unwrap();
    exec.exit().await;
    assert_eq!(
        refused(exec.signal("", "INT").await),
        is(ErrorKind::NotFound, "exec-ended")
    );
    assert_eq!(
        host.processes
            .launcher_of(&caller(), &run.reference)
            .await
            .unwrap()
            .as_str(),
        "dev"
    );
    fs::write(run.workspace().join("go"), "go\n").unwrap();
    run.exit().await;
    assert_eq!(
        refused(run.try_exec("late", script("true")).await),
        conflict
    );
    run.remove().await;
    assert_eq!(
        refused(run.try_exec("gone", script("true")).await),
        is(ErrorKind::NotFound, "no-process")
    );
}

#[tokio::test]
async fn what_cannot_be_executed_answers_the_same_each_time() {
    let host = Host::new();
    let run = host_of(&host).await;
    let program = run.workspace().join("program");
    fs::write(&program, "#!/no/such/interpreter\n").unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..2 {
        let error = refused(run.try_exec("bad", words(&["./program"])).await);
        assert_eq!(error, is(ErrorKind::Invalid, "program-missing"));
        fs::write(&program, "#!/bin/sh\n").unwrap();
    }
    let name = format!(
        "{}/{:016x}",
        run.reference,
        fleet_capability::exec_key("bad")
    );
    let state = host.processes.inspect_exec(&caller(), &name).await.unwrap();
    assert!(matches!(state, ExecState::Exited { exit, .. } if exit.code == 127));
}

#[tokio::test]
async fn a_signal_reaches_its_group_once_per_call() {
    let host = Host::new();
    let run = host_of(&host).await;
    let text = "trap 'echo got' USR1; trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.01; done";
    let exec = run.exec("a", script(text)).await;
    let mut source = exec.attach(0).await;
    let mut seen = crate::exec_harness::Seen::default();
    exec.reads(&mut source, &mut seen, "ready\n").await;
    for _ in 0..3 {
        exec.signal("same", "USR1").await.unwrap();
    }
    exec.reads(&mut source, &mut seen, "got\n").await;
    exec.signal("other", "SIGUSR1").await.unwrap();
    exec.reads(&mut source, &mut seen, "got\ngot\n").await;
    exec.signal("", "TERM").await.unwrap();
    while let Some(frame) = within(source.output.next()).await {
        seen.add(&frame.unwrap());
    }
    assert_eq!(seen.text(), "ready\ngot\ngot\nbye\n");
    assert_eq!(exec.exit().await.code, 9);
}

#[tokio::test]
async fn the_end_of_the_process_is_the_end_of_all_beside_it() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host_of(&host).await;
        let text = "trap '' TERM HUP; setsid nohup sh -c 'echo $$ > daemon; sleep 61' >/dev/null 2>&1 & \
            sleep 62 & echo said; sleep 63";
        let exec = run.exec("a", script(text)).await;
        let daemon: u32 = run.file("daemon").await.parse().unwrap();
        // One that is over, whose output nobody has read, and one that left a daemon.
        let unread = run.exec("b", script("echo unread")).await;
        let left = run
            .exec("c", script("sleep 64 >/dev/null 2>&1 & echo $! > left"))
            .await;
        assert_eq!((unread.exit().await.code, left.exit().await.code), (0, 0));
        let orphan: u32 = run.file("left").await.parse().unwrap();
        assert!(
            lives(daemon) && lives(orphan),
            "they run as long as the process"
        );
        let mut source = exec.attach(0).await;
        fs::write(run.workspace().join("go"), "go\n").unwrap();
        run.exit().await;
        if run.prepared.kill_target.is_some() {
            assert!(!lives(daemon) && !lives(orphan), "exited means gone");
        }
        let mut seen = crate::exec_harness::Seen::default();
        while let Some(frame) = within(source.output.next()).await {
            seen.add(&frame.unwrap());
        }
        assert_eq!(seen.text(), "said\n");
        drop(source);
        assert_eq!(exec.exit().await.code, 137);
        let pids: Vec<u32> = [&exec, &unread, &left]
            .iter()
            .flat_map(|exec| [exec.pids().0, exec.pids().1])
            .chain([daemon, orphan])
            .collect();
        until(|| (!pids.iter().any(|pid| lives(*pid))).then_some(())).await;
        assert_eq!(unread.output(0).await.gaps, [7]);
        assert_eq!(unread.output(7).await.gaps, [0; 0]);
        run.remove().await;
        assert!(!run.slot().exists());
    }
}

/// A program whose shim is in this state when all is removed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Shim {
    Fine,
    Killed,
    Stopped,
}

#[tokio::test]
async fn a_removed_process_leaves_nothing_beside_it() {
    for isolation in BOTH {
        for shim in [Shim::Fine, Shim::Killed, Shim::Stopped] {
            let host = Host::isolated(isolation);
            let run = host_of(&host).await;
            let text = "setsid nohup sh -c 'echo $$ > daemon; sleep 65' >/dev/null 2>&1 & sleep 66";
            let exec = run.exec("a", script(text)).await;
            let unread = run.exec("b", script("echo unread")).await;
            unread.exit().await;
            let daemon: u32 = run.file("daemon").await.parse().unwrap();
            let (keeper, program) = exec.pids();
            match shim {
                Shim::Fine => {}
                Shim::Killed => {
                    kill_9(keeper);
                    until(|| (!lives(keeper)).then_some(())).await;
                }
                Shim::Stopped => {
                    let stopped = Command::new("kill")
                        .args(["-STOP", &keeper.to_string()])
                        .status();
                    assert!(stopped.unwrap().success());
                }
            }
            run.remove().await;
            for pid in [daemon, keeper, program, unread.pids_or(0)] {
                assert!(!lives(pid), "{isolation:?} {shim:?}");
            }
            assert!(!run.slot().exists());
            let slot = run.slot();
            until(|| members(&slot).is_empty().then_some(())).await;
            if let Some(fleet_model::driver::KillTarget::Cgroup { path }) =
                &run.prepared.kill_target
            {
                let group = std::path::Path::new(path);
                until(|| (!group.parent().unwrap().exists()).then_some(())).await;
            }
            run.remove().await;
        }
    }
}

impl Beside<'_> {
    /// Its shim, if it is still recorded.
    fn pids_or(&self, other: u32) -> u32 {
        if self.slot.exists() {
            self.pids().0
        } else {
            other
        }
    }
}

#[tokio::test]
async fn one_that_is_removed_is_ended_and_forgotten() {
    for isolation in BOTH {
        let host = Host::isolated(isolation);
        let run = host_of(&host).await;
        let request = script("sleep 67 & echo said; echo $! > child; sleep 68");
        let exec = run.exec("a", request.clone()).await;
        let child: u32 = run.file("child").await.parse().unwrap();
        let (shim, program) = exec.pids();
        let mut source = exec.attach(0).await;
        exec.remove().await;
        assert!(!lives(shim) && !lives(program) && !lives(child));
        assert!(!exec.slot.exists());
        let mut seen = crate::exec_harness::Seen::default();
        while let Some(frame) = within(source.output.next()).await {
            seen.add(&frame.unwrap());
        }
        assert_eq!(seen.text(), "said\n");
        assert_eq!(
            refused(exec.state().await),
            is(ErrorKind::NotFound, "no-exec")
        );
        assert_eq!(
            refused(exec.try_attach(0).await),
            is(ErrorKind::NotFound, "no-exec")
        );
        exec.remove().await;
        assert!(lives(run.inspect().await.pid.unwrap()));
        // Of one whose shim is gone nothing is left either.
        let exec = run.exec("b", request).await;
        let (shim, program) = exec.pids();
        until(|| {
            (fs::read_to_string(run.workspace().join("child")).ok()? != format!("{child}\n"))
                .then_some(())
        })
        .await;
        kill_9(shim);
        until(|| (!lives(shim)).then_some(())).await;
        assert!(matches!(
            exec.state().await.unwrap(),
            ExecState::Lost { .. }
        ));
        exec.remove().await;
        assert!(!lives(program) && !exec.slot.exists());
    }
}

#[tokio::test]
async fn one_whose_keeper_is_gone_is_lost_and_its_reader_is_told() {
    let host = Host::new();
    let run = host_of(&host).await;
    let exec = run.exec("a", script("echo said; exec sleep 60")).await;
    let mut source = exec.attach(0).await;
    let first = within(source.output.next()).await.unwrap().unwrap();
    assert_eq!(&first.bytes[..], b"said\n");
    kill_9(exec.pids().0);
    let error = within(source.output.next()).await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Unavailable, "keeper-lost")
    );
    assert!(within(source.output.next()).await.is_none());
    until(|| (!lives(exec.pids().0)).then_some(())).await;
    assert!(matches!(
        exec.state().await.unwrap(),
        ExecState::Lost { .. }
    ));
    let mut empty = exec.attach(5).await;
    assert!(within(empty.output.next()).await.is_none());
    let given = empty.input.as_mut().unwrap().give("x".into()).await;
    assert_eq!(refused(given), is(ErrorKind::Conflict, "input-closed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_run_and_no_more_and_the_oldest_that_ended_are_forgotten() {
    let host = Host::isolated(Choice::ProcessGroup);
    let run = host_of(&host).await;
    let calls: Vec<String> = (0..33).map(|number| format!("live {number}")).collect();
    let live = join_all(
        calls
            .iter()
            .map(|call| run.try_exec(call, script("exec sleep 60"))),
    )
    .await;
    let (live, refusals): (Vec<_>, Vec<_>) = live.into_iter().partition(Result::is_ok);
    assert_eq!((live.len(), refusals.len()), (32, 1));
    for answer in refusals {
        assert_eq!(refused(answer), is(ErrorKind::Exhausted, "too-many-execs"));
    }
    let live: Vec<Beside<'_>> = live.into_iter().map(Result::unwrap).collect();
    for exec in &live {
        exec.signal("", "KILL").await.unwrap();
    }
    join_all(live.iter().map(Beside::exit)).await;
    for number in 0..36 {
        let exec = run.exec(&format!("short {number}"), words(&["true"])).await;
        exec.exit().await;
    }
    let folders = fs::read_dir(run.slot().join("execs")).unwrap().count();
    // What was over at the last start, and that one.
    assert_eq!(folders, 65);
    let newest = format!("short {}", 35);
    assert_eq!(
        run.exec(&newest, words(&["true"])).await.exit().await.code,
        0
    );
    let oldest = live.iter().filter(|exec| !exec.slot.exists()).count();
    assert_eq!(oldest, 3);
}

#[tokio::test]
async fn what_holds_the_pipes_does_not_hold_the_end() {
    let host = Host::new();
    let run = host_of(&host).await;
    let exec = run
        .exec("a", script("sleep 69 & echo $! > child; echo said; exit 3"))
        .await;
    let seen = exec.output(0).await;
    assert_eq!(
        (seen.text().as_str(), exec.exit().await.code),
        ("said\n", 3)
    );
    let child: u32 = run.file("child").await.parse().unwrap();
    assert!(lives(child), "it runs as long as the process does");
    let what = Open::Exec {
        exec: exec.name.clone(),
        after: 5,
    };
    let mut over = host
        .processes
        .open(&caller(), &run.reference, what)
        .await
        .unwrap();
    assert!(within(over.output.next()).await.is_none());
    run.kill().await;
    until(|| (!lives(child)).then_some(())).await;
}
