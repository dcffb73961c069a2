//! P15: what an idle host holds, and how large its binary is.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Missing, Role, Series, Unit};
use crate::options::Size;
use crate::peers::{restate, temporal};
use crate::process::{Memory, Owned, free_address, http_status};
use crate::rounds::{Contestant, interleave};
use crate::statistics::Samples;
use crate::stopwatch::{pause, wait_for};
use crate::subject::host::HostFolder;

const HOST: &str = "fleet-host run";
const FLOOR: &str = "axum + SQLite";

/// What a controller and a node may hold, which `run` is in one: 25 MB and 12 MB.
const GOAL_BYTES: f64 = 37e6;

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let (resident, proportional, missing) = memory(bench)?;
    let finding = |work: &str, series, goals, missing, notes| Finding {
        id: "P15".into(),
        work: work.into(),
        unit: Unit::Bytes,
        series,
        missing,
        goals,
        notes,
    };
    let roles = "a controller may hold 25 MB and a node 12 MB; `run` is both in one process, so the goal here is their sum.";
    let built = "the binary is the release build with all roles and the compiler in it; `--profile dist` makes a smaller one.";
    Ok(vec![
        finding(
            "idle memory 5 s after `/ready`, resident (RSS)",
            resident,
            vec![Goal::AtMost { value: GOAL_BYTES }],
            missing,
            vec![roles.into()],
        ),
        finding(
            "idle memory 5 s after `/ready`, proportional (PSS)",
            proportional,
            vec![Goal::AtMost { value: GOAL_BYTES }],
            Vec::new(),
            Vec::new(),
        ),
        finding(
            "size of the binary",
            sizes(bench)?,
            Vec::new(),
            Vec::new(),
            vec![built.into()],
        ),
    ])
}

/// Resident and proportional memory of each, and the peers that are not there.
fn memory(bench: &Bench) -> Result<(Vec<Series>, Vec<Series>, Vec<Missing>)> {
    let root = bench.scratch("idle")?;
    let idle = match bench.options.size() {
        Size::Full => Duration::from_secs(5),
        Size::Quick => Duration::from_secs(1),
    };
    let of = |pid| -> Result<[f64; 2]> {
        pause(idle);
        let memory = Memory::of(pid)?;
        Ok([memory.rss_bytes, memory.pss_bytes])
    };
    let host = HostFolder {
        binary: bench.options.host.clone(),
        plugins: bench.options.plugins.clone(),
        grants: None,
        data: root.join("data"),
        cache: bench.compiled(),
    };
    // The first start compiles, which is not what an idle host looks like.
    host.start()?.stop()?;
    let mut turns = vec![
        Contestant::new(Role::Ours, HOST, || {
            let running = host.start()?;
            let memory = of(running.pid())?;
            running.stop()?;
            Ok(memory)
        }),
        Contestant::new(Role::Floor, FLOOR, || {
            let address = free_address()?;
            of(floor(bench, address, &root)?.pid())
        }),
    ];
    let mut missing = Vec::new();
    match bench.peers.restate() {
        Ok(program) => turns.push(Contestant::new(Role::Peer, restate::NAME, || {
            of(restate::start(program, &root)?.1.pid())
        })),
        Err(peer) => missing.push(peer),
    }
    match bench
        .peers
        .temporal()
        .and_then(|program| Ok((program, bench.peers.grpc()?)))
    {
        Ok((program, grpc)) => turns.push(Contestant::new(Role::Peer, temporal::NAME, || {
            of(temporal::start(program, grpc, &root)?.1.pid())
        })),
        Err(peer) => missing.push(peer),
    }
    let [resident, proportional] = interleave(bench.options.rounds(), turns)?;
    Ok((resident, proportional, missing))
}

/// A server that is ready.
fn floor(bench: &Bench, address: SocketAddr, root: &Path) -> Result<Owned> {
    let mut command = Command::new(bench.beside("fleet-bench-floor-idle")?);
    command
        .arg(address.to_string())
        .arg(root.join("floor.db"))
        .stdin(Stdio::null());
    let process = Owned::spawn(&mut command)?;
    let ready = || Ok(http_status(address, "/ready").filter(|status| *status == 200));
    wait_for(
        "the floor's server",
        Duration::from_secs(20),
        Duration::from_millis(5),
        ready,
    )?;
    Ok(process)
}

/// File sizes, which need no rounds.
fn sizes(bench: &Bench) -> Result<Vec<Series>> {
    let floor = bench.beside("fleet-bench-floor-idle")?;
    let mut files = vec![
        (HOST, Role::Ours, bench.options.host.as_path()),
        (FLOOR, Role::Floor, &floor),
    ];
    files.extend(
        bench
            .peers
            .restate()
            .ok()
            .map(|file| (restate::NAME, Role::Peer, file)),
    );
    files.extend(
        bench
            .peers
            .temporal()
            .ok()
            .map(|file| (temporal::NAME, Role::Peer, file)),
    );
    files
        .into_iter()
        .map(|(name, role, file)| {
            let kib = u32::try_from(std::fs::metadata(file)?.len() / 1_024)?;
            Ok(Series {
                name: name.to_owned(),
                role,
                samples: Samples(vec![f64::from(kib) * 1_024.0]),
            })
        })
        .collect()
}
