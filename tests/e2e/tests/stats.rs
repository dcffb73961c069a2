//! What workloads use.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use fleet_e2e::{Host, wait_for};
use serde_json::Value;

#[test]
fn a_busy_loop_takes_about_one_processor_and_a_sleeper_none() {
    let host = Host::start();
    for (name, line) in [("busy", "while :; do :; done"), ("idle", "sleep 1000")] {
        host.cli([
            "workload", "run", "--name", name, "--wait", "--", "sh", "-c", line,
        ])
        .ok();
    }
    // The machine may be busy with other things: of one processor some is left.
    let busy = wait_for("a look at the processors", 30, || {
        let look = host
            .cli(["workload", "stats", "busy", "--output", "json"])
            .ok()
            .json();
        let cpu = look["sample"]["cpu_millis"].as_u64()?;
        (250..=1_250).contains(&cpu).then_some(look)
    });
    assert_eq!(busy["name"], "busy");
    assert!(
        busy["sample"]["memory_bytes"].as_u64().unwrap() > 0,
        "{busy}"
    );
    assert!(busy["sample"]["processes"].as_u64().unwrap() >= 1, "{busy}");

    let all = host
        .cli(["workload", "stats", "--output", "json"])
        .ok()
        .json();
    assert_eq!(all["missing"], Value::Array(Vec::new()));
    let cpu_us = |name: &str| {
        let items = all["items"].as_array().unwrap();
        let one = items.iter().find(|one| one["name"] == name).unwrap();
        one["sample"]["cpu_us"].as_u64().unwrap()
    };
    assert!(
        cpu_us("busy") > 10 * cpu_us("idle"),
        "{} {}",
        cpu_us("busy"),
        cpu_us("idle")
    );
    let table = host.cli(["workload", "stats"]).ok().stdout;
    assert!(
        table.starts_with("NAME") && table.contains("\nidle "),
        "{table}"
    );

    let mut follow = host
        .command()
        .args(["workload", "stats", "busy", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    assert!(lines.next().unwrap().unwrap().starts_with("TIME"));
    assert!(lines.next().unwrap().unwrap().contains("busy"));
    follow.kill().unwrap();
    follow.wait().unwrap();

    let ended = host.cli(["workload", "stop", "idle", "--grace", "1s"]);
    ended.ok();
    let look = host.cli(["workload", "stats", "idle", "--output", "json"]);
    assert_eq!(look.ok().json()["sample"], Value::Null);
    let missing = host.cli(["workload", "stats", "none"]);
    assert_eq!(missing.code, 3, "{missing:?}");
    host.cli(["workload", "rm", "--all"]).ok();
}
