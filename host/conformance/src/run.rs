//! One case, from an empty machine to an empty machine.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::watch;

use crate::bench::{Bench, Setup};
use crate::case::Case;
use crate::check::{Unmet, shown, unmet};
use crate::report::{CaseReport, Failure, Outcome};
use crate::stage::{Backend, Stage};

/// How long clearing away may take.
const CLEAR: Duration = Duration::from_secs(30);

/// Whether cases are still wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Going {
    On,
    Ended,
}

/// How a case came to its end where nothing was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// All steps were played.
    Reached,
    /// Nobody wanted to know any more.
    CutOff,
}

/// Plays a case, unless the backend lacks what it needs or nobody wants to know any more.
pub(crate) async fn run(
    setup: Arc<Setup>,
    backend: Arc<Backend>,
    case: Case,
    going: watch::Receiver<Going>,
) -> CaseReport {
    let begun_ms = setup.clock.boot_ms();
    let lacks = |need: &_| backend.abilities.lacks(*need);
    let ended = *going.borrow() == Going::Ended;
    let ended = ended.then(|| "it was not begun any more".to_owned());
    let outcome = match ended.or_else(|| case.needs.iter().find_map(lacks)) {
        Some(reason) => Outcome::Skipped { reason },
        None => {
            let played = played(&setup, backend.clone(), &case, going).await;
            setup.sweep_groups(&case.name).await;
            match played {
                Ok(End::Reached) => Outcome::Passed,
                Ok(End::CutOff) => Outcome::Skipped {
                    reason: "it was cut off".to_owned(),
                },
                Err(failure) => Outcome::Failed(failure),
            }
        }
    };
    CaseReport {
        case: case.name,
        title: case.title,
        why: case.why,
        outcome,
        elapsed_ms: setup.clock.boot_ms().saturating_sub(begun_ms),
    }
}

async fn played(
    setup: &Arc<Setup>,
    backend: Arc<Backend>,
    case: &Case,
    mut going: watch::Receiver<Going>,
) -> Result<End, Failure> {
    let bench = Bench::open(setup.clone(), &case.name).await;
    let bench = bench.map_err(|error| {
        let unmet = Unmet {
            expected: "a host with the backend in use".to_owned(),
            saw: shown(&error),
        };
        failure(None, "before the first step".to_owned(), unmet)
    })?;
    let mut stage = Stage::new(bench, backend);
    let at_rest = stage.at_rest();
    let cut_off = async {
        let _ = going.wait_for(|going| *going == Going::Ended).await;
        at_rest.await;
    };
    let at = AtomicUsize::new(0);
    let played = tokio::select! {
        biased;
        played = stage.play(&case.steps, &at) => played.map(|()| End::Reached),
        () = cut_off => Ok(End::CutOff),
        () = setup.clock.sleep(Duration::from_millis(case.deadline_ms)) => {
            let expected = format!("the end of the case within {} ms", case.deadline_ms);
            unmet(expected, "none").map(|()| End::Reached)
        }
    };
    let at = at.into_inner();
    let played = played.map_err(|unmet| {
        let text = case.steps.get(at).map(|written| written.text.clone());
        failure(Some(at + 1), text.unwrap_or_default(), unmet)
    });
    if let Ok(End::CutOff) = played {
        tokio::select! {
            () = stage.abandon() => {}
            () = setup.clock.sleep(CLEAR) => {}
        }
        return Ok(End::CutOff);
    }
    let cleared = tokio::select! {
        biased;
        cleared = stage.clear() => cleared,
        () = setup.clock.sleep(CLEAR) => {
            unmet(format!("all to be destroyed within {} s", CLEAR.as_secs()), "no end of it")
        }
    };
    let cleared = cleared.map_err(|unmet| failure(None, "after the last step".to_owned(), unmet));
    // The first thing that went wrong is told; what was left because of it is not.
    let outcome = played.and_then(|end| cleared.map(|()| end));
    if outcome.is_err() {
        stage.sweep().await;
    }
    outcome
}

fn failure(step: Option<usize>, doing: String, unmet: Unmet) -> Failure {
    Failure {
        step,
        doing,
        expected: unmet.expected,
        saw: unmet.saw,
    }
}
