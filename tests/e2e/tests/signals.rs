//! Signals for a workload's program, each once per key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use fleet_e2e::{Host, wait_for};

/// Notes each signal it gets.
const TRAP: &str = "trap 'echo usr1 >> got' USR1; trap 'echo hup >> got' HUP; echo ready; while :; do sleep 0.02; done";

fn got(host: &Host) -> Vec<String> {
    let id = host.show("trap")["id"].as_str().unwrap().to_owned();
    let file = host.data().join("workloads").join(id).join("workspace/got");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn wait_got(host: &Host, want: &[&str]) {
    wait_for(&format!("{want:?}"), 20, || {
        (got(host).len() >= want.len()).then_some(())
    });
    assert_eq!(got(host), want);
}

#[test]
fn a_key_sends_one_signal_also_when_the_host_is_killed() {
    let mut host = Host::start();
    host.cli([
        "workload", "run", "--name", "trap", "--wait", "--", "sh", "-c", TRAP,
    ])
    .ok();
    wait_for("its traps", 20, || {
        let log = host.cli(["workload", "logs", "trap"]).ok();
        log.stdout.contains("ready").then_some(())
    });
    for name in ["USR1", "sigusr1", "SIGUSR1"] {
        let sent = host.cli(["workload", "signal", "trap", name, "--key", "k"]);
        assert!(sent.ok().stdout.contains("sent SIGUSR1 to trap"));
    }
    wait_got(&host, &["usr1"]);
    host.kill();
    host.start_again();
    host.cli(["workload", "signal", "trap", "usr1", "--key", "k"])
        .ok();
    let other = host.cli(["workload", "signal", "trap", "HUP", "--key", "k"]);
    assert_eq!(other.code, 4, "{other:?}");
    host.cli(["workload", "signal", "trap", "hup"]).ok();
    wait_got(&host, &["usr1", "hup"]);
    host.cli(["workload", "signal", "trap", "usr1"]).ok();
    wait_got(&host, &["usr1", "hup", "usr1"]);

    // What ended the program was sent, and is not sent to the next.
    host.cli(["workload", "signal", "trap", "TERM", "--key", "end"])
        .ok();
    let ended = host.wait_state("trap", "exited");
    assert_eq!(ended["exit_code"], 143);
    host.cli(["workload", "signal", "trap", "TERM", "--key", "end"])
        .ok();
    let late = host.cli(["workload", "signal", "trap", "TERM"]);
    assert_eq!(late.code, 4, "{late:?}");
    assert!(late.stderr.contains("start it"), "{late:?}");
    let unknown = host.cli(["workload", "signal", "trap", "TREM"]);
    assert_eq!(unknown.code, 2, "{unknown:?}");
    assert!(unknown.stderr.contains("TERM, TRAP"), "{unknown:?}");
    let missing = host.cli(["workload", "signal", "none", "TERM"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    host.cli(["workload", "rm", "--all"]).ok();
}
