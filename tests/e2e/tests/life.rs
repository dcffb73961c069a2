//! The life of a workload as its user sees it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use fleet_e2e::{Host, is_alive, wait_for};

fn pid(host: &Host, name: &str) -> u32 {
    host.show(name)["attributes"]["pid"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn run_wait_tells_how_it_went() {
    let host = Host::start();
    let run = |args: &[&str]| host.cli([&["workload", "run", "--wait"], args].concat());
    assert_eq!(run(&["--name", "good", "--", "true"]).code, 0);
    let bad = run(&["--name", "bad", "--", "sh", "-c", "exit 3"]);
    assert!(bad.code <= 1, "{bad:?}");
    let shown = host.wait_state("bad", "exited");
    assert_eq!(shown["exit_code"], 3);
    let missing = run(&["--name", "missing", "--", "no-such-program-anywhere"]);
    assert_eq!(missing.code, 1, "{missing:?}");
    assert!(
        missing.stderr.contains("no-such-program-anywhere"),
        "{missing:?}"
    );
    assert_eq!(host.show("missing")["state"], "failed");
    let folder = run(&["--name", "folder", "--", "/tmp"]);
    assert_eq!(folder.code, 1);
    assert!(folder.stderr.contains("/tmp"), "{folder:?}");
    let empty = run(&["--name", "empty"]);
    assert_ne!(empty.code, 0);
    assert!(
        empty.stderr.contains("--"),
        "it says where the program goes: {empty:?}"
    );
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_signal_is_told_apart_from_a_code() {
    let host = Host::start();
    host.cli([
        "workload",
        "run",
        "--name",
        "hit",
        "--",
        "sh",
        "-c",
        "kill -SEGV $$",
    ])
    .ok();
    let shown = host.wait_state("hit", "exited");
    assert_eq!(shown["exit_code"], 128 + 11);
    assert_eq!(shown["attributes"]["signal"], "SEGV");
}

#[test]
fn stop_waits_for_the_grace_and_then_kills_and_start_runs_it_again() {
    let host = Host::start();
    let stubborn = "trap '' TERM; echo ready; while :; do sleep 0.1; done";
    host.cli([
        "workload", "run", "--name", "stubborn", "--wait", "--", "sh", "-c", stubborn,
    ])
    .ok();
    wait_for("its trap", 10, || {
        host.cli(["workload", "logs", "stubborn"])
            .ok()
            .stdout
            .contains("ready")
            .then_some(())
    });
    let first = pid(&host, "stubborn");
    host.cli(["workload", "stop", "stubborn", "--grace", "300ms"])
        .ok();
    let stopped = host.show("stubborn");
    assert_eq!(
        (&stopped["state"], &stopped["exit_code"]),
        (&"exited".into(), &137.into())
    );
    assert!(!is_alive(first));
    // Its files and its log are still there.
    assert!(
        host.cli(["workload", "logs", "stubborn"])
            .ok()
            .stdout
            .contains("ready")
    );

    host.cli(["workload", "start", "stubborn"]).ok();
    let again = host.show("stubborn");
    assert_eq!(again["state"], "running");
    assert!(again["generation"].as_u64() > stopped["generation"].as_u64());
    assert_ne!(pid(&host, "stubborn"), first);
    // A start of what runs changes nothing.
    host.cli(["workload", "start", "stubborn"]).ok();
    assert_eq!(host.show("stubborn")["generation"], again["generation"]);
    let second = pid(&host, "stubborn");
    host.cli(["workload", "rm", "stubborn", "--grace", "100ms"])
        .ok();
    assert!(!is_alive(second));
}

#[test]
fn environment_ports_and_literals_arrive() {
    let host = Host::start();
    let script = "echo \"$FLEET_WORKLOAD_NAME $GREETING $PORT_HTTP_ALT $1 $2 $FLEET_GENERATION\"";
    let args = [
        "workload",
        "run",
        "--name",
        "env",
        "--env",
        "GREETING=at $(PORT_HTTP_ALT)",
        "--port",
        "http-alt",
        "--wait",
        "--",
        "sh",
        "-c",
        script,
        "sh",
        "$(PORT_HTTP_ALT)",
        "$$(PORT_HTTP_ALT)",
    ];
    host.cli(args).ok();
    let shown = host.wait_state("env", "exited");
    let port = &shown["ports"]["http-alt"];
    let logs = host.cli(["workload", "logs", "env"]).ok().stdout;
    assert_eq!(
        logs,
        format!(
            "env at {port} {port} {port} $(PORT_HTTP_ALT) {}\n",
            shown["generation"]
        )
    );
    let unknown = host.cli(["workload", "run", "--", "echo", "$(PORT_WEB)"]);
    assert_eq!(unknown.code, 4, "{unknown:?}");
    assert!(
        unknown.stderr.contains("PORT_WEB") && unknown.stderr.contains("--port"),
        "{unknown:?}"
    );
}

#[test]
fn a_name_is_used_once_at_a_time_and_can_be_used_again() {
    let host = Host::start();
    host.cli([
        "workload", "run", "--name", "one", "--wait", "--", "sleep", "1000",
    ])
    .ok();
    let taken = host.cli(["workload", "run", "--name", "one", "--", "true"]);
    assert_eq!(taken.code, 4, "{taken:?}");
    assert!(taken.stderr.contains("one"), "{taken:?}");
    let first = host.show("one")["generation"].as_u64().unwrap();
    host.cli(["workload", "rm", "one"]).ok();
    host.cli(["workload", "run", "--name", "one", "--wait", "--", "true"])
        .ok();
    assert!(host.show("one")["generation"].as_u64().unwrap() > first);
}

#[test]
fn a_followed_log_ends_with_its_program_and_has_every_line() {
    let host = Host::start();
    let script = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$$((i+1)); done; printf end";
    host.cli([
        "workload", "run", "--name", "lines", "--", "sh", "-c", script,
    ])
    .ok();
    let followed = host.cli(["workload", "logs", "lines", "--follow"]).ok();
    let want = (0..2000).map(|i| format!("line {i}\n")).collect::<String>() + "end";
    assert_eq!(followed.stdout, want);
    assert_eq!(
        host.cli(["workload", "logs", "lines", "--tail", "2"])
            .ok()
            .stdout,
        "line 1999\nend"
    );
}

#[test]
fn a_file_and_flags_write_the_same_fields() {
    let host = Host::start();
    let file = host.scratch().join("w.toml");
    std::fs::write(&file, "name = \"filed\"\ncommand = [\"sh\", \"-c\", \"exit 5\"]\n[labels]\nteam = \"a\"\n[config]\nlauncher = \"dev\"\n").unwrap();
    host.cli([
        "workload",
        "run",
        "-f",
        file.to_str().unwrap(),
        "--label",
        "tier=x",
    ])
    .ok();
    let shown = host.wait_state("filed", "exited");
    assert_eq!(shown["exit_code"], 5);
    assert_eq!(
        shown["labels"],
        serde_json::json!({"team": "a", "tier": "x"})
    );
    std::fs::write(&file, "name = \"filed2\"\ncomand = [\"true\"]\n").unwrap();
    let typo = host.cli(["workload", "run", "-f", file.to_str().unwrap()]);
    assert_eq!(typo.code, 2, "{typo:?}");
    assert!(
        typo.stderr.contains("comand") && typo.stderr.contains("command"),
        "{typo:?}"
    );
    std::fs::write(&file, "command = [\"true\"]\n[config]\nlancher = \"dev\"\n").unwrap();
    let off = host.cli(["workload", "run", "-f", file.to_str().unwrap()]);
    assert_eq!(off.code, 4, "{off:?}");
    assert!(off.stderr.contains("lancher"), "{off:?}");
}
