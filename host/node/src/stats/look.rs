//! Looks at what workloads use: by the node itself, and when somebody asks.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::{Error, ErrorKind};
use futures::FutureExt;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::ledger::Target;
use crate::context::Context;

/// How often it is seen whose time has come.
const TICK: Duration = Duration::from_millis(500);

/// How long one look may take, and how long it may wait for its place before.
const LONGEST: Duration = Duration::from_secs(5);

/// A look is fresh for this many milliseconds.
const FRESH_MS: u64 = 2_000;

/// Looks at every running workload once in a period, until `stop`.
pub(crate) async fn watch(context: &Arc<Context>, stop: &CancellationToken) {
    let mut looks = JoinSet::new();
    loop {
        tokio::select! {
            () = context.clock.sleep(TICK) => {}
            () = stop.cancelled() => return,
        }
        while looks.try_join_next().is_some() {}
        let now_ms = context.clock.boot_ms();
        for target in context.stats.due(&context.store.snapshot().state, now_ms) {
            looks.spawn(by_itself(context.clone(), target));
        }
    }
}

async fn by_itself(context: Arc<Context>, target: Target) {
    struct Over<'a>(&'a Context, &'a Target);
    impl Drop for Over<'_> {
        fn drop(&mut self) {
            self.0.stats.over(&self.1.item);
        }
    }
    let _over = Over(&context, &target);
    if let Err(error) = look(&context, &target).await {
        tracing::debug!(item = %target.item, %error, "what it uses cannot be told");
    }
}

/// Makes sure that a look at it is at most 2 s old; a backend that was asked in vain lately is not asked.
///
/// # Errors
/// As the backend's.
pub(super) async fn fresh(context: &Arc<Context>, target: &Target) -> Result<(), Error> {
    let now_ms = context.clock.boot_ms();
    let is_fresh = context
        .stats
        .last(target)
        .is_some_and(|last| now_ms.saturating_sub(last.boot_ms) < FRESH_MS);
    if is_fresh {
        return Ok(());
    }
    match context.stats.silent(target, now_ms) {
        Some(error) => Err(error),
        None => look(context, target).await,
    }
}

/// One look for all who want one at this time.
async fn look(context: &Arc<Context>, target: &Target) -> Result<(), Error> {
    let begin = || take(context.clone(), target.clone()).boxed();
    context.stats.shared(target, begin).await
}

/// Takes a look, once there is a place.
async fn take(context: Arc<Context>, target: Target) -> Result<(), Error> {
    let (context, target) = (&*context, &target);
    let is_lost = || context.stats.is_lost(target, context.clock.boot_ms());
    if is_lost() {
        return Err(slow());
    }
    let _place = tokio::select! {
        place = context.stats.places.place(&target.backend) => place,
        () = context.clock.sleep(LONGEST) => return Err(busy()),
    };
    if is_lost() {
        return Err(slow());
    }
    let seen = async {
        let driver = context.drivers.driver(&target.backend)?;
        driver.usage(&target.item, &target.handle).await
    };
    let seen = tokio::select! {
        seen = seen => seen,
        () = context.clock.sleep(LONGEST) => Err(slow()),
    };
    let (boot_ms, unix_ms) = (context.clock.boot_ms(), context.clock.unix_ms());
    match seen {
        Ok(usage) => {
            context.stats.note(target, boot_ms, unix_ms, usage);
            Ok(())
        }
        Err(error) => {
            context.stats.failed(target, boot_ms, &error);
            Err(error)
        }
    }
}

fn busy() -> Error {
    Error::unavailable(
        "usage-busy",
        "the workload's backend has not said yet what others use that were asked about before: try again in a moment",
    )
}

fn slow() -> Error {
    Error::new(
        ErrorKind::Deadline,
        "usage-slow",
        "the workload's backend did not say in time what it uses: try again in a minute",
    )
}
