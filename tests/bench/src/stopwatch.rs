//! The only place where time is read, and where a thread waits.

use std::future::Future;
use std::time::{Duration, Instant};

use crate::Result;
use crate::statistics::Samples;

/// How many calls are in a batch.
const BATCH: u32 = 50;

/// Now.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Lets this thread wait, which serves nobody else.
#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark has its thread to itself"
)]
pub(crate) fn pause(duration: Duration) {
    std::thread::sleep(duration);
}

/// Seconds that one call takes: the median of batches, made one after the other for as long as
/// `window`. A batch during which somebody else had the processor does not count for more than one.
///
/// # Errors
/// That of a call.
pub(crate) async fn per_async_call<F: Future<Output = Result<()>>>(
    window: Duration,
    mut call: impl FnMut() -> F,
) -> Result<f64> {
    let (began, mut batches) = (now(), Vec::new());
    while began.elapsed() < window {
        let batch = now();
        for _ in 0..BATCH {
            call().await?;
        }
        batches.push(batch.elapsed().as_secs_f64() / f64::from(BATCH));
    }
    let summary = Samples(batches).summary().ok_or("no time to call")?;
    Ok(summary.median)
}

/// Asks until there is an answer.
///
/// # Errors
/// That of `probe`, or that `limit` has passed.
pub(crate) fn wait_for<T>(
    what: &str,
    limit: Duration,
    between: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let began = now();
    loop {
        if let Some(found) = probe()? {
            return Ok(found);
        }
        if began.elapsed() > limit {
            return Err(format!("waited {} s in vain for {what}", limit.as_secs()).into());
        }
        pause(between);
    }
}
