//! What a workload is given and held to: restarts, time, limits, files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use fleet_e2e::{Host, find_processes, is_alive, wait_for};

fn run(host: &Host, args: &[&str]) -> fleet_e2e::Ran {
    host.cli([&["workload", "run"], args].concat())
}

fn workspace(host: &Host, name: &str) -> std::path::PathBuf {
    let id = host.show(name)["id"].as_str().unwrap().to_owned();
    host.data().join("workloads").join(id).join("workspace")
}

#[test]
fn what_fails_is_started_again_until_it_does_not() {
    let mut host = Host::start();
    let third_time = "echo try >> tries; test $(wc -l < tries) -ge 3";
    // `$(` in a command stands for the host's own variables.
    let third_time = third_time.replace("$(", "$$(");
    run(
        &host,
        &[
            "--name",
            "third",
            "--restart",
            "on-failure",
            "--",
            "sh",
            "-c",
            &third_time,
        ],
    )
    .ok();
    let waiting = wait_for("its first pause", 30, || {
        let shown = host.show("third");
        (shown["state"] == "restarting").then_some(shown)
    });
    assert_eq!(waiting["exit_code"], 1);
    assert!(
        waiting["message"]
            .as_str()
            .unwrap()
            .contains("started again"),
        "{waiting:#}"
    );
    // The pause and the count of tries outlive the host.
    host.kill();
    host.start_again();
    let shown = host.wait_state("third", "exited");
    assert_eq!(
        (&shown["exit_code"], &shown["attempt"]),
        (&0.into(), &3.into())
    );
    let tries = std::fs::read_to_string(workspace(&host, "third").join("tries")).unwrap();
    assert_eq!(tries, "try\n".repeat(3));

    run(
        &host,
        &["--name", "always", "--restart", "always", "--", "true"],
    )
    .ok();
    wait_for("a second try", 30, || {
        (host.show("always")["attempt"].as_u64() >= Some(2)).then_some(())
    });
    host.cli(["workload", "stop", "always"]).ok();
    assert_eq!(
        host.show("always")["state"],
        "exited",
        "a stop ends it for good"
    );

    let typo = run(&host, &["--restart", "sometimes", "--", "true"]);
    assert_eq!(typo.code, 2, "{typo:?}");
    assert!(typo.stderr.contains("on-failure"), "{typo:?}");
    let missing = run(
        &host,
        &["--restart", "always", "--wait", "--", "no-such-program"],
    );
    assert_eq!(
        missing.code, 1,
        "what can never work is said at once: {missing:?}"
    );
}

