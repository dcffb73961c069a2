//! Forty containers, a host that is killed and an engine that is stopped: nothing is lost or doubled.

use std::collections::BTreeMap;

use fleet_e2e::{Host, is_alive, wait_for};
use fleet_test_engine::Engine;
use serde_json::Value;

use crate::proxy::Proxy;
use crate::support::{Spec, attribute, host, host_at, long};

const MANY: usize = 40;

fn all(host: &Host) -> Vec<Value> {
    let listed = host.cli(["workload", "ls", "--output", "json"]).ok().json();
    listed["items"].as_array().unwrap().clone()
}

/// What was last seen, printed where a test fails on it.
struct Shown(Vec<Value>);

impl Drop for Shown {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let rest = self.0.iter().filter(|shown| shown["state"] != "running");
            rest.for_each(|shown| println!("{shown:#}"));
        }
    }
}

/// Name to process of all that run, when that many do.
fn running(host: &Host, count: usize) -> BTreeMap<String, String> {
    let mut last = Shown(Vec::new());
    wait_for(&format!("{count} to run"), 120, || {
        last.0 = all(host);
        let pids: BTreeMap<_, _> = last
            .0
            .iter()
            .filter(|shown| shown["state"] == "running")
            .filter_map(|shown| {
                let name = shown["name"].as_str()?.to_owned();
                Some((name, attribute(shown, "pid")?.to_owned()))
            })
            .collect();
        (pids.len() == count).then_some(pids)
    })
}

#[test]
fn forty_containers_outlive_their_host_and_their_engine() {
    let Some(mut engine) = Engine::own() else {
        return;
    };
    let mut host = host(&engine);
    for number in 0..MANY {
        long(&format!("c{number}")).run(&host, &[]).ok();
        // In the middle of it all.
        if number == MANY / 2 {
            host.kill();
            host.start_again();
        }
    }
    let before = running(&host, MANY);
    assert_eq!(engine.containers("fleet.workload").len(), MANY);

    // Both go, the engine the hard way, and the host comes back first.
    host.kill();
    engine.kill();
    host.start_again();
    for pid in before.values() {
        assert!(is_alive(pid.parse().unwrap()), "{pid} outlives both");
    }
    engine.start();
    assert_eq!(running(&host, MANY), before, "the same processes");
    assert_eq!(engine.containers("fleet.workload").len(), MANY);

    // The engine alone, in order.
    engine.stop();
    engine.start();
    assert_eq!(running(&host, MANY), before);

    host.cli(["workload", "rm", "--all"]).ok();
    assert_eq!(engine.containers("fleet.workload"), Vec::<Value>::new());
    for pid in before.values() {
        assert!(!is_alive(pid.parse().unwrap()), "{pid}");
    }
}

#[test]
fn an_engine_that_dies_while_it_makes_containers_doubles_none() {
    let Some(mut engine) = Engine::own() else {
        return;
    };
    let proxy = Proxy::new(engine.socket());
    let host = host_at(&proxy.address());
    // It is in the middle of making, not of starting: what is left of a start Docker 20.10 cannot mend.
    proxy.block("/start");
    const COUNT: usize = 12;
    let names: Vec<String> = (0..COUNT).map(|number| format!("d{number}")).collect();
    for name in &names {
        long(name).run(&host, &[]).ok();
    }
    wait_for("some of them to be made", 60, || {
        (engine.containers("fleet.workload").len() >= 3).then_some(())
    });
    engine.kill();
    let made = wait_for("one that waits for the engine", 60, || {
        let all = all(&host);
        all.iter()
            .any(|shown| shown["state"] != "running")
            .then_some(all.len())
    });
    assert_eq!(made, COUNT);
    engine.start();
    proxy.pass();
    running(&host, COUNT);
    let rows = engine.containers("fleet.workload");
    let mut owners: Vec<&str> = rows
        .iter()
        .map(|row| row["Labels"]["fleet.workload"].as_str().unwrap())
        .collect();
    owners.sort_unstable();
    owners.dedup();
    assert_eq!(
        (owners.len(), rows.len()),
        (COUNT, COUNT),
        "one container each"
    );
    host.cli(["workload", "rm", "--all"]).ok();
    assert_eq!(engine.containers("fleet.workload"), Vec::<Value>::new());
}

#[test]
fn what_ran_once_does_not_run_again_when_host_and_engine_are_back() {
    let Some(mut engine) = Engine::own() else {
        return;
    };
    let mut host = host(&engine);
    Spec::new("once", &["sh", "-c", "echo ran >> /workspace/runs; exit 4"])
        .run(&host, &[])
        .ok();
    let ended = host.wait_state("once", "exited");
    host.kill();
    engine.kill();
    engine.start();
    host.start_again();
    let after = host.wait_state("once", "exited");
    assert_eq!(
        (&after["exit_code"], &after["attempt"]),
        (&ended["exit_code"], &ended["attempt"])
    );
    let id = ended["id"].as_str().unwrap();
    let runs = host
        .data()
        .join("workloads")
        .join(id)
        .join("workspace/runs");
    assert_eq!(std::fs::read_to_string(runs).unwrap(), "ran\n");
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn an_engine_that_does_not_answer_harms_nobody_else() {
    let Some(engine) = Engine::own() else {
        return;
    };
    let host = host(&engine);
    long("box").run(&host, &["--wait"]).ok();
    engine.freeze();
    host.cli("workload run --name plain --wait --timeout 20s -- sleep 86400".split(' '))
        .ok();
    let slow = Spec::new("slow", &["true"]).run(&host, &["--wait", "--timeout", "2s"]);
    assert_eq!(slow.code, 5, "{slow:?}");
    engine.thaw();
    let _ = host.wait_state("slow", "exited");
    let _ = host.wait_state("box", "running");
    host.cli(["workload", "rm", "--all"]).ok();
    assert_eq!(engine.containers("fleet.workload"), Vec::<Value>::new());
}
