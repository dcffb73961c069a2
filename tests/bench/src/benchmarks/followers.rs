//! P16: many who follow one log while it is written.

use std::time::Duration;

use fleet_client::{Client, LogQuery};
use serde_json::json;
use tokio::task::JoinSet;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Unit};
use crate::floor::websocket::{PROGRAM, Server};
use crate::options::Size;
use crate::process::Peak;
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::now;
use crate::subject::host::{HostFolder, Swept};
use crate::subject::running::running;

/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(300);
/// The bytes of a line, with its line feed.
const LINE: usize = 101;
/// What each follower may cost a host at its peak: its connection, its session's stream, its buffers.
const HOLDS_BYTES: f64 = 1e6;

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let (followers, lines) = match bench.options.size() {
        Size::Full => (200, 50_000),
        Size::Quick => (20, 5_000),
    };
    let root = bench.scratch("followers")?;
    let host = HostFolder {
        binary: bench.options.host.clone(),
        plugins: bench.options.plugins.clone(),
        grants: None,
        data: root.join("data"),
        cache: bench.compiled(),
    };
    let workloads = host.data.join("workloads");
    let swept = Swept(&workloads);
    let running_host = host.start()?;
    let client = running_host.client()?;
    let file = root.join("lines");
    std::fs::write(
        &file,
        format!("{}\n", "0123456789".repeat(10)).repeat(lines),
    )?;
    let server = Server::of_file(bench.beside(PROGRAM)?, &file)?;
    let mut round = 0;
    let [seconds, bytes] = interleave(
        bench.options.rounds(),
        vec![
            Contestant::new(Role::Ours, "fleet-host", || {
                round += 1;
                let name = format!("log-{round}");
                let peak = Peak::begin(running_host.pid())?;
                let taken = bench
                    .runtime
                    .block_on(followed(&client, &name, followers, lines, &file))?;
                let grown = peak.bytes()?;
                bench
                    .runtime
                    .block_on(client.remove(&name, Some(Duration::ZERO)))?;
                Ok([taken, grown])
            }),
            Contestant::new(Role::Floor, "bare WebSockets", || {
                let peak = Peak::begin(server.pid())?;
                let address = server.address().to_owned();
                let wanted = u64::try_from(lines * LINE)?;
                let taken = bench.runtime.block_on(read(address, followers, wanted))?;
                Ok([taken, peak.bytes()?])
            }),
        ],
    )?;
    running_host.stop()?;
    drop(swept);
    let work = format!("{followers} followers of one log of {lines} lines while it is written");
    let finding = |work: String, unit, series, goals, notes: &[&str]| Finding {
        id: "P16".into(),
        work,
        unit,
        series,
        missing: Vec::new(),
        goals,
        notes: notes.iter().map(|note| (*note).to_owned()).collect(),
    };
    let count = f64::from(u32::try_from(followers)?);
    Ok(vec![
        finding(
            work.clone(),
            Unit::Seconds,
            seconds,
            Vec::new(),
            &[
                "from the moment the program may begin to print until all have every line; all followers are in one process, which takes the lines apart. The floor sends a finished file to as many connections, which count bytes.",
            ],
        ),
        finding(
            format!("{work}: growth of the serving process, at its peak"),
            Unit::Bytes,
            bytes,
            vec![Goal::AtMost {
                value: HOLDS_BYTES * count,
            }],
            &["at most 1 MB for each follower, whose windows and buffers are bounded."],
        ),
    ])
}

/// Seconds until every follower has every line.
async fn followed(
    client: &Client,
    name: &str,
    followers: usize,
    lines: usize,
    file: &std::path::Path,
) -> Result<f64> {
    let line = format!(
        "echo ready; until [ -e go ]; do sleep 0.01; done; cat '{}'; exec sleep 3600",
        file.display()
    );
    running(
        client,
        json!({ "name": name, "command": ["/bin/sh", "-c", line] }),
    )
    .await?;
    let mut reading = JoinSet::new();
    let (ready, mut all_ready) = tokio::sync::mpsc::channel::<()>(followers);
    for _ in 0..followers {
        let (client, name, ready) = (client.clone(), name.to_owned(), ready.clone());
        reading.spawn(async move {
            let query = LogQuery {
                follow: true,
                ..LogQuery::default()
            };
            let mut log = client.logs(&name, query);
            let mut seen = 0;
            while seen <= lines {
                let entry = log.next().await?.ok_or("the log ended early")?;
                seen += usize::from(entry.complete);
                if seen == 1 {
                    ready.send(()).await?;
                }
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    let work = async {
        for _ in 0..followers {
            all_ready.recv().await.ok_or("a follower is gone")?;
        }
        let began = now();
        client.make_folder(name, "go").await?;
        while let Some(read) = reading.join_next().await {
            read??;
        }
        Ok(began.elapsed().as_secs_f64())
    };
    within(work).await
}

/// Seconds until every connection has everything.
async fn read(address: String, followers: usize, wanted: u64) -> Result<f64> {
    let began = now();
    let mut reading = JoinSet::new();
    for _ in 0..followers {
        reading.spawn(Server::read(address.clone()));
    }
    let work = async {
        while let Some(read) = reading.join_next().await {
            let read = read??;
            if read != wanted {
                return Err(format!("{read} bytes came instead of {wanted}").into());
            }
        }
        Ok(began.elapsed().as_secs_f64())
    };
    within(work).await
}

async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(LIMIT, work)
        .await
        .map_err(|_| format!("it took more than {} s", LIMIT.as_secs()))?
}
