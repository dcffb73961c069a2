//! What goes wrong while a host runs: its folder goes, its disk fills up, its clock is set back,
//! programs do what they should not. It is said with its remedy, and harms nobody else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleet_e2e::{Host, HostOptions, Ran, is_alive, wait_for};
use serde_json::Value;

fn run(host: &Host, name: &str, flags: &[&str], script: &str) -> Ran {
    host.cli(
        [
            &["workload", "run", "--name", name],
            flags,
            &["--", "sh", "-c", script],
        ]
        .concat(),
    )
}

fn neighbour(host: &Host) -> u32 {
    run(host, "neighbour", &["--wait"], "exec sleep 1000").ok();
    pid(&host.show("neighbour"))
}

fn pid(shown: &Value) -> u32 {
    shown["attributes"]["pid"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap()
}

fn unharmed(host: &Host, pid_before: u32) {
    assert!(is_alive(pid_before));
    let shown = host.wait_state("neighbour", "running");
    assert_eq!(pid(&shown), pid_before, "{shown:#}");
}

fn workspace(host: &Host, name: &str) -> PathBuf {
    let id = host.show(name)["id"].as_str().unwrap().to_owned();
    host.data().join("workloads").join(id).join("workspace")
}

/// What a program wrote into its workspace.
fn file(host: &Host, name: &str, file: &str) -> String {
    let path = workspace(host, name).join(file);
    wait_for(file, 30, || {
        let text = std::fs::read_to_string(&path).ok()?;
        text.strip_suffix('\n').map(str::to_owned)
    })
}

fn says(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_host_whose_data_folder_goes_ends_and_finds_all_again_when_it_is_put_back() {
    let mut host = Host::start();
    let neighbour = neighbour(&host);
    let (data, away) = (host.data(), host.scratch().join("away"));
    std::fs::rename(&data, &away).unwrap();
    assert_eq!(host.ended().code(), Some(1));
    says(
        &host.complaints(),
        &[
            "removed or replaced under the running host",
            "workloads keep running",
            "start the host again",
        ],
    );
    assert!(is_alive(neighbour));
    // As it says.
    std::fs::rename(&away, &data).unwrap();
    host.start_again();
    unharmed(&host, neighbour);
    host.cli(["workload", "rm", "--all"]).ok();

    wait_for("its removal", 30, || std::fs::remove_dir_all(&data).ok());
    assert_eq!(host.ended().code(), Some(1));
    host.start_again();
    let fresh = host.cli(["workload", "ls", "--output", "json"]).ok().json();
    assert_eq!(fresh["items"].as_array().unwrap().len(), 0);
}

fn set_secret(host: &Host) -> Ran {
    let setting = host
        .command()
        .args(["secret", "set", "some"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut setting = setting.unwrap();
    // One that is refused may not read it.
    let _ = setting.stdin.take().unwrap().write_all(b"value");
    Ran::from(&setting.wait_with_output().unwrap())
}

#[test]
fn a_disk_that_fills_up_is_told_of_takes_removals_and_then_refuses_what_is_new() {
    let Some(host) = Host::start_on_disk("size=24m,mode=0700") else {
        return;
    };
    let neighbour = neighbour(&host);
    let (started, data) = (host.pid(), host.data());
    let is_full = || rustix::fs::statvfs(&data).unwrap().f_bavail == 0;
    let fills = "cat /dev/zero > zeros; exec sleep 1000";
    run(&host, "fills", &["--wait"], fills).ok();
    // A commit in between may already have taken the room that was kept back.
    let (_, body) = wait_for("the disk to be full", 30, || {
        host.get("/ready").filter(|(status, _)| *status == 503)
    });
    says(&body, &["is full: free", "`fleet-host workload rm` may do"]);
    // As it says, though there is no room to write the removal down.
    host.cli(["workload", "rm", "fills"]).ok();
    assert!(!is_full());

    // One that goes on takes even what was kept back for that.
    let fills =
        "until [ -e stop ]; do cat /dev/zero >> zeros; sleep 0.02; done; rm stop; exec sleep 1000";
    run(&host, "again", &["--wait"], fills).ok();
    let workspace = workspace(&host, "again");
    let refused = wait_for("a refusal", 30, || {
        let ran = set_secret(&host);
        (ran.code != 0).then_some(ran)
    });
    assert_eq!(refused.code, 5, "{refused:?}");
    says(
        &refused.stderr,
        &[
            "disk is full and nothing was changed",
            "free some space in its data folder, then try again",
        ],
    );
    // The node, which cannot write either, may have left its controller first.
    let refused = host.cli(["workload", "run", "--", "true"]);
    assert_eq!(refused.code, 5, "{refused:?}");
    let remedies = ["free some space", "`/ready` and its log say why"];
    assert!(
        remedies
            .iter()
            .any(|remedy| refused.stderr.contains(remedy)),
        "{refused:?}"
    );
    says(&host.get("/ready").unwrap().1, &["is full: free"]);
    // What asks for nothing new is served.
    assert!(is_alive(neighbour));
    host.cli(["workload", "ls"]).ok();
    assert_eq!(host.get("/health").unwrap().0, 200);

    // As it says.
    let stop = workspace.join("stop");
    std::fs::File::create(&stop).unwrap();
    wait_for("its stop", 30, || (!stop.exists()).then_some(()));
    std::fs::File::create(workspace.join("zeros")).unwrap();
    wait_for("a run with space", 30, || {
        let ran = host.cli(["workload", "run", "--wait", "--", "true"]);
        (ran.code == 0).then_some(())
    });
    wait_for("/ready", 30, || {
        host.get("/ready").filter(|(status, _)| *status == 200)
    });
    unharmed(&host, neighbour);
    assert!(is_alive(started), "without a restart");
    host.cli(["workload", "rm", "--all"]).ok();
    assert!(!is_alive(neighbour));
}

#[test]
fn clients_that_only_connect_take_no_place_from_those_who_ask() {
    let host = Host::start();
    let address = host.url().strip_prefix("http://").unwrap();
    let silent: Vec<_> = (0..600)
        .map(|_| std::net::TcpStream::connect(address).unwrap())
        .collect();
    let begun = std::time::Instant::now();
    assert_eq!(host.get("/health").unwrap().0, 200);
    host.cli(["workload", "ls"]).ok();
    assert!(begun.elapsed() < std::time::Duration::from_secs(15));
    drop(silent);
}

/// Tells a program that it is an hour earlier, as soon as a file is there.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *now) {
    int answer = syscall(SYS_clock_gettime, id, now);
    if (answer == 0 && id == CLOCK_REALTIME && access(BACK, F_OK) == 0) now->tv_sec -= 3600;
    return answer;
}
"#;

fn clock(folder: &Path) -> HostOptions {
    let (source, library) = (folder.join("clock.c"), folder.join("clock.so"));
    std::fs::write(&source, CLOCK).unwrap();
    let back = format!("-DBACK=\"{}\"", folder.join("back").display());
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", &back, "-o"])
        .args([&library, &source])
        .output()
        .unwrap();
    assert!(built.status.success(), "{built:?}");
    HostOptions {
        before: vec![
            "env".into(),
            format!("LD_PRELOAD={}", library.display()).into(),
        ],
        ..HostOptions::default()
    }
}

#[test]
fn a_clock_set_back_an_hour_changes_no_decision() {
    const HOUR_MS: u64 = 3_600_000;
    let folder = tempfile::tempdir().unwrap();
    let mut host = Host::start_with(clock(folder.path()));
    let neighbour = neighbour(&host);
    let made = |host: &Host, name: &str| host.show(name)["created_at_ms"].as_u64().unwrap();
    let before = made(&host, "neighbour");
    run(&host, "short", &["--ttl", "2s"], "exec sleep 1000").ok();
    run(&host, "long", &["--ttl", "30m"], "exec sleep 1000").ok();
    run(&host, "again", &["--restart", "always"], "true").ok();
    std::fs::write(folder.path().join("back"), "").unwrap();
    run(&host, "later", &["--wait"], "true").ok();
    let after = made(&host, "later");
    assert!(
        after + HOUR_MS / 2 < before,
        "it was set back: {before}, {after}"
    );

    let is_gone = |host: &Host, name: &str| host.cli(["workload", "show", name]).code == 3;
    wait_for("the end of its time", 30, || {
        is_gone(&host, "short").then_some(())
    });
    wait_for("two more tries", 30, || {
        (host.show("again")["attempt"].as_u64() >= Some(3)).then_some(())
    });
    host.cli(["workload", "extend", "long", "30m"]).ok();
    host.kill();
    host.start_again();
    unharmed(&host, neighbour);
    assert!(!is_gone(&host, "long"));
    // What happened later is told later, whatever the time beside it.
    let events = host.cli(["events", "--output", "json"]).ok().stdout;
    let place = |text: &str| {
        events
            .find(text)
            .unwrap_or_else(|| panic!("{text}: {events}"))
    };
    assert!(place("\"neighbour\"") < place("\"later\""));
    assert!(place("\"later\"") < place("workload.expired"));
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn a_program_that_does_what_it_should_not_is_told_of_and_harms_nobody() {
    let host = Host::start();
    let neighbour = neighbour(&host);

    // Measured every few seconds, so the others come first.
    run(
        &host,
        "fills",
        &["--disk", "1MiB"],
        "head -c 5000000 /dev/zero > zeros; exec sleep 1000",
    )
    .ok();

    run(
        &host,
        "forks",
        &["--processes", "20"],
        "while :; do sleep 1000 & done",
    )
    .ok();
    let shown = host.wait_state("forks", "exited");
    assert_ne!(shown["exit_code"], 0, "{shown:#}");
    let log = host.cli(["workload", "logs", "forks"]).ok().stderr;
    says(
        &log,
        &[
            "fleet-host: ",
            "refused another process",
            "raise `processes` in its [limits]",
        ],
    );

    let deaf = "trap '' TERM; echo ready > ready; while :; do sleep 0.05; done";
    run(&host, "deaf", &["--wait"], deaf).ok();
    assert_eq!(file(&host, "deaf", "ready"), "ready");
    let deaf = pid(&host.show("deaf"));
    let stopped = host
        .cli(["workload", "stop", "deaf", "--grace", "100ms"])
        .ok();
    says(&stopped.stdout, &["exited with code 137"]);
    assert_eq!(host.show("deaf")["attributes"]["signal"], "KILL");
    assert!(!is_alive(deaf));

    let leaves = "setsid nohup sh -c 'echo $$ > daemon; exec sleep 1000' > /dev/null 2>&1 &
        while [ ! -s daemon ]; do :; done";
    run(&host, "leaves", &[], leaves).ok();
    assert_eq!(host.wait_state("leaves", "exited")["exit_code"], 0);
    let daemon = file(&host, "leaves", "daemon").parse().unwrap();
    assert!(!is_alive(daemon), "an exit means that all of it is gone");
    let log = host.cli(["workload", "logs", "leaves"]).ok().stderr;
    says(
        &log,
        &["fleet-host: ", "left behind", "run it in the foreground"],
    );

    let closes = "echo last; exec >&- 2>&-; echo closed > closed; while [ ! -e go ]; do sleep 0.05; done; exit 8";
    run(&host, "closes", &[], closes).ok();
    let followed = host
        .command()
        .args(["workload", "logs", "closes", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    assert_eq!(file(&host, "closes", "closed"), "closed");
    let _ = host.wait_state("closes", "running");
    std::fs::write(workspace(&host, "closes").join("go"), "").unwrap();
    assert_eq!(host.wait_state("closes", "exited")["exit_code"], 8);
    let followed = followed.wait_with_output().unwrap();
    assert_eq!(
        (followed.status.code(), &*followed.stdout),
        (Some(0), &b"last\n"[..])
    );

    let _ = host.wait_state("fills", "failed");
    let shown = host.cli(["workload", "show", "fills"]).ok().stdout;
    says(
        &shown,
        &["its limit is 1MiB", "raise `disk` in its [limits]"],
    );
    unharmed(&host, neighbour);
    host.cli(["workload", "rm", "--all"]).ok();
    assert!(!is_alive(neighbour));
}
