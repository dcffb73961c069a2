//! The benchmarks, and the run of those that were asked for.

mod call;
mod container;
mod crowd;
mod flow;
mod followers;
mod idle;
mod import;
mod payload;
mod start;
mod swap;

use std::path::PathBuf;
use std::time::Duration;

use crate::finding::Finding;
use crate::options::{Options, Size};
use crate::peers::Peers;
use crate::report::{self, Record};
use crate::{Result, machine, peers};

/// A benchmark.
struct Benchmark {
    /// The row in the list of what is to be proven.
    id: &'static str,
    about: &'static str,
    run: fn(&Bench) -> Result<Vec<Finding>>,
}

/// All of them.
const BENCHMARKS: [Benchmark; 10] = [
    Benchmark {
        id: "P1",
        about: "a backend call",
        run: call::run,
    },
    Benchmark {
        id: "P2",
        about: "a backend call with 1 KiB in and 1 KiB out",
        run: payload::run,
    },
    Benchmark {
        id: "P3",
        about: "a guest's call of the host",
        run: import::run,
    },
    Benchmark {
        id: "P4",
        about: "from the process's start to ready",
        run: start::run,
    },
    Benchmark {
        id: "P5",
        about: "other code for a backend while it works",
        run: swap::run,
    },
    Benchmark {
        id: "P11",
        about: "many workloads until they run",
        run: crowd::run,
    },
    Benchmark {
        id: "P12",
        about: "containers through the component",
        run: container::run,
    },
    Benchmark {
        id: "P15",
        about: "idle memory and size",
        run: idle::run,
    },
    Benchmark {
        id: "P16",
        about: "bytes out of a workload and into it",
        run: flow::run,
    },
    Benchmark {
        id: "P16",
        about: "many followers of one log",
        run: followers::run,
    },
];

/// What every benchmark is given.
pub(crate) struct Bench {
    /// What was chosen.
    pub(crate) options: Options,
    /// Other programs.
    pub(crate) peers: Peers,
    /// Where calls are made.
    pub(crate) runtime: tokio::runtime::Runtime,
}

impl Bench {
    /// How long calls are counted in one turn.
    pub(crate) fn window(&self) -> Duration {
        match self.options.size() {
            Size::Full => Duration::from_millis(400),
            Size::Quick => Duration::from_millis(100),
        }
    }

    /// Another program of this crate: cargo puts them side by side.
    pub(crate) fn beside(&self, name: &str) -> Result<PathBuf> {
        let program = std::env::current_exe()?.with_file_name(name);
        if program.is_file() {
            Ok(program)
        } else {
            Err(format!(
                "{} is missing: `cargo xtask bench` builds it",
                program.display()
            )
            .into())
        }
    }

    /// Where compiled components are kept from run to run: compiling is not what is measured.
    pub(crate) fn compiled(&self) -> PathBuf {
        self.options.work.join("compiled")
    }

    /// A new empty folder.
    pub(crate) fn scratch(&self, name: &str) -> Result<PathBuf> {
        let folder = self.options.work.join("run").join(name);
        if folder.exists() {
            std::fs::remove_dir_all(&folder)?;
        }
        std::fs::create_dir_all(&folder)?;
        Ok(folder)
    }
}

/// Runs what was asked for, writes the report and prints the table.
///
/// # Errors
/// When a benchmark cannot be run; what was measured before is written all the same.
pub(crate) fn run(mut options: Options) -> Result<()> {
    if let Some(unknown) = options.only.iter().find(|id| !is_known(id)) {
        let mut known: Vec<&str> = BENCHMARKS.iter().map(|benchmark| benchmark.id).collect();
        known.dedup();
        return Err(format!(
            "there is no benchmark `{unknown}`; there are {}",
            known.join(", ")
        )
        .into());
    }
    std::fs::create_dir_all(&options.work)?;
    for path in [
        &mut options.work,
        &mut options.host,
        &mut options.plugins,
        &mut options.next,
        &mut options.guest,
    ] {
        *path = path.canonicalize().map_err(|error| {
            format!("{}: {error}; `cargo xtask bench` builds it", path.display())
        })?;
    }
    listen_to_nothing();
    if options.install {
        peers::install(&options.work)?;
    }
    let bench = Bench {
        peers: Peers::find(&options.work, &options.grpc),
        runtime: tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?,
        options,
    };
    let machine = machine::facts(&bench.options.work);
    let mut records = Vec::new();
    let mut failed = None;
    for benchmark in BENCHMARKS
        .iter()
        .filter(|benchmark| bench.options.wants(benchmark.id))
    {
        eprintln!("{}: {}", benchmark.id, benchmark.about);
        match (benchmark.run)(&bench) {
            Ok(findings) => records.extend(findings.into_iter().map(|finding| Record {
                machine: machine.clone(),
                rounds: bench.options.rounds(),
                finding,
            })),
            Err(error) => {
                eprintln!("{} failed: {error}", benchmark.id);
                failed.get_or_insert(format!("{}: {error}", benchmark.id));
            }
        }
    }
    let folder = match bench.options.size() {
        Size::Full => &bench.options.docs,
        Size::Quick => &bench.options.work,
    };
    print!("{}", report::write(folder, records)?);
    match failed {
        None => Ok(()),
        Some(error) => Err(error.into()),
    }
}

fn is_known(id: &str) -> bool {
    BENCHMARKS
        .iter()
        .any(|benchmark| benchmark.id.eq_ignore_ascii_case(id))
}

/// The host's own log at its usual level, so that calls are traced as they are there.
fn listen_to_nothing() {
    let lines = tracing_subscriber::fmt()
        .with_env_filter("info")
        .with_writer(std::io::sink);
    // Another one would do as well.
    let _ = lines.try_init();
}
