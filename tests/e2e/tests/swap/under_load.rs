//! Backends that are swapped again and again while they work.

use fleet_e2e::{Host, wait_for};
use fleet_test_engine::Engine;
use serde_json::Value;

use crate::support::{Bench, Version, pid, resident, swap};
use crate::traffic::{Habit, Tally, Traffic};

const NATIVE: usize = 50;
const CONTAINERS: usize = 10;

/// What a host may grow by after the first swaps: freed memory that its allocator keeps.
const SLACK_BYTES: u64 = 24 << 20;

#[test]
fn fifty_swaps_under_load_lose_no_call_and_touch_no_workload() {
    back_and_forth(50);
}

#[test]
#[ignore = "the full size, for `cargo xtask soak`"]
fn two_hundred_swaps_under_load_lose_no_call_and_touch_no_workload() {
    back_and_forth(200);
}

/// Swaps each backend to its next version and back, so many times in all.
fn back_and_forth(swaps: usize) {
    let engine = Engine::own();
    let address = engine.as_ref().map(Engine::address).unwrap_or_default();
    let bench = Bench::new(
        &["native", "docker"],
        &[("DOCKER_HOST", &address), ("FLEET_SWAP_PROBATION", "1s")],
    );
    let natives: Vec<String> = (0..NATIVE).map(|number| format!("n{number}")).collect();
    begin_natives(&bench, &natives);
    let boxes: Vec<String> = match &engine {
        Some(_) => (0..CONTAINERS).map(|number| format!("c{number}")).collect(),
        None => Vec::new(),
    };
    for name in &boxes {
        begin_container(&bench, name);
    }
    let processes = |host: &Host| -> Vec<String> {
        let all = natives.iter().chain(&boxes);
        all.map(|name| pid(&host.wait_state(name, "running")))
            .collect()
    };
    let before = processes(&bench.host);
    let containers = engine.as_ref().map(ids);

    let out = tempfile::tempdir().unwrap();
    let mut callers = vec![
        (Habit::Send, natives[..NATIVE / 2].to_vec()),
        (Habit::Send, natives[NATIVE / 2..].to_vec()),
        (Habit::Run, Vec::new()),
    ];
    let mut backends = vec!["native"];
    if engine.is_some() {
        callers.push((Habit::Exec, boxes[..CONTAINERS / 2].to_vec()));
        callers.push((Habit::Exec, boxes[CONTAINERS / 2..].to_vec()));
        backends.push("docker");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tally = runtime.block_on(swapped(&bench, &backends, &callers, swaps, out.path()));

    tally.assert_answered();
    bench.assert_effects(&tally);
    assert_eq!(processes(&bench.host), before, "the same processes");
    assert_eq!(engine.as_ref().map(ids), containers, "the same containers");
    for name in backends {
        let told = wait_for("an event of each swap", 30, || {
            let told = bench.events("plugin.swapped", name);
            (told.len() >= swaps.min(500)).then_some(told)
        });
        assert_eq!(told.len(), swaps, "each swap is told once");
    }
    bench.host.cli(["workload", "rm", "--all"]).ok();
    if let Some(engine) = &engine {
        assert_eq!(engine.containers("fleet.workload"), Vec::<Value>::new());
    }
}

/// Swaps all backends while callers call, and answers what those saw.
async fn swapped(
    bench: &Bench,
    backends: &[&str],
    callers: &[(Habit, Vec<String>)],
    swaps: usize,
    out: &std::path::Path,
) -> Tally {
    let client = bench.client();
    let traffic = Traffic::begin(&client, callers, out);
    traffic.more(20).await;
    let versions: Vec<_> = backends
        .iter()
        .map(|name| (*name, [Version::next(name), Version::shipped(name)]))
        .collect();
    let mut settled = 0;
    for round in 0..swaps {
        for (name, versions) in &versions {
            let report = swap(&client, name, &versions[round % 2]).await;
            assert_eq!(report["verdict"], "active", "{report:#}");
            let handles = &report["handles"];
            assert_eq!(handles["failed"], 0, "{report:#}");
            assert!(
                handles["adopted"].as_u64().unwrap() >= u64::try_from(CONTAINERS).unwrap(),
                "{report:#}"
            );
        }
        // Between two swaps somebody is always served by the code of that moment.
        traffic.more(1).await;
        if round == swaps / 5 {
            settled = resident(bench.host.pid());
        }
    }
    let tally = traffic.end().await;
    let grown = resident(bench.host.pid()).saturating_sub(settled);
    eprintln!(
        "{} swaps of {backends:?}, {} calls, {} KiB more than after a fifth of them",
        swaps * backends.len(),
        tally.calls,
        grown >> 10
    );
    assert!(grown < SLACK_BYTES, "{grown} bytes more");
    tally
}

/// Programs that note each line they read.
fn begin_natives(bench: &Bench, names: &[String]) {
    let script = "while read -r line; do echo \"$line\" >> seen; done";
    for name in names {
        let run = ["workload", "run", "--name", name, "--", "sh", "-c", script];
        bench.host.cli(run).ok();
    }
}

fn begin_container(bench: &Bench, name: &str) {
    let text = format!(
        "name = \"{name}\"\nbackend = \"docker\"\ncommand = [\"sleep\", \"86400\"]\n\
         config = {{ image = \"fleet-test:1\", network = \"none\" }}\n"
    );
    let file = bench.host.scratch().join(format!("{name}.toml"));
    std::fs::write(&file, text).unwrap();
    bench
        .host
        .cli(["workload", "run", "-f", file.to_str().unwrap()])
        .ok();
}

/// The containers of workloads, by id.
fn ids(engine: &Engine) -> Vec<String> {
    let rows = engine.containers("fleet.workload");
    let mut ids: Vec<_> = rows
        .iter()
        .map(|row| row["Id"].as_str().unwrap().to_owned())
        .collect();
    ids.sort();
    ids
}
