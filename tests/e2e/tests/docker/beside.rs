//! Logs, programs beside a container's own, signals, figures and secrets.

use std::io::Write;
use std::process::Stdio;

use fleet_e2e::{Host, wait_for};
use fleet_test_engine::Engine;

use crate::support::{Spec, container, host, long, printed};

fn exec(host: &Host, flags: &[&str], command: &[&str]) -> fleet_e2e::Ran {
    host.cli([&["workload", "exec", "a"], flags, &["--"], command].concat())
}

#[test]
fn programs_run_beside_a_container_as_if_they_ran_here() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    long("a")
        .more("env = { A = \"own\" }")
        .run(&host, &["--wait"])
        .ok();
    let ran = exec(
        &host,
        &[],
        &["sh", "-c", "printf 'out\\0'; echo err >&2; exit 7"],
    );
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (7, "out\0", "err\n")
    );
    let ran = exec(
        &host,
        &["--env", "B=more"],
        &["sh", "-c", "echo $A $B; hostname"],
    )
    .ok();
    assert!(ran.stdout.starts_with("own more\n"), "{ran:?}");
    let ran = exec(&host, &[], &["no-such-program"]);
    assert!(matches!(ran.code, 126 | 127), "{ran:?}");
    let ran = exec(&host, &[], &["sh", "-c", "kill -KILL $$"]);
    assert_eq!(ran.code, 137, "{ran:?}");

    // What it reads, and the end of it.
    let mut command = host.command();
    let mut child = command
        .args([
            "workload",
            "exec",
            "a",
            "-i",
            "--",
            "sh",
            "-c",
            "cat; echo over",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"one\ntwo\n")
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "one\ntwo\nover\n");

    // One that is ended from here ends there.
    let id = container(engine, &host.show("a"));
    let mut sleeping = host
        .command_of(["workload", "exec", "a", "--", "sleep", "77777"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let processes = || {
        let (_, top) = engine.ask("GET", &format!("/containers/{id}/top"), None);
        top["Processes"].to_string().matches("sleep 77777").count()
    };
    wait_for("it to run", 20, || (processes() == 1).then_some(()));
    let pid = rustix::process::Pid::from_child(&sleeping);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    wait_for("its end here", 20, || sleeping.try_wait().unwrap());
    wait_for("its end there", 20, || (processes() == 0).then_some(()));
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_log_is_followed_over_the_loss_of_the_host() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let mut host = host(engine);
    let counts =
        "n=0; while [ $n -lt 60 ]; do n=$((n+1)); echo line $n; echo err $n >&2; sleep 0.05; done";
    let counts = counts.replace("$((", "$$((");
    Spec::new("a", &["sh", "-c", &counts])
        .run(&host, &["--wait"])
        .ok();
    printed(&host, "a", "line 10\n");
    host.kill();
    host.start_again();
    let _ = host.wait_state("a", "exited");
    let log = host.cli(["workload", "logs", "a"]).ok();
    let want = |word: &str| {
        (1..=60)
            .map(|n| format!("{word} {n}\n"))
            .collect::<String>()
    };
    assert_eq!(log.stdout, want("line"));
    assert_eq!(log.stderr, want("err"));
    let tail = host.cli(["workload", "logs", "a", "--tail", "2"]).ok();
    assert_eq!(
        tail.stdout.lines().count() + tail.stderr.lines().count(),
        2,
        "{tail:?}"
    );
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn long_lines_stay_whole_and_a_terminal_is_one_stream() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let long_line = "head -c 40000 /dev/zero | tr '\\0' x; echo; echo end";
    Spec::new("long", &["sh", "-c", long_line])
        .run(&host, &[])
        .ok();
    let log = printed(&host, "long", "end\n");
    assert_eq!(log.replace('\n', "").len(), 40_003, "{}", log.len());
    assert!(!log.contains('Z'), "no time stamp in the middle of a line");

    Spec::new(
        "screen",
        &["sh", "-c", "test -t 1 && echo terminal; echo err >&2"],
    )
    .config("image = \"fleet-test:1\"\nnetwork = \"none\"\nterminal = true")
    .run(&host, &[])
    .ok();
    let log = printed(&host, "screen", "err");
    assert!(log.contains("terminal"), "{log}");
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn signals_and_figures() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let traps = "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done";
    Spec::new("a", &["sh", "-c", traps])
        .run(&host, &["--wait"])
        .ok();
    printed(&host, "a", "ready");
    host.cli(["workload", "signal", "a", "USR1"]).ok();
    printed(&host, "a", "usr1");
    let look = wait_for("figures", 30, || {
        let look = host
            .cli(["workload", "stats", "a", "--output", "json"])
            .ok()
            .json();
        look["sample"].is_object().then_some(look)
    });
    assert!(
        look["sample"]["memory_bytes"].as_u64().unwrap() > 0,
        "{look}"
    );
    assert!(look["sample"]["processes"].as_u64().unwrap() >= 2, "{look}");
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_secret_reaches_the_program() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let host = host(engine);
    let mut setting = host
        .command_of(["secret", "set", "token"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    setting
        .stdin
        .take()
        .unwrap()
        .write_all(b"hunter2-docker")
        .unwrap();
    assert!(setting.wait().unwrap().success());
    let proves = "test \"$TOKEN\" = \"hunter2-$SECOND\" && echo same; echo ${#TOKEN}";
    Spec::new("a", &["sh", "-c", proves])
        .more("env = { TOKEN = { secret = \"token\" }, SECOND = \"docker\" }")
        .run(&host, &[])
        .ok();
    let log = printed(&host, "a", "14\n");
    assert_eq!(log, "same\n14\n");
    let shown = host.show("a").to_string();
    assert!(!shown.contains("hunter2-docker"), "{shown}");
    host.cli(["workload", "rm", "--all"]).ok();
}
