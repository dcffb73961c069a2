//! P5: other code for a backend while it is called, against the same calls without that, and against nginx
//! that is reloaded.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fleet_client::{Client, Command, SwapWish};
use fleet_model::swap::SwapVerdict;
use fleet_model::workload::{Workload, WorkloadSpec, WorkloadState};
use serde_json::json;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Missing, Role, Series, Unit};
use crate::load::{self, Target};
use crate::options::Size;
use crate::peers::nginx::{NAME as NGINX, Nginx};
use crate::process::Memory;
use crate::rounds::{Contestant, interleave};
use crate::statistics::Samples;
use crate::stopwatch::{now, wait_for};
use crate::subject::host::{HostFolder, RunningHost, Swept};
use crate::subject::versions::{BACKEND, Version, Versions};

/// How often it is swapped while calls go on.
const BETWEEN: Duration = Duration::from_millis(100);
/// How long a swap by file may take.
const LIMIT: Duration = Duration::from_secs(60);
/// How often to look whether it has happened.
const LOOK: Duration = Duration::from_millis(2);

/// How much of it.
struct Amount {
    /// Calls a second.
    rate: u32,
    /// How long in a turn.
    window: Duration,
    /// Swaps after which memory is looked at first, and again after so many more.
    memory: (usize, usize),
}

impl Amount {
    fn of(size: Size) -> Self {
        match size {
            Size::Full => Self {
                rate: 2_000,
                window: Duration::from_millis(2_500),
                memory: (200, 2_000),
            },
            Size::Quick => Self {
                rate: 500,
                window: Duration::from_millis(500),
                memory: (10, 20),
            },
        }
    }
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let amount = Amount::of(bench.options.size());
    let root = bench.scratch("swap")?;
    let data = root.join("data");
    let workloads = data.join("workloads");
    let swept = Swept(&workloads);
    let versions = Versions::read(bench)?;
    let folder = root.join("plugins");
    versions.shipped.write(&folder)?;
    let host = HostFolder {
        binary: bench.options.host.clone(),
        plugins: folder.clone(),
        grants: None,
        data: data.clone(),
        cache: bench.compiled(),
    };
    let running = host.start()?;
    let field = Field {
        client: running.client()?,
        versions,
        folder,
        next: Cell::new(0),
        running,
    };
    let findings = vec![
        under_load(bench, &field, &data, &amount)?,
        by_file(bench, &field)?,
        memory(bench, &field, &amount)?,
    ];
    bench.runtime.block_on(field.removed())?;
    field.running.stop()?;
    drop(swept);
    Ok(findings)
}

/// A host whose backend is swapped.
struct Field {
    running: RunningHost,
    client: Client,
    versions: Versions,
    folder: PathBuf,
    /// How many swaps there were.
    next: Cell<u64>,
}

impl Field {
    /// The version that does not serve now, and its number.
    fn other(&self) -> (&Version, u64) {
        let number = self.next.get();
        self.next.set(number + 1);
        let version = if number.is_multiple_of(2) {
            &self.versions.next
        } else {
            &self.versions.shipped
        };
        (version, number)
    }

    /// Swaps once, over the API.
    async fn swap(&self) -> Result<()> {
        let (version, _) = self.other();
        let swap = self
            .client
            .swap(BACKEND, version.sent(), &SwapWish::default());
        let report = swap.report().await?;
        if report.verdict == SwapVerdict::Active {
            return Ok(());
        }
        let why = report.reason.map(|reason| reason.message);
        Err(format!("a swap was refused: {}", why.unwrap_or_default()).into())
    }

    /// Swaps every so often, for as long as that.
    async fn swaps(&self, window: Duration) -> Result<()> {
        let began = now();
        for number in 1.. {
            if BETWEEN * number >= window {
                return Ok(());
            }
            tokio::time::sleep_until((began + BETWEEN * number).into()).await;
            self.swap().await?;
        }
        Ok(())
    }

    /// A workload that runs.
    async fn begun(&self, name: &str, script: &str) -> Result<Workload> {
        let spec = json!({ "name": name, "command": ["sh", "-c", script] });
        let spec: WorkloadSpec = serde_json::from_value(spec)?;
        let made = self.client.create(&spec).await?;
        let is_running = |seen: &Workload| seen.state == WorkloadState::Running;
        let began = self.client.wait_for(made.id, made.generation, is_running);
        Ok(began.await?)
    }

    async fn removed(&self) -> Result<()> {
        for workload in self.client.workloads(&Default::default()).await? {
            let id = workload.id;
            self.client
                .remove(&id.to_string(), Some(Duration::ZERO))
                .await?;
            self.client.wait_gone(id, |_| ()).await?;
        }
        Ok(())
    }
}

