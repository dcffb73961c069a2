//! A new version that is dropped into the plugin folder, as a person does it.

use std::path::Path;

use fleet_e2e::{Ran, wait_for};

use crate::support::{Bench, Version};
use crate::traffic::{Habit, Traffic};

/// What a shell says to this, in the plugin folder.
fn shell(script: &str, folder: &Path) -> Ran {
    let mut command = std::process::Command::new("sh");
    let command = command.args(["-e", "-c", script]).current_dir(folder);
    Ran::from(&command.output().unwrap())
}

#[test]
fn a_file_copied_over_the_old_one_or_renamed_takes_its_place_while_calls_go_on() {
    let bench = Bench::new(&["native"], &[]);
    let names: Vec<String> = (0..6).map(|number| format!("n{number}")).collect();
    for name in &names {
        bench.notes(name);
    }
    let next = bench.host.scratch().join("next");
    Version::next("native").write(&next, "native");
    let back = bench.host.scratch().join("back");
    Version::shipped("native").write(&back, "native");
    let versions = [
        Version::next("native").manifest,
        Version::shipped("native").manifest,
    ]
    .map(|manifest| {
        let line = manifest.lines().find(|line| line.starts_with("version = "));
        line.unwrap().split('"').nth(1).unwrap().to_owned()
    });

    let out = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let callers = [
        (Habit::Send, names[..3].to_vec()),
        (Habit::Send, names[3..].to_vec()),
        (Habit::Run, Vec::new()),
    ];
    let traffic = runtime.block_on(async {
        let traffic = Traffic::begin(&bench.client(), &callers, out.path());
        traffic.more(10).await;
        traffic
    });
    for (script, from, version) in [
        ("cp $FROM/native.* .", &next, &versions[0]),
        (
            "cp $FROM/native.toml .n.toml; cp $FROM/native.wasm .n.wasm; mv .n.toml native.toml; mv .n.wasm native.wasm",
            &back,
            &versions[1],
        ),
        // The component first, its manifest a moment later.
        (
            "cp $FROM/native.wasm .; sleep 0.05; cp $FROM/native.toml .",
            &next,
            &versions[0],
        ),
    ] {
        let script = script.replace("$FROM", from.to_str().unwrap());
        shell(&script, bench.folder.path()).ok();
        bench.serves("native", version);
        runtime.block_on(traffic.more(10));
    }
    let tally = runtime.block_on(traffic.end());
    tally.assert_answered();
    bench.assert_effects(&tally);

    let history = bench.history("native");
    assert_eq!(history.len(), 3, "{history:#?}");
    for report in &history {
        assert_eq!(
            (&report["cause"], &report["verdict"], &report["file"]),
            (&"file".into(), &"active".into(), &"native.wasm".into()),
            "{report:#}"
        );
        assert_eq!(report["handles"]["failed"], 0, "{report:#}");
    }
    wait_for("an event of each swap", 20, || {
        (bench.events("plugin.swapped", "native").len() == 3).then_some(())
    });
    bench.host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn the_loop_of_the_readme_has_no_failure() {
    let bench = Bench::new(&["native"], &[]);
    bench.notes("echo");
    let next = bench.host.scratch().join("next");
    Version::next("native").write(&next, "native");
    let script = format!(
        "(for n in $(seq 60); do {host} workload send echo \"line $n\" || echo \"$n failed\"; done) > calls.txt 2>&1 &\n\
         cp {next}/native.* {plugins}/\n\
         wait\n\
         grep -c failed calls.txt || true\n",
        host = fleet_e2e::binary().display(),
        next = next.display(),
        plugins = bench.folder.path().display(),
    );
    let file = bench.host.scratch().join("loop.sh");
    std::fs::write(&file, script).unwrap();
    let mut command = std::process::Command::new("sh");
    let environment = bench.host.command();
    let environment = environment
        .get_envs()
        .filter_map(|(name, value)| Some((name, value?)));
    let ran: Ran = (&command
        .arg(&file)
        .envs(environment)
        .current_dir(bench.host.scratch())
        .output()
        .unwrap())
        .into();
    assert_eq!(ran.ok().stdout, "0\n");
    let version = bench.serves("native", "0.1.0+next")["version"].clone();
    assert_eq!(version, "0.1.0+next");
    let noted = wait_for("all lines", 20, || {
        Some(bench.noted("echo")).filter(|noted| noted.len() >= 60)
    });
    let expected: Vec<String> = (1..=60).map(|n| format!("line {n}")).collect();
    assert_eq!(noted, expected, "each once, in order");
    let table = bench.host.cli(["plugin", "history", "native"]).ok().stdout;
    assert!(table.contains("0.1.0 -> 0.1.0+next"), "{table}");
}
