//! What is to be done about a program without being asked. Pure.
//!
//! One whose time is over is asked to end (TERM), 5 s later it is killed, and when that does not help
//! either it is removed. One that was written down and whose backend has not answered is begun again,
//! under the same op.

use super::record::ExecRecord;

/// How long a program has to end that was asked to, in milliseconds.
pub(super) const GRACE_MS: u64 = 5_000;

/// What has been done in this life of the node. It may be done again in the next: each is one op.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Done {
    /// It was asked to end.
    pub(super) term: bool,
    /// It was killed.
    pub(super) kill: bool,
    /// Something failed: not again before this time on the boot clock, in milliseconds.
    pub(super) not_before_ms: u64,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing, ever.
    Nothing,
    /// Nothing before this time on the boot clock, in milliseconds.
    Wait(u64),
    /// Ask its backend to begin it.
    Begin,
    /// Its time is over: write that down, and ask it to end.
    Expire,
    /// Ask it to end, as was written down.
    Term,
    /// Kill it.
    Kill,
    /// Have its backend end and forget it.
    Remove,
}

/// Decides.
pub(super) fn step(exec: &ExecRecord, done: Done, boot: &str, now_ms: u64) -> Step {
    let step = due(exec, done, boot, now_ms);
    match step {
        Step::Nothing | Step::Wait(_) => step,
        _ if now_ms < done.not_before_ms => Step::Wait(done.not_before_ms),
        _ => step,
    }
}

fn due(exec: &ExecRecord, done: Done, boot: &str, now_ms: u64) -> Step {
    if exec.over.is_some() {
        return Step::Nothing;
    }
    if exec.known.is_none() {
        return Step::Begin;
    }
    let Some(deadline) = exec.deadline.as_ref().filter(|at| at.boot == boot) else {
        return Step::Nothing;
    };
    let Some(overdue_ms) = exec.overdue_ms else {
        return match now_ms < deadline.at_ms {
            true => Step::Wait(deadline.at_ms),
            false => Step::Expire,
        };
    };
    let (kill_ms, remove_ms) = (
        overdue_ms.saturating_add(GRACE_MS),
        overdue_ms.saturating_add(2 * GRACE_MS),
    );
    match (done.term, done.kill) {
        (false, _) if now_ms < kill_ms => Step::Term,
        (_, false) if now_ms < kill_ms => Step::Wait(kill_ms),
        (_, false) if now_ms < remove_ms => Step::Kill,
        (_, true) if now_ms < remove_ms => Step::Wait(remove_ms),
        // Killed or not: after a long pause of the host, gently first.
        (_, false) => Step::Kill,
        (_, true) => Step::Remove,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fleet_model::exec::{ExecInput, ExecSpec, ExecState};

    use super::*;
    use crate::exec::record::Deadline;

    fn exec(known: bool, deadline_ms: Option<u64>, overdue_ms: Option<u64>) -> ExecRecord {
        ExecRecord {
            call: "k".into(),
            spec: ExecSpec {
                command: vec!["true".into()],
                env: BTreeMap::new(),
                input: ExecInput::Null,
                terminal: None,
                timeout_ms: None,
            },
            number: 0,
            started_at_ms: 0,
            deadline: deadline_ms.map(|at_ms| Deadline {
                boot: "this".into(),
                at_ms,
            }),
            known: known.then(|| "it".into()),
            overdue_ms,
            over: None,
            signals: Vec::new(),
        }
    }

    #[test]
    fn a_program_is_ended_step_by_step_after_its_time() {
        let done = |term, kill| Done {
            term,
            kill,
            not_before_ms: 0,
        };
        let fresh = done(false, false);
        for (exec, done, now_ms, want) in [
            (exec(true, None, None), fresh, 9, Step::Nothing),
            (exec(false, None, None), fresh, 9, Step::Begin),
            (exec(true, Some(100), None), fresh, 99, Step::Wait(100)),
            (exec(true, Some(100), None), fresh, 100, Step::Expire),
            (exec(true, Some(100), Some(100)), fresh, 100, Step::Term),
            (
                exec(true, Some(100), Some(100)),
                done(true, false),
                101,
                Step::Wait(5_100),
            ),
            (
                exec(true, Some(100), Some(100)),
                done(true, false),
                5_100,
                Step::Kill,
            ),
            (
                exec(true, Some(100), Some(100)),
                done(true, true),
                5_101,
                Step::Wait(10_100),
            ),
            (
                exec(true, Some(100), Some(100)),
                done(true, true),
                10_100,
                Step::Remove,
            ),
            // The host was away for long: it is not removed before it was killed in this life.
            (exec(true, Some(100), Some(100)), fresh, 99_999, Step::Kill),
            (exec(true, Some(100), Some(100)), fresh, 5_100, Step::Kill),
        ] {
            assert_eq!(
                step(&exec, done, "this", now_ms),
                want,
                "{exec:?} {done:?} {now_ms}"
            );
        }
    }

    #[test]
    fn what_is_over_or_of_another_boot_is_left_alone_and_what_failed_waits() {
        let mut over = exec(true, Some(1), None);
        over.over = Some(ExecState::Lost { reason: "x".into() });
        assert_eq!(step(&over, Done::default(), "this", 9), Step::Nothing);
        let old = exec(true, Some(1), None);
        assert_eq!(step(&old, Done::default(), "next", 9), Step::Nothing);
        let failed = Done {
            not_before_ms: 50,
            ..Done::default()
        };
        assert_eq!(
            step(&exec(false, None, None), failed, "this", 9),
            Step::Wait(50)
        );
        assert_eq!(
            step(&exec(true, Some(9), None), failed, "this", 9),
            Step::Wait(50)
        );
        assert_eq!(
            step(&exec(true, Some(60), None), failed, "this", 9),
            Step::Wait(60)
        );
    }
}