/// Calls that the backend answers, at a rate, while it is swapped.
fn under_load(bench: &Bench, field: &Field, data: &Path, amount: &Amount) -> Result<Finding> {
    let runtime = &bench.runtime;
    let prints = "echo one line; exec sleep 3600";
    let talker = runtime.block_on(field.begun("talker", prints))?;
    let notes = "while read -r line; do echo \"$line\" >> seen; done";
    let noter = runtime.block_on(field.begun("noter", notes))?;
    let seen = data
        .join("workloads")
        .join(noter.id.to_string())
        .join("workspace/seen");
    let ours = target(field, data, &talker)?;
    let nginx = match bench.peers.nginx() {
        Ok(program) => Ok(Nginx::start(program, &bench.scratch("swap-nginx")?)?),
        Err(missing) => Err(missing),
    };
    let mut commands = Commands::new(seen);
    let (mut calls, mut swaps) = (0, 0);
    let mut peer = Reloads::default();
    let mut turns = vec![
        Contestant::new(Role::Ours, "fleet-host, swapped 10 times a second", || {
            let before = field.next.get();
            let (seen, swapped, sent) = runtime.block_on(async {
                tokio::join!(
                    load::call(&ours, amount.rate, amount.window),
                    field.swaps(amount.window),
                    commands.send(&field.client, amount.window),
                )
            });
            let seen = seen?;
            swapped?;
            sent?;
            answered(&seen)?;
            calls += seen.took.len();
            swaps += field.next.get() - before;
            Ok([seen.p99()?])
        }),
        Contestant::new(Role::Floor, "fleet-host, left alone", || {
            let seen = runtime.block_on(load::call(&ours, amount.rate, amount.window))?;
            answered(&seen)?;
            Ok([seen.p99()?])
        }),
    ];
    let mut missing: Vec<Missing> = Vec::new();
    match &nginx {
        Ok(nginx) => {
            let request = format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", nginx.address);
            let theirs = Target {
                address: nginx.address,
                request: request.into(),
            };
            let (alone, peer) = (theirs.clone(), &mut peer);
            turns.push(Contestant::new(
                Role::Peer,
                format!("{NGINX}, reloaded 10 times a second"),
                move || {
                    let (seen, reloaded) = runtime.block_on(async {
                        tokio::join!(
                            load::call(&theirs, amount.rate, amount.window),
                            reloads(nginx, amount.window)
                        )
                    });
                    let seen = seen?;
                    peer.reloads += reloaded?;
                    peer.calls += seen.took.len();
                    peer.failed += seen.failed;
                    peer.reconnected += seen.reconnected;
                    Ok([seen.p99()?])
                },
            ));
            turns.push(Contestant::new(
                Role::Context,
                format!("{NGINX}, left alone"),
                move || {
                    let seen = runtime.block_on(load::call(&alone, amount.rate, amount.window))?;
                    Ok([seen.p99()?])
                },
            ));
        }
        Err(peer) => missing.push(peer.clone()),
    }
    let [series] = interleave(bench.options.rounds(), turns)?;
    let noted = commands.noted()?;
    if let Ok(nginx) = nginx {
        nginx.stop()?;
    }
    let mut notes = vec![
        format!(
            "of {} calls during {} swaps none failed and each had one answer (any other would have ended this run); of {noted} commands sent at the same time each reached its program once.",
            calls, swaps
        ),
        "a call is `GET .../logs?tail=1`: over HTTP to the controller, over the session to the node, and one call of the component. A call is due at its time whether or not the one before it was answered.".to_owned(),
    ];
    if peer.reloads > 0 {
        notes.push(format!(
            "nginx answers from memory in the process that took the call. During {} reloads it answered {} calls and failed {}; it closed {} kept connections under a call, which was then made once more on another.",
            peer.reloads, peer.calls, peer.failed, peer.reconnected
        ));
    }
    Ok(Finding {
        id: "P5".into(),
        work: format!(
            "99th percentile of {} calls a second to a backend while it is swapped",
            amount.rate
        ),
        unit: Unit::Seconds,
        series,
        missing,
        goals: vec![Goal::AddsToFloor { at_most: 1e-3 }],
        notes,
    })
}

/// What is asked of the host.
fn target(field: &Field, data: &Path, workload: &Workload) -> Result<Target> {
    let server = field.client.server();
    let host = server.strip_prefix("http://").ok_or("no HTTP address")?;
    let token = std::fs::read_to_string(data.join("admin.token"))?;
    let request = format!(
        "GET /api/v1/workloads/{}/logs?tail=1 HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {}\r\n\r\n",
        workload.id,
        token.trim()
    );
    Ok(Target {
        address: host.parse()?,
        request: request.into(),
    })
}

