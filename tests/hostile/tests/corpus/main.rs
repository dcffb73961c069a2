//! The hostile corpus: each deed ends with its typed error in time, and the neighbours notice nothing; one at
//! a time, and a hundred at once.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "tests: a failure is a failing test"
)]

mod built;
mod machine;
mod made;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fleet_e2e::Toolchain;
use fleet_model::driver::{Creation, Handle};
use fleet_model::{Error, ErrorKind, Verb};
use fleet_plugin::{Driver, PluginHost};
use fleet_seam::{Clock as _, SystemClock};
use serde_json::json;
use tokio::task::JoinSet;

use built::built;
use machine::{Machine, item_of, op_of, workload_of};

const INTERNAL: ErrorKind = ErrorKind::Internal;
const LATE: ErrorKind = ErrorKind::Deadline;
const FULL: ErrorKind = ErrorKind::Exhausted;

/// A deed, and how its call ends.
type Deed = (&'static str, ErrorKind, &'static str);

/// What a deed that never ends comes to: whichever limit is met first.
const NEVER: &str = "cpu-budget or wall-clock";

const RUST: [Deed; 11] = [
    ("trap", INTERNAL, "trap"),
    ("exit", INTERNAL, "trap"),
    ("spin", LATE, NEVER),
    ("spin-in-host", LATE, NEVER),
    ("memory", FULL, "memory"),
    ("recurse", INTERNAL, "trap"),
    ("hold", LATE, "wall-clock"),
    ("print", LATE, NEVER),
    ("say-too-much", ErrorKind::Other, "plugin-error"),
    ("large-handle", INTERNAL, "bad-answer"),
    ("not-granted", ErrorKind::Denied, "not-requested"),
];

const C: [Deed; 7] = [
    ("pointer", INTERNAL, "trap"),
    ("length", INTERNAL, "trap"),
    ("utf8", INTERNAL, "trap"),
    ("kind", INTERNAL, "trap"),
    ("stack", INTERNAL, "trap"),
    ("table", FULL, "memory"),
    ("null", INTERNAL, "trap"),
];

const PYTHON: [Deed; 7] = [
    ("raise", INTERNAL, "trap"),
    ("recurse", INTERNAL, "trap"),
    ("exit", INTERNAL, "trap"),
    ("spin", LATE, NEVER),
    ("memory", FULL, "memory"),
    ("wrong-type", INTERNAL, "trap"),
    ("none", INTERNAL, "trap"),
];

const JAVASCRIPT: [Deed; 7] = [
    ("throw", INTERNAL, "trap"),
    ("recurse", INTERNAL, "trap"),
    ("spin", LATE, NEVER),
    ("memory", FULL, "memory"),
    ("never", INTERNAL, "trap"),
    ("wrong-type", INTERNAL, "trap"),
    ("no-such-case", INTERNAL, "trap"),
];

/// How many copies are there at once.
const COPIES: u32 = 100;

/// What is added to a deadline for a machine that is busy with other tests.
const SLACK: Duration = Duration::from_secs(20);

/// What may be met instead where a hundred want to compute at one time, but not by all copies of a deed.
const CROWDED: [(ErrorKind, &str); 4] = [
    (FULL, "queue"),
    (FULL, "instances"),
    (LATE, "wall-clock"),
    (LATE, "cpu-budget"),
];

fn is_wanted(error: &Error, (_, kind, code): Deed) -> bool {
    let is_code = match code {
        NEVER => ["cpu-budget", "wall-clock"].contains(&error.code.as_str()),
        code => error.code == code,
    };
    error.kind == kind && is_code
}

/// A hundred calls of a neighbour; all must be answered.
async fn neighbours(calm: &Arc<dyn Driver>, handle: &Handle) {
    let mut calls = JoinSet::new();
    for number in 0..100 {
        let (calm, handle) = (calm.clone(), handle.clone());
        calls.spawn(async move { calm.inspect(&item_of(1_000 + number), &handle).await });
    }
    for answer in calls.join_all().await {
        answer.unwrap();
    }
}

async fn done(
    hostile: Arc<dyn Driver>,
    number: u32,
    deed: &'static str,
) -> Result<Creation, Error> {
    let workload = workload_of(number, json!({ "deed": deed }));
    hostile
        .create(&op_of(number, Verb::Create), &workload)
        .await
}

async fn machine(toolchain: Toolchain) -> Option<(Machine, Arc<PluginHost>)> {
    let files = built(toolchain)?;
    let machine = Machine::new(&files);
    let host = machine.host().await;
    Some((machine, host))
}

