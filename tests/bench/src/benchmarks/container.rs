//! P12: containers through the component, against the engine's API as it is and against its command line.

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use fleet_model::driver::RunState;
use fleet_plugin::{Driver, Usual};
use fleet_test_engine::{Engine, IMAGE};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Missing, Role, Unit};
use crate::floor::containers::Bare;
use crate::options::Size;
use crate::peers::docker::{DockerCli, NAME as CLI};
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::now;
use crate::subject::containers::Container;
use crate::subject::plugins::Plugin;

/// What containers run.
const COMMAND: [&str; 2] = ["/bin/sleep", "3600"];
/// What runs beside one.
const BESIDE: [&str; 2] = ["/bin/echo", "done"];
/// What the line takes.
const PRINTED: usize = 5;

const OURS: &str = "fleet-host";
const FLOOR: &str = "Engine API over its socket";

/// Everything that takes part.
struct Field {
    engine: Engine,
    ours: Plugin,
    bare: Bare,
    cli: std::result::Result<DockerCli, Missing>,
    workspace: PathBuf,
}

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let engine =
        Engine::own().ok_or("there is no engine to measure; what is missing stands above")?;
    let usual = Usual {
        endpoint: "docker".parse()?,
        address: engine.address(),
    };
    let cli = bench.peers.docker();
    let field = Field {
        ours: Plugin::shipped_with(bench, "docker", std::slice::from_ref(&usual))?,
        bare: Bare::new(engine.socket())?,
        cli: cli.map(|program| DockerCli::new(program, engine.address())),
        workspace: bench.scratch("container-workspace")?,
        engine,
    };
    Ok(vec![
        begun(bench, &field, 1)?,
        begun(bench, &field, 8)?,
        beside(bench, &field)?,
        processor(bench, &field)?,
    ])
}

impl Field {
    fn driver(&self) -> &dyn Driver {
        &*self.ours.driver
    }

    fn missing(&self) -> Vec<Missing> {
        self.cli.as_ref().err().cloned().into_iter().collect()
    }
}

/// Create and start, so many at once: seconds until the last has answered.
fn begun(bench: &Bench, field: &Field, at_once: usize) -> Result<Finding> {
    let turns = match bench.options.size() {
        Size::Full => 5,
        Size::Quick => 2,
    };
    let removed = async |container: String| field.bare.remove(&container).await;
    let mut contestants = vec![
        Contestant::new(Role::Ours, OURS, || {
            let begin = || {
                let driver = field.ours.driver.clone();
                async move { Container::begin(&*driver, IMAGE, &COMMAND).await }
            };
            let end = async |container: Container| container.end(field.driver()).await;
            bench.runtime.block_on(timed(turns, at_once, begin, end))
        }),
        Contestant::new(Role::Floor, FLOOR, || {
            let begin = || {
                let (bare, workspace) = (field.bare.clone(), field.workspace.clone());
                async move { bare.begin(&workspace, IMAGE, &COMMAND).await }
            };
            bench
                .runtime
                .block_on(timed(turns, at_once, begin, removed))
        }),
    ];
    if let Ok(cli) = &field.cli {
        contestants.push(Contestant::new(Role::Peer, CLI, || {
            let begin = || {
                let (cli, workspace) = (cli.clone(), field.workspace.clone());
                let work = move || cli.begin(&workspace, IMAGE, &COMMAND);
                async move { tokio::task::spawn_blocking(work).await? }
            };
            bench
                .runtime
                .block_on(timed(turns, at_once, begin, removed))
        }));
    }
    let [series] = interleave(bench.options.rounds(), contestants)?;
    let work = if at_once == 1 {
        "a container made and started, one after the other".to_owned()
    } else {
        format!("{at_once} containers made and started at once, until the last runs")
    };
    Ok(Finding {
        id: "P12".into(),
        work,
        unit: Unit::Seconds,
        series,
        missing: field.missing(),
        goals: vec![
            Goal::TimesFloor { at_most: 1.02 },
            Goal::PeersTake {
                peer: Some(CLI.into()),
                at_least: 1.0,
            },
        ],
        notes: vec![
            "all ask one `dockerd` of their own for the same container: no network, an init, a workspace, the confinement of `policies/docker.toml`. The CLI does it with `docker run --detach`.".into(),
            "ours makes each container's owner, nonce and id durable on the way; the floor writes nothing down. Removing is not counted.".into(),
        ],
    })
}

/// Seconds of one turn of `at_once` at a time, the median of several. What was made is ended between
/// turns.
async fn timed<T: Send + 'static, B: Future<Output = Result<T>> + Send + 'static>(
    turns: usize,
    at_once: usize,
    begin: impl Fn() -> B,
    end: impl AsyncFn(T) -> Result<()>,
) -> Result<[f64; 1]> {
    let mut taken = Vec::new();
    for _ in 0..turns {
        let mut begins = JoinSet::new();
        let began = now();
        for _ in 0..at_once {
            begins.spawn(begin());
        }
        let made = begins.join_all().await;
        taken.push(began.elapsed().as_secs_f64());
        for container in made {
            end(container?).await?;
        }
    }
    median(taken)
}

