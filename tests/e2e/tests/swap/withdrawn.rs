//! A version that passes all checks and fails when it has served for a while: it is taken back by
//! itself, and kept out until somebody allows it.

use std::time::{SystemTime, UNIX_EPOCH};

use fleet_e2e::wait_for;

use crate::support::{Bench, Version};

fn now_ms() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    now.as_millis()
}

/// A version of `mock` that traps where a runtime is made, from this Unix time on.
fn failing(from_ms: u128) -> Version {
    let settings = format!("\n[settings]\ntraps_from_ms = {from_ms}\n");
    Version::next("mock").with(&settings)
}

#[test]
fn one_that_fails_under_load_after_a_while_is_taken_back_and_kept_out_until_it_is_allowed() {
    let bench = Bench::new(
        &["mock"],
        &[
            ("FLEET_SWAP_FAILURES", "2"),
            ("FLEET_SWAP_PROBATION", "60s"),
        ],
    );
    bench.played("long", &[]).ok();
    let proven = bench.active("mock");
    let from_ms = now_ms() + 3_000;
    let bad = failing(from_ms);
    bench.swapped("mock", &bad);
    let newcomer = bench.active("mock");
    // It works at first.
    bench.played("early", &[]).ok();
    assert!(now_ms() < from_ms, "this machine is too slow for the test");

    wait_for("the time at which it begins to fail", 10, || {
        (now_ms() > from_ms).then_some(())
    });
    // What is asked for meanwhile is done by whichever serves, and comes to its end.
    for number in 0..4 {
        bench
            .host
            .cli([
                "workload",
                "run",
                "--backend",
                "mock",
                "--name",
                &format!("late{number}"),
                "--",
                "x",
            ])
            .ok();
    }
    let back = wait_for("it to be taken back", 30, || {
        let newest = bench.history("mock").remove(0);
        (newest["kind"] == "rollback").then_some(newest)
    });
    assert_eq!(
        (&back["cause"], &back["verdict"], &back["reason"]["code"]),
        (&"failures".into(), &"active".into(), &"failures".into()),
        "{back:#}"
    );
    bench.listed("mock", &proven["digest"]);
    for number in 0..4 {
        let _ = bench.host.wait_state(&format!("late{number}"), "running");
    }
    let _ = bench.host.wait_state("long", "running");
    let _ = bench.host.wait_state("early", "running");
    wait_for("its event", 20, || {
        (bench.events("plugin.rolled-back", "mock").len() == 1).then_some(())
    });

    // It is kept out, over a restart too, and everybody can see why.
    let Bench { mut host, folder } = bench;
    host.kill();
    host.start_again();
    let bench = Bench { host, folder };
    assert_eq!(bench.active("mock")["digest"], proven["digest"]);
    let refused = bench.swap("mock", &bad, &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    let digest = newcomer["digest"].as_str().unwrap();
    assert!(
        refused.stderr.contains("plugin unquarantine"),
        "the remedy: {refused:?}"
    );
    let shown = bench
        .host
        .cli(["plugin", "show", "mock", "--output", "json"])
        .ok()
        .json();
    let kept_out = &shown["newcomers"][0];
    assert_eq!(
        (&kept_out["digest"], &kept_out["state"]),
        (&newcomer["digest"], &"quarantined".into()),
        "{shown:#}"
    );
    bench.host.cli(["plugin", "unquarantine", digest]).ok();
    // Allowed, and mended.
    bench.swapped("mock", &Version::next("mock"));
}

#[test]
fn a_version_that_serves_its_time_is_proven() {
    let bench = Bench::new(&["mock"], &[("FLEET_SWAP_PROBATION", "300ms")]);
    bench.swapped("mock", &Version::next("mock"));
    wait_for("its probation to end", 20, || {
        bench.active("mock")["probation_until_ms"]
            .is_null()
            .then_some(())
    });
    wait_for("its event", 20, || {
        (bench.events("plugin.proven", "mock").len() == 1).then_some(())
    });
    // Proven, it is what the next one goes back to.
    bench.swapped("mock", &Version::shipped("mock").salted("later"));
    bench.host.cli(["plugin", "rollback", "mock"]).ok();
    bench.serves("mock", "0.1.0+next");
}
