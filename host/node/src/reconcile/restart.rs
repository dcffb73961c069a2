//! Whether a run that is over is made again, and after which pause. Pure.
//!
//! A program that ends soon after it started is started again later and later: 0.5 s, 1 s, 2 s, each
//! with jitter, and never more than a minute. One that ran for a while begins with the shortest pause again.

use std::time::Duration;

use fleet_model::ErrorKind;
use fleet_model::item::Attempt;
use fleet_model::spec::Restart;

use crate::state::{Backoff, Run, Stage};

/// The shortest pause.
const SHORTEST: Duration = Duration::from_millis(500);

/// The longest pause, jitter included.
const LONGEST: Duration = Duration::from_secs(60);

/// A run that lasted this long, in milliseconds, was not a failure to start.
const LASTED_MS: u64 = 30_000;

/// The code of the error of a run that was ended because its workspace is too large: made again,
/// it would be too large again.
pub(crate) const DISK_LIMIT: &str = "disk-limit";

/// Whether a run that has come to this stage is to be made again.
#[must_use]
pub fn is_wanted(policy: Restart, attempt: Attempt, stage: &Stage) -> bool {
    let always = match policy {
        Restart::Never => return false,
        Restart::OnFailure => false,
        Restart::Always => true,
    };
    match stage {
        Stage::Ended { exit: Some(exit) } => always || exit.code != 0,
        // It was stopped before it began.
        Stage::Ended { exit: None } => false,
        Stage::Lost { .. } => true,
        Stage::Failed { error } if error.code == DISK_LIMIT => false,
        // What can never work is said at once; what has worked before may work again.
        Stage::Failed { error } => {
            attempt > Attempt(1)
                || error.kind.is_retryable()
                || matches!(error.kind, ErrorKind::Internal | ErrorKind::Other)
        }
        Stage::Creating | Stage::Created | Stage::Started => false,
    }
}

/// The next pause: tries that ended soon in a row, this one included, and about how long.
#[must_use]
pub fn pause(before: Option<&Backoff>, run: &Run, boot: &str, now_ms: u64) -> (u32, Duration) {
    let lasted = run.started_boot_ms.is_some_and(|started_ms| {
        run.boot != boot || now_ms.saturating_sub(started_ms) >= LASTED_MS
    });
    let in_a_row = match before {
        Some(before) if !lasted => before.in_a_row.saturating_add(1),
        _ => 1,
    };
    let doubled = SHORTEST.saturating_mul(1 << (in_a_row - 1).min(16));
    // Jitter adds up to a half ([`Entropy::jitter`](fleet_seam::Entropy::jitter)).
    (in_a_row, doubled.min(LONGEST * 2 / 3))
}

/// When a pause ends, on the boot clock in milliseconds; `None` when it has ended.
#[must_use]
pub fn due_ms(pause: &Backoff, boot: &str) -> Option<u64> {
    (pause.boot == boot).then(|| pause.from_ms.saturating_add(pause.delay_ms))
}

#[cfg(test)]
mod tests {
    use fleet_model::Error;
    use fleet_model::driver::Exit;
    use fleet_model::item::Generation;
    use fleet_seam::{Entropy as _, SeededEntropy};

    use super::*;

    fn ended(code: i32) -> Stage {
        Stage::Ended {
            exit: Some(Exit {
                code,
                ..Exit::default()
            }),
        }
    }

    fn failed(kind: ErrorKind, code: &str) -> Stage {
        Stage::Failed {
            error: Error::new(kind, code, "x"),
        }
    }

    #[test]
    fn each_policy_answers_each_end() {
        use Restart::{Always, Never, OnFailure};
        let lost = Stage::Lost { reason: "x".into() };
        let missing = failed(ErrorKind::Invalid, "program-missing");
        let busy = failed(ErrorKind::Unavailable, "x");
        let full = failed(ErrorKind::Exhausted, DISK_LIMIT);
        for (stage, attempt, never, on_failure, always) in [
            (ended(0), 1, false, false, true),
            (ended(3), 1, false, true, true),
            (Stage::Ended { exit: None }, 1, false, false, false),
            (lost, 1, false, true, true),
            (missing.clone(), 1, false, false, false),
            (missing, 2, false, true, true),
            (busy, 1, false, true, true),
            (full, 2, false, false, false),
            (Stage::Started, 1, false, false, false),
        ] {
            for (policy, want) in [(Never, never), (OnFailure, on_failure), (Always, always)] {
                assert_eq!(
                    is_wanted(policy, Attempt(attempt), &stage),
                    want,
                    "{policy:?} {stage:?}"
                );
            }
        }
    }

    #[test]
    fn pauses_double_up_to_a_minute_and_begin_anew_after_a_long_run() {
        let mut run = Run {
            generation: Generation(1),
            attempt: Attempt(1),
            name: "a".parse().unwrap(),
            backend: "b".parse().unwrap(),
            intent: None,
            boot: "boot".into(),
            stage: ended(1),
            handle: None,
            kill_target: None,
            started_at_ms: None,
            started_boot_ms: Some(1_000),
            evicted: None,
            execs: Default::default(),
            attributes: Default::default(),
        };
        let mut before = None;
        let mut seen = Vec::new();
        for _ in 0..9 {
            let (in_a_row, around) = pause(before.as_ref(), &run, "boot", 2_000);
            seen.push(around.as_millis());
            before = Some(Backoff {
                in_a_row,
                boot: "boot".into(),
                from_ms: 0,
                delay_ms: 0,
            });
        }
        assert_eq!(
            seen,
            [
                500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 40_000, 40_000
            ]
        );
        let entropy = SeededEntropy::new(1);
        let longest = (0..1_000).map(|_| entropy.jitter(LONGEST * 2 / 3)).max();
        assert!(longest <= Some(LONGEST), "{longest:?}");
        assert!(longest >= Some(LONGEST * 9 / 10), "{longest:?}");
        let after = |run: &Run, boot, now_ms| pause(before.as_ref(), run, boot, now_ms).0;
        assert_eq!(after(&run, "boot", 30_999), 10);
        assert_eq!(after(&run, "boot", 31_000), 1);
        assert_eq!(after(&run, "next boot", 5), 1);
        run.started_boot_ms = None;
        assert_eq!(after(&run, "boot", 99_000), 10, "it never started");
    }
}