fn median(mut taken: Vec<f64>) -> Result<[f64; 1]> {
    taken.sort_by(f64::total_cmp);
    let median = taken.get(taken.len() / 2);
    Ok([*median.ok_or("no turns")?])
}

/// A program beside a container: from the wish to its output and its code.
fn beside(bench: &Bench, field: &Field) -> Result<Finding> {
    let container = bench
        .runtime
        .block_on(Container::begin(field.driver(), IMAGE, &COMMAND))?;
    let found = bench
        .runtime
        .block_on(field.bare.begin(&field.workspace, IMAGE, &COMMAND))?;
    let turns = match bench.options.size() {
        Size::Full => 10,
        Size::Quick => 2,
    };
    let mut contestants = vec![
        Contestant::new(Role::Ours, OURS, || {
            repeated(turns, || {
                let ran = container.exec(field.driver(), &BESIDE);
                let ran = bench.runtime.block_on(ran)?;
                expect(ran == (PRINTED, 0), &format!("{ran:?}"))
            })
        }),
        Contestant::new(Role::Floor, FLOOR, || {
            repeated(turns, || {
                let (output, code) = bench.runtime.block_on(field.bare.exec(&found, &BESIDE))?;
                // Eight bytes stand before each piece.
                expect(output.ends_with(b"done\n") && code == 0, "no output")
            })
        }),
    ];
    if let Ok(cli) = &field.cli {
        contestants.push(Contestant::new(Role::Peer, CLI, || {
            repeated(turns, || {
                expect(cli.exec(&found, &BESIDE)? == "done\n", "no output")
            })
        }));
    }
    let [series] = interleave(bench.options.rounds(), contestants)?;
    bench.runtime.block_on(container.end(field.driver()))?;
    field.engine.remove(&found);
    Ok(Finding {
        id: "P12".into(),
        work: format!("a program beside a container (`{}`): begun, its output read, its code known", BESIDE.join(" ")),
        unit: Unit::Seconds,
        series,
        missing: field.missing(),
        goals: vec![Goal::PeersTake {
            peer: Some(CLI.into()),
            at_least: 1.0,
        }],
        notes: vec![
            "ours can be attached to from any place of its output and is begun once whoever asks again; what was begun is durable before its answer.".into(),
        ],
    })
}

fn repeated(turns: usize, mut turn: impl FnMut() -> Result<()>) -> Result<[f64; 1]> {
    let mut taken = Vec::new();
    for _ in 0..turns {
        let began = now();
        turn()?;
        taken.push(began.elapsed().as_secs_f64());
    }
    median(taken)
}

fn expect(is_so: bool, seen: &str) -> Result<()> {
    if is_so { Ok(()) } else { Err(seen.into()) }
}

/// What a call costs this machine's processor outside of the engine.
fn processor(bench: &Bench, field: &Field) -> Result<Finding> {
    let container = bench
        .runtime
        .block_on(Container::begin(field.driver(), IMAGE, &COMMAND))?;
    let found = bench
        .runtime
        .block_on(field.bare.begin(&field.workspace, IMAGE, &COMMAND))?;
    let contestants = vec![
        Contestant::new(Role::Ours, OURS, || {
            bench
                .runtime
                .block_on(cpu_per_call(bench.window(), || async {
                    match container.inspect(field.driver()).await? {
                        RunState::Running => Ok(()),
                        state => Err(format!("it is {state:?}").into()),
                    }
                }))
        }),
        Contestant::new(Role::Floor, FLOOR, || {
            bench
                .runtime
                .block_on(cpu_per_call(bench.window(), || async {
                    field.bare.inspect(&found).await.map(drop)
                }))
        }),
    ];
    let [series] = interleave(bench.options.rounds(), contestants)?;
    bench.runtime.block_on(container.end(field.driver()))?;
    field.engine.remove(&found);
    Ok(Finding {
        id: "P12".into(),
        work: "one look at a container: processor time of the asking side".into(),
        unit: Unit::Seconds,
        series,
        missing: Vec::new(),
        goals: Vec::new(),
        notes: vec![
            "what the component, the policy and the taking apart of the answer add is the difference; the engine's own time is not in it.".into(),
        ],
    })
}

/// Processor time of this process for each of many calls.
async fn cpu_per_call<F: Future<Output = Result<()>>>(
    window: Duration,
    mut call: impl FnMut() -> F,
) -> Result<[f64; 1]> {
    let (began, before) = (now(), cpu_seconds());
    let mut calls = 0.0;
    while began.elapsed() < window {
        call().await?;
        calls += 1.0;
    }
    Ok([(cpu_seconds() - before) / calls])
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a few hours of nanoseconds are exact"
)]
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
