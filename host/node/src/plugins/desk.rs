//! One key, one swap.
//!
//! A swap belongs to nobody's connection: it runs in a task of its own. Its key is known here while it
//! is under way and stands in its report afterwards, so there is no moment at which the same key could
//! begin another. A swap that was refused before it began leaves no report, and its key is free again.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::swap::{SwapKind, SwapReport, SwapRun};
use fleet_model::{Error, Name};
use fleet_plugin::{SwapOptions, Swaps, Upload};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

use crate::context::Context;

/// Components on their way in at once: each takes its size on the disk.
pub(super) const UPLOADS: usize = 4;

/// How far back a key is looked for: as many reports as are kept of one plugin.
const KNOWN: usize = 64;

/// What became of it, once that is known.
pub(super) type Ended = watch::Receiver<Option<Outcome>>;

/// A report, or why nothing was begun.
pub(super) type Outcome = Result<SwapReport, Error>;

/// What is under way.
pub(crate) struct Desk {
    under_way: Mutex<Vec<UnderWay>>,
    uploads: Arc<Semaphore>,
}

struct UnderWay {
    key: String,
    asked: Asked,
    ended: Ended,
}

/// What a key stands for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Asked {
    pub(super) plugin: Name,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Swap {
        /// The component's digest, in hex.
        digest: String,
        manifest: Option<String>,
        options: SwapOptions,
    },
    Rollback,
}

/// What it takes to do it.
pub(super) enum Work {
    Swap(Upload, SwapOptions),
    Rollback,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
            uploads: Arc::new(Semaphore::new(UPLOADS)),
        }
    }
}

impl Desk {
    /// A place for a component that arrives.
    pub(super) fn place(&self) -> Option<OwnedSemaphorePermit> {
        self.uploads.clone().try_acquire_owned().ok()
    }

    /// Every holder leaves the list whole, so a panic elsewhere does no harm.
    fn lock(&self) -> MutexGuard<'_, Vec<UnderWay>> {
        self.under_way
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Begins it, unless it was begun under this key before.
///
/// # Errors
/// `conflict` (`idempotency-key-reused`); where the reports cannot be read.
pub(super) fn begin(
    context: &Arc<Context>,
    swaps: &dyn Swaps,
    key: Option<String>,
    asked: Asked,
    work: Work,
) -> Result<Ended, Error> {
    let (done, ended) = watch::channel(None);
    if let Some(key) = &key {
        let mut under_way = context.desk.lock();
        if let Some(same) = under_way.iter().find(|one| one.key == *key) {
            return if same.asked == asked {
                Ok(same.ended.clone())
            } else {
                Err(reused())
            };
        }
        let (reports, _) = swaps.history(&asked.plugin, None, KNOWN)?;
        if let Some(report) = reports
            .into_iter()
            .find(|report| report.request.as_ref() == Some(key))
        {
            return if asked.is(&report) {
                Ok(watch::channel(Some(Ok(report))).1)
            } else {
                Err(reused())
            };
        }
        under_way.push(UnderWay {
            key: key.clone(),
            asked: asked.clone(),
            ended: ended.clone(),
        });
    }
    let context = context.clone();
    tokio::spawn(async move {
        let outcome = match context.drivers.swaps() {
            Some(swaps) => act(swaps, &asked.plugin, work, key.clone()).await,
            None => Err(super::fixed()),
        };
        // Before it is told: whoever has heard of a refusal finds the key free.
        context
            .desk
            .lock()
            .retain(|one| Some(&one.key) != key.as_ref());
        done.send_replace(Some(outcome));
    });
    Ok(ended)
}

async fn act(swaps: &dyn Swaps, plugin: &Name, work: Work, key: Option<String>) -> Outcome {
    match work {
        Work::Swap(upload, options) => swaps.swap(plugin, upload, options).await,
        Work::Rollback => swaps.rollback(plugin, key).await,
    }
}

impl Asked {
    /// Whether a report is of this.
    fn is(&self, report: &SwapReport) -> bool {
        let Self { plugin, what } = self;
        if report.plugin != plugin.as_str() {
            return false;
        }
        match what {
            What::Rollback => report.kind == SwapKind::Rollback,
            What::Swap {
                digest, options, ..
            } => {
                report.kind == SwapKind::Swap
                    && report.dry_run == (options.run == SwapRun::Dry)
                    && report.to.as_ref().is_none_or(|to| to.digest == *digest)
            }
        }
    }
}

fn reused() -> Error {
    Error::conflict(
        "idempotency-key-reused",
        "this Idempotency-Key was used for another swap: take a new key for a new one",
    )
}
