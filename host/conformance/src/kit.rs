//! The kit: opened on one component, it runs cases and says what it found.

use std::path::PathBuf;
use std::sync::Arc;

use fleet_capability::ShimCommand;
use fleet_model::Error;
use fleet_plugin::{CompileCommand, Usual};
use fleet_seam::{Clock, Entropy};
use futures::FutureExt;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::bench::Setup;
use crate::case::{Case, embedded};
use crate::load::{Loaded, load};
use crate::report::{About, CaseReport, Failure, Outcome, Report};
use crate::run::{self, Going};
use crate::select::select;
use crate::stage::Backend;

/// How many cases run at one time: most of them wait most of the time.
const AT_ONCE: usize = 8;

/// What a kit is made of.
pub struct KitOptions {
    /// The component, `NAME.wasm` beside `NAME.toml`. It is copied before anything is done with it.
    pub file: PathBuf,
    /// A grants file; without one, what the manifest asks for is granted.
    pub grants: Option<PathBuf>,
    /// Where the endpoints are that it may ask for, where no file says it.
    pub usual: Vec<Usual>,
    /// Which cases: a part of a name, or a pattern with `*` and `?`; all without one.
    pub pattern: Option<String>,
    /// Where compiled forms are kept; without a place, in the temporary folder.
    pub cache: Option<PathBuf>,
    /// How a shim is started.
    pub shim: ShimCommand,
    /// How a compiling child is started.
    pub compile: CompileCommand,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for the ids of workloads.
    pub entropy: Arc<dyn Entropy>,
}

/// A component that can be tested.
pub struct Kit {
    setup: Arc<Setup>,
    backend: Arc<Backend>,
    cases: Vec<Case>,
    about: About,
}

impl Kit {
    /// Copies the component into a temporary folder and loads it. Must be called in a Tokio runtime.
    ///
    /// # Errors
    /// `invalid` (`no-such-file`, `no-component`, `rejected`, `bad-grants`), `not-found` (`no-case`, with
    /// the names there are), `unsupported` (`unusable`) where it cannot work on this machine or with
    /// these grants.
    pub async fn open(options: KitOptions) -> Result<Self, Error> {
        let cases = embedded::all().map_err(|error| Error::internal("bad-case", error))?;
        let cases = select(cases, options.pattern.as_deref())?;
        let Loaded {
            setup,
            backend,
            about,
        } = load(options).await?;
        Ok(Self {
            setup,
            backend,
            cases,
            about,
        })
    }

    /// What is tested, and with which rights.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Runs the cases, some at a time, and says what became of each. When `stop` comes first, those that
    /// run are ended and cleared away, and the rest is not begun.
    pub async fn run(self, stop: impl Future<Output = ()>) -> Report {
        let clock = self.setup.clock.clone();
        let begun_ms = clock.boot_ms();
        let places = Arc::new(Semaphore::new(AT_ONCE));
        let (tell, stopped) = watch::channel(Going::On);
        let mut playing = JoinSet::new();
        for (index, case) in self.cases.iter().cloned().enumerate() {
            let (setup, backend) = (self.setup.clone(), self.backend.clone());
            let (places, stopped) = (places.clone(), stopped.clone());
            playing.spawn(async move {
                let _place = places.acquire().await;
                (index, run::run(setup, backend, case, stopped).await)
            });
        }
        let mut told: Vec<Option<CaseReport>> = vec![None; self.cases.len()];
        let mut stop = std::pin::pin!(stop.fuse());
        loop {
            let played = tokio::select! {
                played = playing.join_next() => played,
                () = &mut stop => {
                    tell.send_replace(Going::Ended);
                    continue;
                }
            };
            match played {
                Some(Ok((index, report))) => {
                    if let Some(place) = told.get_mut(index) {
                        *place = Some(report);
                    }
                }
                // One that panicked is missing, and told below.
                Some(Err(_)) => {}
                None => break,
            }
        }
        let reports = told.into_iter().zip(&self.cases);
        let reports = reports
            .map(|(report, case)| report.unwrap_or_else(|| broken(case)))
            .collect();
        Report::new(
            self.about,
            reports,
            clock.boot_ms().saturating_sub(begun_ms),
        )
    }
}

/// A case that the kit itself did not bring to an end.
fn broken(case: &Case) -> CaseReport {
    CaseReport {
        case: case.name.clone(),
        title: case.title.clone(),
        why: case.why.clone(),
        outcome: Outcome::Failed(Failure {
            step: None,
            doing: "the kit".to_owned(),
            expected: "to come to an end".to_owned(),
            saw: "a panic of the kit: report it".to_owned(),
        }),
        elapsed_ms: 0,
    }
}