async fn corpus(toolchain: Toolchain, deeds: &[Deed]) {
    let Some((_machine, host)) = machine(toolchain).await else {
        return;
    };
    let (hostile, calm) = (
        machine::driver(&host, "hostile"),
        machine::driver(&host, "mock"),
    );
    let ready = machine::ready(calm.as_ref()).await;
    // It is a plugin like any other as long as it behaves.
    done(hostile.clone(), 0, "nothing").await.unwrap();

    for (number, deed) in (1..).zip(deeds) {
        let began = SystemClock.boot_ms();
        let asked = tokio::spawn(done(hostile.clone(), number, deed.0));
        neighbours(&calm, &ready).await;
        let error = asked.await.unwrap();
        let error = error
            .err()
            .unwrap_or_else(|| panic!("{} did not fire", deed.0));
        assert!(is_wanted(&error, *deed), "{}: {error:?}", deed.0);
        assert!(error.message.len() < 10_000, "{}", deed.0);
        let took = Duration::from_millis(SystemClock.boot_ms() - began);
        assert!(
            took < Duration::from_secs(4) + SLACK,
            "{} took {took:?}",
            deed.0
        );
    }
    neighbours(&calm, &ready).await;

    // A hundred copies at once, shared among the deeds, each for a workload of its own.
    let mut copies = JoinSet::new();
    let mut fired = BTreeSet::new();
    for number in 0..COPIES {
        let deed = deeds[usize::try_from(number).unwrap() % deeds.len()];
        let hostile = hostile.clone();
        copies.spawn(async move { (deed, done(hostile, 100 + number, deed.0).await) });
    }
    while !copies.is_empty() {
        neighbours(&calm, &ready).await;
        while let Some(copy) = copies.try_join_next() {
            let (deed, answer) = copy.unwrap();
            let error = answer
                .err()
                .unwrap_or_else(|| panic!("{} did not fire", deed.0));
            let is_crowded = CROWDED.contains(&(error.kind, error.code.as_str()));
            if is_wanted(&error, deed) {
                fired.insert(deed.0);
            } else {
                assert!(is_crowded, "{}: {error:?}", deed.0);
            }
        }
    }
    for (deed, ..) in deeds {
        assert!(fired.contains(deed), "no copy of {deed} ended as wanted");
    }
    neighbours(&calm, &ready).await;
    // And it is not held against the plugin where it behaves.
    done(hostile, 999, "nothing").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_plugin_in_rust_harms_one_call() {
    corpus(Toolchain::Rust, &RUST).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_plugin_in_c_harms_one_call() {
    corpus(Toolchain::C, &C).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_plugin_in_python_harms_one_call() {
    corpus(Toolchain::Python, &PYTHON).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_plugin_in_javascript_harms_one_call() {
    corpus(Toolchain::JavaScript, &JAVASCRIPT).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_does_not_fit_the_question_is_told() {
    let Some((_machine, host)) = machine(Toolchain::Rust).await else {
        return;
    };
    let hostile = machine::driver(&host, "hostile");
    for deed in ["too-few", "too-many"] {
        let Creation::Ready { handle, .. } = done(hostile.clone(), 1, deed).await.unwrap() else {
            panic!("it is not ready");
        };
        let error = hostile
            .recover(&[handle.clone(), handle])
            .await
            .unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (INTERNAL, "bad-answer"),
            "{deed}"
        );
    }
    let error = done(hostile, 2, "foreign-source").await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "not-requested")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_never_given_is_no_source() {
    let Some((_machine, host)) = machine(Toolchain::C).await else {
        return;
    };
    let (hostile, calm) = (
        machine::driver(&host, "hostile"),
        machine::driver(&host, "mock"),
    );
    let ready = machine::ready(calm.as_ref()).await;
    for (number, deed) in [(1, "forged-source"), (2, "dropped-source")] {
        let Creation::Ready { handle, .. } = done(hostile.clone(), number, deed).await.unwrap()
        else {
            panic!("it is not ready");
        };
        let error = hostile.watch(&item_of(number), &handle).await.err();
        let error = error.unwrap_or_else(|| panic!("{deed} did not fire"));
        assert_eq!(
            (error.kind, error.code.as_str()),
            (INTERNAL, "trap"),
            "{deed}: {error}"
        );
        neighbours(&calm, &ready).await;
    }
}
