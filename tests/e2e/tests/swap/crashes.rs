//! The host is killed at every step of a swap. Afterwards one generation serves, the one that was written
//! down, and what was asked for meanwhile has happened once.

use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Stdio};

use fleet_e2e::is_alive;

use crate::support::{Bench, Version, pid, variables};

/// Which of the two serves after a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Old,
    New,
}

/// Every step, in order, and what serves after a crash there. A host refuses to start with one that there
/// is not.
const STEPS: [(&str, Side); 18] = [
    ("discovered", Side::Old),
    ("copied", Side::Old),
    ("verified", Side::Old),
    ("compiled", Side::Old),
    ("linked", Side::Old),
    ("probed", Side::Old),
    ("adopted", Side::Old),
    ("before-durable", Side::Old),
    ("durable", Side::New),
    ("published", Side::New),
    ("drained", Side::New),
    ("recorded", Side::New),
    ("before-proven", Side::New),
    ("proven", Side::New),
    ("rollback-before-durable", Side::New),
    ("rollback-durable", Side::Old),
    ("rollback-published", Side::Old),
    ("rollback-recorded", Side::Old),
];

fn is_rollback(step: &str) -> bool {
    step.starts_with("rollback")
}

/// Begins a command that nobody waits for.
fn begin(bench: &Bench, words: &[&str]) -> Child {
    let mut command = bench.host.command_of(words);
    let command = command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

fn crash_at(step: &str, side: Side) {
    let mut bench = Bench::new(&["native"], &[("FLEET_SWAP_PROBATION", "200ms")]);
    bench.notes("echo");
    let process = pid(&bench.host.show("echo"));
    let (old, next) = (bench.active("native"), Version::next("native"));
    let version = next.write(&bench.host.scratch().join("versions"), "native");
    if is_rollback(step) {
        // One that is not proven yet, so that there is a way back.
        restart_with(&mut bench, &[("FLEET_SWAP_PROBATION", "60s")]);
        bench.swapped("native", &next);
    }
    let probation = if is_rollback(step) { "60s" } else { "200ms" };
    restart_with(
        &mut bench,
        &[
            ("FLEET_SWAP_PROBATION", probation),
            ("FLEET_TEST_SWAP_KILL", step),
        ],
    );

    let mut sending = begin(
        &bench,
        &[
            "workload",
            "send",
            "echo",
            "meanwhile",
            "--key",
            "meanwhile",
        ],
    );
    let mut asking = if is_rollback(step) {
        begin(&bench, &["plugin", "rollback", "native"])
    } else {
        begin(
            &bench,
            &["plugin", "swap", "native", version.to_str().unwrap()],
        )
    };
    let status = bench.host.ended();
    assert_eq!(status.signal(), Some(9), "{step}: {status}");
    let said = bench.host.complaints();
    assert!(said.contains(&format!("reached {step}")), "{said}");
    for child in [&mut asking, &mut sending] {
        let _ = child.kill();
        child.wait().unwrap();
    }
    assert!(is_alive(process.parse().unwrap()));

    bench.host.change(|options| options.before = variables(&[]));
    bench.host.start_again();
    let active = bench.active("native");
    let serves = if active["digest"] == old["digest"] {
        Side::Old
    } else {
        Side::New
    };
    assert_eq!(serves, side, "{step}: {active:#}");
    assert_eq!(pid(&bench.host.wait_state("echo", "running")), process);

    // What may have been answered and what may not: the same again is the same one.
    for key in ["meanwhile", "after"] {
        let send = ["workload", "send", "echo", key, "--key", key];
        bench.host.cli(send).ok();
    }
    let noted = fleet_e2e::wait_for("both lines", 20, || {
        Some(bench.noted("echo")).filter(|noted| noted.len() >= 2)
    });
    assert_eq!(noted, ["meanwhile", "after"], "{step}: each once");

    // And the way is free: the next swap goes through.
    bench.swapped(
        "native",
        &Version::shipped("native").salted("after a crash"),
    );
    bench.host.cli(["workload", "rm", "--all"]).ok();
}

fn restart_with(bench: &mut Bench, pairs: &[(&str, &str)]) {
    bench.host.kill();
    bench
        .host
        .change(|options| options.before = variables(pairs));
    bench.host.start_again();
}

/// Every third step, so that the three tests share the work.
fn every_third(from: usize) {
    for (step, side) in STEPS.into_iter().skip(from).step_by(3) {
        crash_at(step, side);
    }
}

#[test]
fn killed_at_each_step_one_generation_serves_and_no_op_is_doubled_first_third() {
    every_third(0);
}

#[test]
fn killed_at_each_step_one_generation_serves_and_no_op_is_doubled_second_third() {
    every_third(1);
}

#[test]
fn killed_at_each_step_one_generation_serves_and_no_op_is_doubled_last_third() {
    every_third(2);
}
