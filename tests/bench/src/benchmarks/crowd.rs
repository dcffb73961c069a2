//! P11: many native workloads at once, from the first request until every one of them runs.

use std::collections::BTreeSet;
use std::time::Duration;

use fleet_client::{Client, EventQuery, Followed, WorkloadQuery};
use fleet_model::workload::{WorkloadSpec, WorkloadState};
use serde_json::json;
use tokio::task::JoinSet;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Unit};
use crate::floor::spawn::{self, Record};
use crate::options::Size;
use crate::peers::{pm2, supervisord};
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::now;
use crate::subject::host::{HostFolder, Swept};

/// What each of them runs: as little as can run for a while.
const COMMAND: [&str; 2] = ["/bin/sleep", "3600"];
/// How many requests are under way at one time.
const CONNECTIONS: usize = 32;
/// How long all of them may take.
const LIMIT: Duration = Duration::from_secs(300);
/// How often to look whether all are removed.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let count = match bench.options.size() {
        Size::Full => 1_000,
        Size::Quick => 50,
    };
    let root = bench.scratch("crowd")?;
    let host = HostFolder {
        binary: bench.options.host.clone(),
        plugins: bench.options.plugins.clone(),
        grants: None,
        data: root.join("data"),
        cache: bench.compiled(),
    };
    let workloads = host.data.join("workloads");
    let swept = Swept(&workloads);
    let running = host.start()?;
    let client = running.client()?;
    let floor = |record| -> Result<[f64; 1]> {
        let folder = bench.scratch("crowd-floor")?;
        Ok([spawn::crowd(&folder, &COMMAND, count, record)?])
    };
    let mut round = 0;
    let mut turns = vec![
        Contestant::new(Role::Ours, "fleet-host", || {
            round += 1;
            bench.runtime.block_on(async {
                let taken = crowd(&client, round, count).await?;
                remove_all(&client).await?;
                Ok([taken])
            })
        }),
        Contestant::new(Role::Floor, "spawn loop", || floor(Record::None)),
        Contestant::new(
            Role::Context,
            "spawn loop with a durable record before each start",
            || floor(Record::Durable),
        ),
    ];
    let mut missing = Vec::new();
    match bench.peers.supervisord() {
        Ok(program) => turns.push(Contestant::new(Role::Peer, supervisord::NAME, || {
            let folder = bench.scratch("crowd-supervisord")?;
            Ok([supervisord::crowd(program, &folder, &COMMAND, count)?])
        })),
        Err(peer) => missing.push(peer),
    }
    match bench.peers.pm2() {
        Ok(program) => turns.push(Contestant::new(Role::Peer, pm2::NAME, || {
            let folder = bench.scratch("crowd-pm2")?;
            Ok([pm2::crowd(program, &folder, &COMMAND, count)?])
        })),
        Err(peer) => missing.push(peer),
    }
    let [series] = interleave(bench.options.rounds(), turns)?;
    running.stop()?;
    drop(swept);
    Ok(vec![Finding {
        id: "P11".into(),
        work: format!("{count} native workloads (`{}`) asked for over the API until all are confirmed running", COMMAND.join(" ")),
        unit: Unit::Seconds,
        series,
        missing,
        goals: vec![
            Goal::TimesFloor { at_most: 1.5 },
            Goal::PeersTake {
                peer: Some(supervisord::NAME.into()),
                at_least: 10.0,
            },
        ],
        notes: vec![
            format!("ours: {CONNECTIONS} connections, each request durable when it is answered; confirmed by the events `workload.started` of all and then by a list in which all are `running`. Each workload has a keeper of its own that outlives the host."),
            "the spawn loop starts one program after the other, waits until each is executed, and sends its stdout and stderr to two files; nothing is recorded and nobody looks after it. The second one writes a file and syncs it before each start.".into(),
            "supervisord is measured from its own start until its log calls all RUNNING (`startsecs=0`); pm2 from `pm2 start` to a running daemon until it returns. Neither records anything durably.".into(),
        ],
    }])
}

/// Seconds from the first request until all are confirmed running.
async fn crowd(client: &Client, round: usize, count: usize) -> Result<f64> {
    let mut events = client.follow_events(EventQuery {
        kind: Some("workload.started".to_owned()),
        ..EventQuery::default()
    });
    while !matches!(events.next().await?, Followed::Connected) {}
    let began = now();
    let mut asking = JoinSet::new();
    for first in 0..CONNECTIONS {
        let client = client.clone();
        asking.spawn(async move {
            for number in (first..count).step_by(CONNECTIONS) {
                let spec = json!({ "name": format!("r{round}-{number}"), "command": COMMAND });
                let spec: WorkloadSpec = serde_json::from_value(spec)?;
                client.create(&spec).await?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    let all_run = async {
        let mut started = BTreeSet::new();
        while started.len() < count {
            if let Followed::Event(event) = events.next().await? {
                started.insert(event.subject);
            }
        }
        let running = WorkloadQuery {
            state: Some(WorkloadState::Running),
            ..WorkloadQuery::default()
        };
        while client.workloads(&running).await?.len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(began.elapsed().as_secs_f64())
    };
    let all_asked = async {
        while let Some(asked) = asking.join_next().await {
            asked??;
        }
        Ok(())
    };
    // A request that is refused ends the wait for what will not come.
    let (taken, ()) = within(async { tokio::try_join!(all_run, all_asked) }).await?;
    Ok(taken)
}

async fn remove_all(client: &Client) -> Result<()> {
    let all = client.workloads(&WorkloadQuery::default()).await?;
    let mut removing = JoinSet::new();
    for chunk in all.chunks(all.len().div_ceil(CONNECTIONS).max(1)) {
        let (client, chunk) = (client.clone(), chunk.to_vec());
        removing.spawn(async move {
            for workload in chunk {
                client
                    .remove(workload.name.as_str(), Some(Duration::ZERO))
                    .await?;
            }
            Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
        });
    }
    while let Some(removed) = removing.join_next().await {
        removed??;
    }
    within(async {
        while !client
            .workloads(&WorkloadQuery::default())
            .await?
            .is_empty()
        {
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    })
    .await
}

async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(LIMIT, work)
        .await
        .map_err(|_| format!("it took more than {} s", LIMIT.as_secs()))?
}