#[test]
fn a_program_that_is_killed_is_started_again_with_its_socket_and_its_ports() {
    let host = Host::start();
    run(
        &host,
        &[
            "--name",
            "web",
            "--port",
            "http",
            "--restart",
            "always",
            "--wait",
            "--",
            "sleep",
            "1000",
        ],
    )
    .ok();
    let first = host.show("web");
    let pid: u32 = first["attributes"]["pid"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    let raw = rustix::process::Pid::from_raw(pid.try_into().unwrap()).unwrap();
    rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
    let again = wait_for("the second try", 30, || {
        let shown = host.show("web");
        (shown["state"] == "running" && shown["attempt"] == 2).then_some(shown)
    });
    assert_eq!(again["ports"], first["ports"]);
    assert_eq!(again["generation"], first["generation"]);
    assert_ne!(again["attributes"]["pid"], first["attributes"]["pid"]);
    assert!(!is_alive(pid));
}

#[test]
fn a_workload_is_removed_when_its_time_is_over_and_that_can_be_put_off() {
    let mut host = Host::start();
    run(
        &host,
        &[
            "--name", "short", "--ttl", "2s", "--wait", "--", "sleep", "1000",
        ],
    )
    .ok();
    run(
        &host,
        &[
            "--name", "long", "--ttl", "3s", "--wait", "--", "sleep", "1000",
        ],
    )
    .ok();
    let before = host.show("long")["expires_at_ms"].as_u64().unwrap();
    host.cli(["workload", "extend", "long", "1h"]).ok();
    let after = host.show("long")["expires_at_ms"].as_u64().unwrap();
    assert_eq!(after - before, 3_600_000);
    let pid: u32 = host.show("short")["attributes"]["pid"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    host.kill();
    host.start_again();
    wait_for("its removal", 30, || {
        (host.cli(["workload", "show", "short"]).code == 3).then_some(())
    });
    assert!(!is_alive(pid));
    let events = host.cli(["events", "--output", "json"]).ok().stdout;
    assert!(events.contains("workload.expired"), "{events}");
    assert_eq!(host.show("long")["state"], "running");
    for (ttl, word) in [
        ("0s", "1s"),
        ("999999d", "year"),
        ("soon", "90s"),
        ("5", "90s"),
    ] {
        let refused = run(&host, &["--ttl", ttl, "--", "true"]);
        assert!(matches!(refused.code, 2 | 4), "{refused:?}");
        assert!(refused.stderr.contains(word), "{ttl}: {refused:?}");
    }
    run(&host, &["--name", "ever", "--wait", "--", "sleep", "1000"]).ok();
    let refused = host.cli(["workload", "extend", "ever", "1h"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("ttl"), "{refused:?}");
}

#[test]
fn limits_hold_and_the_end_says_which_one() {
    let host = Host::start();
    let hungry = "x = bytearray(300 << 20); import time; time.sleep(1000)";
    run(
        &host,
        &[
            "--name", "hungry", "--memory", "64M", "--", "python3", "-c", hungry,
        ],
    )
    .ok();
    let shown = host.wait_state("hungry", "exited");
    assert_eq!(
        (&shown["exit_code"], &shown["attributes"]["oom"]),
        (&137.into(), &"true".into()),
        "{shown:#}"
    );

    let forks = "i=0; while [ $i -lt 60 ]; do sleep 1000 & i=$((i+1)); done; echo all; wait";
    let forks = forks.replace("$((", "$$((");
    run(
        &host,
        &[
            "--name",
            "forks",
            "--processes",
            "20",
            "--",
            "sh",
            "-c",
            &forks,
        ],
    )
    .ok();
    wait_for("the refused fork", 30, || {
        let log = host.cli(["workload", "logs", "forks"]).ok();
        (log.stdout.contains("ork") || log.stderr.contains("ork")).then_some(())
    });
    host.cli(["workload", "rm", "forks", "--grace", "0s"]).ok();

    let fills = "head -c 5000000 /dev/zero > big; sleep 1000";
    run(
        &host,
        &[
            "--name",
            "fills",
            "--disk",
            "1MiB",
            "--restart",
            "always",
            "--",
            "sh",
            "-c",
            fills,
        ],
    )
    .ok();
    let shown = host.wait_state("fills", "failed");
    assert_eq!(shown["error"]["code"], "disk-limit", "{shown:#}");
    assert!(
        shown["message"].as_str().unwrap().contains("1MiB"),
        "{shown:#}"
    );

    let loud = "i=0; while [ $i -lt 4000 ]; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; i=$((i+1)); done; echo end";
    let loud = loud.replace("$((", "$$((");
    run(
        &host,
        &["--name", "loud", "--log", "128KiB", "--", "sh", "-c", &loud],
    )
    .ok();
    let _ = host.wait_state("loud", "exited");
    let log = host.cli(["workload", "logs", "loud"]).ok().stdout;
    assert!(
        log.ends_with("end\n") && log.len() < 128 * 1024,
        "{}",
        log.len()
    );

    for (flag, value, word) in [
        ("--memory", "64", "64MiB"),
        ("--memory", "1KiB", "memory"),
        ("--cpu", "0", "0.5"),
        ("--processes", "0", "processes"),
    ] {
        let refused = run(&host, &[flag, value, "--", "true"]);
        assert!(matches!(refused.code, 2 | 4), "{refused:?}");
        assert!(refused.stderr.contains(word), "{flag} {value}: {refused:?}");
    }
    host.cli(["workload", "rm", "--all"]).ok();
    let workloads = host.data().join("workloads").display().to_string();
    assert_eq!(find_processes(&workloads), Vec::<u32>::new());
}

#[test]
fn files_are_there_before_the_program_and_a_virtual_environment_is_used_aloud() {
    let host = Host::start();
    let spec = host.scratch().join("w.toml");
    std::fs::write(
        &spec,
        r##"
name = "files"
command = ["python", "conf/app.toml"]
[files]
"conf/app.toml" = "x = 1\n"
".venv/pyvenv.cfg" = "home = /usr/bin\n"
".venv/bin/python" = { text = "#!/bin/sh\necho venv at $VIRTUAL_ENV; cat \"$1\"; ls -l \"$1\" | cut -c1-10\n", mode = "0755" }
"##,
    )
    .unwrap();
    host.cli(["workload", "run", "-f", spec.to_str().unwrap()])
        .ok();
    let shown = host.wait_state("files", "exited");
    assert_eq!(shown["exit_code"], 0, "{shown:#}");
    let venv = workspace(&host, "files").join(".venv");
    let log = host.cli(["workload", "logs", "files"]).ok();
    assert!(
        log.stdout
            .contains(&format!("venv at {}\nx = 1\n-rw-r--r--\n", venv.display())),
        "{log:?}"
    );
    let said = host
        .cli(["workload", "logs", "files", "--output", "json"])
        .ok()
        .stdout;
    assert!(
        said.contains(".venv") && said.contains("\"host\""),
        "said, never silent: {said}"
    );
    assert!(
        shown["attributes"]["venv"]
            .as_str()
            .unwrap()
            .contains(".venv"),
        "{shown:#}"
    );

    for path in ["../out", "/etc/x", "a/../../x", ""] {
        std::fs::write(
            &spec,
            format!("command = [\"true\"]\n[files]\n\"{path}\" = \"x\"\n"),
        )
        .unwrap();
        let refused = host.cli(["workload", "run", "-f", spec.to_str().unwrap()]);
        assert_eq!(refused.code, 4, "{path}: {refused:?}");
        assert!(
            refused.stderr.contains("within the workspace"),
            "{path}: {refused:?}"
        );
    }
}

#[test]
fn a_dry_run_gives_every_reason_at_once_and_changes_nothing() {
    let host = Host::start();
    run(&host, &["--name", "taken", "--wait", "--", "sleep", "1000"]).ok();
    let spec = host.scratch().join("w.toml");
    std::fs::write(
        &spec,
        "name = \"taken\"\nbackend = \"nativ\"\ncommand = [\"$(PORT_X)\"]\nttl = \"1ms\"\n\
         [env]\nFLEET_X = \"1\"\nY = { secret = \"nobody\" }\n[limits]\nmemory = \"1B\"\n[files]\n\"../x\" = \"\"\n",
    )
    .unwrap();
    let dry = host.cli([
        "workload",
        "run",
        "-f",
        spec.to_str().unwrap(),
        "--dry-run",
        "--output",
        "json",
    ]);
    assert_eq!(dry.code, 4, "{dry:?}");
    let answer = dry.json();
    assert_eq!(answer["admitted"], false);
    let codes: Vec<&str> = answer["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|reason| reason["code"].as_str().unwrap())
        .collect();
    for code in [
        "name-taken",
        "unknown-variable",
        "invalid-ttl",
        "reserved-env-name",
        "no-secret",
        "bad-path",
    ] {
        assert!(codes.contains(&code), "{code}: {codes:?}");
    }
    let table = host.cli(["workload", "run", "-f", spec.to_str().unwrap(), "--dry-run"]);
    let text = table.stdout + &table.stderr;
    assert!(text.contains("nativ") && text.contains("native"), "{text}");
    let good = run(&host, &["--name", "good", "--dry-run", "--", "true"]);
    assert_eq!(good.code, 0, "{good:?}");
    assert_eq!(
        host.cli(["workload", "show", "good"]).code,
        3,
        "nothing was made"
    );
}
