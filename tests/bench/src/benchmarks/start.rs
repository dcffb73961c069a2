//! P4: from the start of the process until it is ready, with five plugins that are compiled
//! already.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleet_plugin::{default_grants, manifests};
use rustix::process::Signal;
use wasmtime::Engine;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Unit};
use crate::floor::engine;
use crate::peers::{restate, temporal};
use crate::process::Owned;
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::now;
use crate::subject::copies::{self, COPIES, SHIPPED};
use crate::subject::host::HostFolder;

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let root = bench.scratch("start")?;
    let host = folder(bench, &root)?;
    let compiled = compiled(&host.plugins, &root)?;
    let mut turns = vec![
        Contestant::new(Role::Ours, "fleet-host", || {
            let running = host.start()?;
            let taken = running.ready_after;
            running.stop()?;
            Ok([taken])
        }),
        Contestant::new(Role::Floor, "hello world that maps 5 components", || {
            Ok([floor(bench, &compiled)?])
        }),
        Contestant::new(
            Role::Context,
            "fleet-host, first start on a new data folder",
            || {
                let fresh = HostFolder {
                    data: bench.scratch("start-fresh")?.join("data"),
                    binary: host.binary.clone(),
                    plugins: host.plugins.clone(),
                    grants: host.grants.clone(),
                    cache: host.cache.clone(),
                };
                let running = fresh.start()?;
                let taken = running.ready_after;
                running.stop()?;
                Ok([taken])
            },
        ),
    ];
    let mut missing = Vec::new();
    match bench.peers.restate() {
        Ok(program) => turns.push(Contestant::new(Role::Peer, restate::NAME, || {
            let (taken, process) = restate::start(program, &root)?;
            process.end(Signal::TERM)?;
            Ok([taken])
        })),
        Err(peer) => missing.push(peer),
    }
    match bench
        .peers
        .temporal()
        .and_then(|program| Ok((program, bench.peers.grpc()?)))
    {
        Ok((program, grpc)) => turns.push(Contestant::new(Role::Peer, temporal::NAME, || {
            let (taken, process) = temporal::start(program, grpc, &root)?;
            process.end(Signal::TERM)?;
            Ok([taken])
        })),
        Err(peer) => missing.push(peer),
    }
    let [series] = interleave(bench.options.rounds(), turns)?;
    Ok(vec![Finding {
        id: "P4".into(),
        work: "process start to `/ready`, 5 cached plugins, on the data of the run before".into(),
        unit: Unit::Seconds,
        series,
        missing,
        goals: vec![
            Goal::AtMost { value: 0.030 },
            Goal::PeersTake {
                peer: None,
                at_least: 20.0,
            },
        ],
        notes: vec![
            format!(
                "the plugins are {} and {}: copies of `mock` that say another name.",
                SHIPPED.join(", "),
                COPIES.join(", ")
            ),
            "restate-server starts on the data of the run before; ready when its API and its ingress answer. temporal keeps its data in memory; ready when its front end says SERVING.".into(),
        ],
    }])
}

/// A host with five plugins, started once so that they are compiled.
fn folder(bench: &Bench, root: &Path) -> Result<HostFolder> {
    let plugins = root.join("plugins");
    std::fs::create_dir(&plugins)?;
    copies::folder(bench, &plugins)?;
    let mut names = Vec::new();
    for name in SHIPPED.iter().chain(&COPIES) {
        names.push(name.parse()?);
    }
    let grants = root.join("grants.toml");
    std::fs::write(&grants, default_grants(&manifests(&plugins)?, &names, &[]))?;
    let host = HostFolder {
        binary: bench.options.host.clone(),
        plugins,
        grants: Some(grants),
        data: root.join("data"),
        cache: bench.compiled(),
    };
    let running = host.start()?;
    let found = bench.runtime.block_on(running.client()?.plugins())?;
    running.stop()?;
    for plugin in &found.items {
        if !plugin.usable {
            let why = plugin.reason.as_deref().unwrap_or("no reason given");
            return Err(format!("{} is not usable: {why}", plugin.file).into());
        }
    }
    if found.items.len() != names.len() {
        return Err(format!(
            "the host knows {} plugins of {}",
            found.items.len(),
            names.len()
        )
        .into());
    }
    Ok(host)
}

/// The components of a folder as code for the floor.
fn compiled(plugins: &Path, root: &Path) -> Result<Vec<PathBuf>> {
    let engine = Engine::new(&engine::config())?;
    let mut files = Vec::new();
    for name in SHIPPED.iter().chain(&COPIES) {
        let component = std::fs::read(plugins.join(format!("{name}.wasm")))?;
        let file = root.join(format!("{name}.cwasm"));
        std::fs::write(&file, engine.precompile_component(&component)?)?;
        files.push(file);
    }
    Ok(files)
}

/// Seconds from its start until it says that it is ready.
fn floor(bench: &Bench, compiled: &[PathBuf]) -> Result<f64> {
    let program = bench.beside("fleet-bench-floor-start")?;
    let mut command = Command::new(program);
    command
        .args(compiled)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let began = now();
    let mut process = Owned::spawn(&mut command)?;
    let mut said = String::new();
    if let Some(stdout) = process.child().stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    let taken = began.elapsed().as_secs_f64();
    if said.trim() == format!("ready {}", compiled.len()) {
        Ok(taken)
    } else {
        Err(format!("it said `{}`", said.trim()).into())
    }
}