/// Every call was answered.
fn answered(seen: &load::Seen) -> Result<()> {
    match (seen.failed, seen.reconnected) {
        (0, 0) => Ok(()),
        (failed, reconnected) => Err(format!(
            "{failed} calls failed, and {reconnected} found their connection closed"
        )
        .into()),
    }
}

/// What became of nginx.
#[derive(Default)]
struct Reloads {
    reloads: u64,
    calls: usize,
    failed: u64,
    reconnected: u64,
}

async fn reloads(nginx: &Nginx, window: Duration) -> Result<u64> {
    let began = now();
    for number in 1_u32.. {
        if BETWEEN * number >= window {
            return Ok(u64::from(number - 1));
        }
        tokio::time::sleep_until((began + BETWEEN * number).into()).await;
        nginx.reload()?;
    }
    Ok(0)
}

/// Commands that change something, each to be carried out once.
struct Commands {
    sent: Vec<String>,
    /// Where the program notes them.
    seen: PathBuf,
}

impl Commands {
    fn new(seen: PathBuf) -> Self {
        Self {
            sent: Vec::new(),
            seen,
        }
    }

    /// One after the other, for as long as that.
    async fn send(&mut self, client: &Client, window: Duration) -> Result<()> {
        let began = now();
        while began.elapsed() < window {
            let line = format!("line-{}", self.sent.len());
            let command = Command::Text(format!("{line}\n"));
            client.send("noter", &command, &line.parse()?).await?;
            self.sent.push(line);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    /// How many there were, when each was carried out once and in order.
    fn noted(self) -> Result<usize> {
        let noted = || {
            let text = std::fs::read_to_string(&self.seen)?;
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            Ok((lines.len() >= self.sent.len()).then_some(lines))
        };
        let lines = wait_for("the last command", LIMIT, LOOK, noted)?;
        if lines == self.sent {
            Ok(lines.len())
        } else {
            Err("a command was lost, doubled or came out of order".into())
        }
    }
}

/// From the rename of a file until what is in it serves.
fn by_file(bench: &Bench, field: &Field) -> Result<Finding> {
    let seconds = |version: &Version| -> Result<f64> {
        let began = now();
        version.write(&field.folder)?;
        let wanted = version.version()?;
        let serves = || {
            let shown = bench.runtime.block_on(field.client.plugin(BACKEND, None))?;
            let is_there = shown.plugin.version.as_deref() == Some(wanted);
            Ok(is_there.then(|| began.elapsed().as_secs_f64()))
        };
        wait_for("a file to be taken", LIMIT, LOOK, serves)
    };
    // What lies in the folder is what was there at the start: the first file must be another one.
    if !field.next.get().is_multiple_of(2) {
        bench.runtime.block_on(field.swap())?;
    }
    // A run before this one may have compiled the same.
    let salt = u64::from(std::process::id()) << 32;
    let turns = vec![
        Contestant::new(Role::Ours, "compiled before", || {
            Ok([seconds(field.other().0)?])
        }),
        Contestant::new(Role::Context, "never compiled before", || {
            let (version, number) = field.other();
            Ok([seconds(&version.salted(salt | number))?])
        }),
    ];
    let [series] = interleave(bench.options.rounds(), turns)?;
    Ok(Finding {
        id: "P5".into(),
        work: "from the rename of a file in the plugin folder until it serves (Rust, `native`)".into(),
        unit: Unit::Seconds,
        series,
        missing: Vec::new(),
        goals: Vec::new(),
        notes: vec![
            "by file a host waits until nothing has changed for 200 ms (`swap.settle`), which is part of these figures; over the API it does not wait.".into(),
        ],
    })
}

/// What a host holds after many swaps more.
fn memory(bench: &Bench, field: &Field, amount: &Amount) -> Result<Finding> {
    let (first, more) = amount.memory;
    let after = |swaps: usize| -> Result<f64> {
        bench.runtime.block_on(async {
            for _ in 0..swaps {
                field.swap().await?;
            }
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
        })?;
        Ok(Memory::of(field.running.pid())?.rss_bytes)
    };
    eprintln!("  {} swaps", first + more);
    let (before, after) = (after(first)?, after(more)?);
    let series = |role, name: String, bytes: f64| Series {
        name,
        role,
        samples: Samples(vec![bytes]),
    };
    Ok(Finding {
        id: "P5".into(),
        work: format!("resident memory after {more} swaps more"),
        unit: Unit::Bytes,
        series: vec![
            series(Role::Ours, "fleet-host".into(), after),
            series(Role::Floor, format!("after the first {first}"), before),
        ],
        missing: Vec::new(),
        goals: vec![Goal::TimesFloor { at_most: 1.02 }],
        notes: Vec::new(),
    })
}
