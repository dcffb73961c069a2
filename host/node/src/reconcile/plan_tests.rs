//! The plan, by table: every stage against every wish, and the timers in between.

use std::collections::BTreeMap;

use fleet_model::driver::{Exit, Handle, Observation, RunState};
use fleet_model::item::{Attempt, Generation, Item, ItemKey, Mode, workload_kind};
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_model::{Error, ErrorKind};

use super::live::{Again, Live, Retry, Sent};
use super::plan::{Situation, Step, plan};
use crate::state::{Backoff, Record, Run, Stage};

const BOOT: &str = "this-boot";
const GRACE_MS: u64 = 10_000;

fn intent(desired: Desired) -> WorkloadIntent {
    WorkloadIntent {
        name: "web".parse().unwrap(),
        desired,
        grace_ms: GRACE_MS,
        spec: serde_json::from_value(serde_json::json!({"command": ["true"]})).unwrap(),
    }
}

fn record(generation: u64, desired: Option<Desired>, run: Option<(u64, Stage)>) -> Record {
    Record {
        item: Item {
            id: ItemKey {
                kind: workload_kind(),
                key: "wl".into(),
            },
            generation: Generation(generation),
            intent: desired.map(|desired| serde_json::to_value(intent(desired)).unwrap()),
            grace_ms: None,
            mode: Mode::default(),
        },
        grace_ms: GRACE_MS,
        removed: false,
        ports: BTreeMap::new(),
        run: run.map(|(generation, stage)| Run {
            generation: Generation(generation),
            attempt: Attempt(1),
            name: "web".parse().unwrap(),
            backend: "mock".parse().unwrap(),
            intent: None,
            boot: BOOT.into(),
            stage,
            handle: Some(Handle {
                schema: 1,
                opaque: vec![],
            }),
            kill_target: None,
            started_at_ms: None,
            started_boot_ms: None,
            evicted: None,
            execs: BTreeMap::new(),
            attributes: BTreeMap::new(),
        }),
        backoff: None,
        signals: Vec::new(),
    }
}

fn seen(state: RunState) -> Live {
    Live {
        observed: Some(Observation {
            state,
            started_at_ms: None,
            attributes: BTreeMap::new(),
        }),
        ..Live::default()
    }
}

fn ended() -> Stage {
    Stage::Ended {
        exit: Some(Exit {
            code: 0,
            signal: None,
            at_ms: None,
        }),
    }
}

fn step_at(record: &Record, live: &Live, now_ms: u64, boot: &str) -> Step {
    let intent = record
        .item
        .intent
        .as_ref()
        .map(|intent| serde_json::from_value(intent.clone()).unwrap());
    plan(&Situation {
        record,
        intent: intent.as_ref(),
        live,
        now_ms,
        boot,
    })
}

fn step(record: &Record, live: &Live) -> Step {
    step_at(record, live, 1_000, BOOT)
}

const RUN: Option<Desired> = Some(Desired::Running);
const REST: Option<Desired> = Some(Desired::Stopped);
const GONE: Option<Desired> = None;

#[test]
fn every_stage_against_every_wish() {
    let none = Live::default();
    let failed = || Stage::Failed {
        error: Error::invalid("x", "x"),
    };
    let lost = || Stage::Lost { reason: "x".into() };
    for (desired, run, want) in [
        (RUN, None, Step::Begin),
        (REST, None, Step::Wait(None)),
        (GONE, None, Step::Remove),
        (RUN, Some((5, Stage::Creating)), Step::Create),
        (RUN, Some((4, Stage::Creating)), Step::Create),
        (REST, Some((4, Stage::Creating)), Step::Create),
        (GONE, Some((4, Stage::Creating)), Step::Create),
        (RUN, Some((5, Stage::Created)), Step::Start),
        (RUN, Some((4, Stage::Created)), Step::Look),
        (REST, Some((4, Stage::Created)), Step::Look),
        (GONE, Some((4, Stage::Created)), Step::Look),
        (RUN, Some((5, Stage::Started)), Step::Look),
        (GONE, Some((4, Stage::Started)), Step::Look),
        (RUN, Some((5, ended())), Step::Wait(None)),
        (RUN, Some((5, failed())), Step::Wait(None)),
        (RUN, Some((5, lost())), Step::Wait(None)),
        (RUN, Some((4, ended())), Step::Destroy),
        (RUN, Some((4, failed())), Step::Destroy),
        (RUN, Some((4, lost())), Step::Destroy),
        (REST, Some((4, ended())), Step::Wait(None)),
        (GONE, Some((4, ended())), Step::Destroy),
        (GONE, Some((4, lost())), Step::Destroy),
    ] {
        assert_eq!(
            step(&record(5, desired, run.clone()), &none),
            want,
            "{desired:?} {run:?}"
        );
    }
}

#[test]
fn what_was_seen_decides_over_a_run_that_may_be_running() {
    let exit = Exit {
        code: 3,
        signal: None,
        at_ms: None,
    };
    let exited = || RunState::Exited { exit: exit.clone() };
    let over = Step::Record(Stage::Ended {
        exit: Some(exit.clone()),
    });
    for desired in [RUN, REST, GONE] {
        assert_eq!(
            step(
                &record(5, desired, Some((5, Stage::Started))),
                &seen(exited())
            ),
            over
        );
    }
    let started = |desired| record(5, desired, Some((5, Stage::Started)));
    assert_eq!(step(&started(RUN), &seen(RunState::Running)), Step::Watch);
    assert_eq!(step(&started(REST), &seen(RunState::Running)), Step::Stop);
    assert_eq!(step(&started(GONE), &seen(RunState::Running)), Step::Stop);
    assert_eq!(
        step(
            &record(6, RUN, Some((5, Stage::Started))),
            &seen(RunState::Running)
        ),
        Step::Stop
    );
    // Nobody knows: nothing is stopped or started on a guess.
    for desired in [RUN, REST, GONE] {
        assert_eq!(
            step(
                &started(desired),
                &seen(RunState::Unknown { reason: "x".into() })
            ),
            Step::Watch
        );
    }
    assert!(matches!(
        step(&started(RUN), &seen(RunState::Lost { reason: "x".into() })),
        Step::Record(Stage::Lost { .. })
    ));
}

#[test]
fn a_start_in_doubt_is_repeated_in_the_same_boot_and_never_in_a_later_one() {
    let created = record(5, RUN, Some((5, Stage::Created)));
    assert_eq!(step_at(&created, &Live::default(), 0, BOOT), Step::Start);
    assert_eq!(
        step_at(&created, &Live::default(), 0, "later-boot"),
        Step::Look
    );
    assert!(matches!(
        step_at(&created, &seen(RunState::Created), 0, "later-boot"),
        Step::Record(Stage::Lost { .. })
    ));
    assert_eq!(
        step_at(&created, &seen(RunState::Running), 0, "later-boot"),
        Step::Record(Stage::Started)
    );
}

#[test]
fn what_nobody_wants_and_never_began_is_not_started() {
    for desired in [REST, GONE] {
        let created = record(6, desired, Some((5, Stage::Created)));
        assert_eq!(
            step(&created, &seen(RunState::Created)),
            Step::Record(Stage::Ended { exit: None })
        );
    }
}

#[test]
fn a_stop_is_sent_once_and_becomes_a_kill_when_the_grace_is_over() {
    let stopping = record(6, REST, Some((5, Stage::Started)));
    let at = |at_ms| {
        Some(Sent {
            generation: Generation(6),
            at_ms,
        })
    };
    let live = |stop, kill| Live {
        watched: true,
        stop,
        kill,
        ..seen(RunState::Running)
    };
    assert_eq!(step_at(&stopping, &live(None, None), 0, BOOT), Step::Stop);
    assert_eq!(
        step_at(&stopping, &live(at(100), None), 200, BOOT),
        Step::Wait(Some(100 + GRACE_MS))
    );
    assert_eq!(
        step_at(&stopping, &live(at(100), None), 100 + GRACE_MS, BOOT),
        Step::Kill
    );
    assert_eq!(
        step_at(&stopping, &live(at(100), at(200)), 300, BOOT),
        Step::Wait(Some(5_200))
    );
    assert_eq!(
        step_at(&stopping, &live(at(100), at(200)), 5_200, BOOT),
        Step::Kill
    );
    // A stop sent for an earlier intent does not count for this one.
    let earlier = Live {
        stop: Some(Sent {
            generation: Generation(4),
            at_ms: 0,
        }),
        ..live(None, None)
    };
    assert_eq!(step_at(&stopping, &earlier, 200, BOOT), Step::Stop);
}

#[test]
fn a_tombstone_may_shorten_the_grace() {
    let mut gone = record(6, GONE, Some((5, Stage::Started)));
    gone.item.grace_ms = Some(0);
    assert_eq!(step(&gone, &seen(RunState::Running)), Step::Kill);
}

#[test]
fn failures_are_waited_out_and_given_up_by_their_kind() {
    let retry = |kind, failures, until_ms| Live {
        retry: Some(Retry {
            generation: Generation(5),
            failures,
            until_ms,
            error: Error::new(kind, "x", "x"),
        }),
        ..Live::default()
    };
    for stage in [Stage::Creating, Stage::Created] {
        let at = record(5, RUN, Some((5, stage.clone())));
        let again = if stage == Stage::Creating {
            Step::Create
        } else {
            Step::Start
        };
        assert_eq!(
            step(&at, &retry(ErrorKind::Unavailable, 9, 2_000)),
            Step::Wait(Some(2_000))
        );
        assert_eq!(step(&at, &retry(ErrorKind::Unavailable, 9, 1_000)), again);
        assert_eq!(step(&at, &retry(ErrorKind::Internal, 2, 0)), again);
        for (kind, failures) in [
            (ErrorKind::Internal, 3),
            (ErrorKind::Invalid, 1),
            (ErrorKind::Denied, 1),
            (ErrorKind::Other, 1),
        ] {
            assert!(
                matches!(
                    step(&at, &retry(kind, failures, 0)),
                    Step::Record(Stage::Failed { .. })
                ),
                "{kind:?}"
            );
        }
    }
}

#[test]
fn what_was_never_made_needs_no_end_once_nobody_wants_it() {
    let told = |generation| Live {
        retry: Some(Retry {
            generation: Generation(generation),
            failures: 1,
            until_ms: 0,
            error: Error::not_found("nothing-made", "x"),
        }),
        ..Live::default()
    };
    let creating = Some((4, Stage::Creating));
    for desired in [REST, GONE] {
        let at = record(5, desired, creating.clone());
        let ended = Step::Record(Stage::Ended { exit: None });
        assert_eq!(step(&at, &told(5)), ended);
    }
    // What is wanted and cannot be found has failed.
    let at = record(5, RUN, Some((5, Stage::Creating)));
    let step = step(&at, &told(5));
    assert!(matches!(step, Step::Record(Stage::Failed { .. })));
}

#[test]
fn a_newer_intent_does_not_wait_for_an_older_ones_retry() {
    let retry = Retry {
        generation: Generation(5),
        failures: 1,
        until_ms: u64::MAX,
        error: Error::new(ErrorKind::Unavailable, "x", "x"),
    };
    let live = Live {
        retry: Some(retry),
        ..Live::default()
    };
    let run = Some((5, Stage::Created));
    assert_eq!(
        step(&record(5, RUN, run.clone()), &live),
        Step::Wait(Some(u64::MAX))
    );
    assert_eq!(step(&record(6, GONE, run), &live), Step::Look);
}

#[test]
fn without_a_watch_it_looks_now_and_then() {
    let started = record(5, RUN, Some((5, Stage::Started)));
    let live = |look_at_ms| Live {
        look_at_ms,
        ..seen(RunState::Running)
    };
    assert_eq!(
        step_at(&started, &live(Some(500)), 400, BOOT),
        Step::Wait(Some(500))
    );
    assert_eq!(step_at(&started, &live(Some(500)), 500, BOOT), Step::Look);
}

#[test]
fn a_watch_does_not_keep_it_from_a_look_that_is_due() {
    let sent = Some(Sent {
        generation: Generation(6),
        at_ms: 100,
    });
    let live = |stop| Live {
        watched: true,
        look_at_ms: Some(500),
        stop,
        ..seen(RunState::Running)
    };
    // New code was put into use under the one; the other was asked to end.
    let running = (record(6, RUN, Some((6, Stage::Started))), live(None));
    let ending = (record(6, REST, Some((5, Stage::Started))), live(sent));
    for (record, live) in [running, ending] {
        assert_eq!(
            step_at(&record, &live, 499, BOOT),
            Step::Wait(Some(500)),
            "{live:?}"
        );
        assert_eq!(step_at(&record, &live, 500, BOOT), Step::Look, "{live:?}");
    }
}

#[test]
fn a_look_that_was_due_leads_to_a_watch_where_none_is_open() {
    let now_ms = 600;
    let sent = |generation| {
        Some(Sent {
            generation: Generation(generation),
            at_ms: 550,
        })
    };
    let ending = record(6, REST, Some((5, Stage::Started)));
    let wanted = record(5, RUN, Some((5, Stage::Started)));
    for (record, watched, polls, look_at_ms, stop, again, next) in [
        // Asked to end, and nobody watches.
        (
            &ending,
            false,
            0,
            Some(600),
            sent(6),
            Again::WhenWoken,
            Step::Watch,
        ),
        // A watch could not be opened: the next look tries again.
        (
            &ending,
            false,
            3,
            Some(600),
            sent(6),
            Again::WhenWoken,
            Step::Watch,
        ),
        // A watch has just ended: not at once.
        (
            &ending,
            false,
            1,
            None,
            sent(6),
            Again::InAWhile,
            Step::Wait(Some(700)),
        ),
        // A watch is open, and may be silent.
        (
            &ending,
            true,
            0,
            Some(600),
            sent(6),
            Again::InAWhile,
            Step::Wait(Some(700)),
        ),
        (
            &ending,
            true,
            0,
            None,
            sent(6),
            Again::InAWhile,
            Step::Wait(Some(700)),
        ),
        // Wanted: the watch is relied on.
        (
            &wanted,
            true,
            0,
            Some(600),
            None,
            Again::WhenWoken,
            Step::Wait(None),
        ),
        (
            &wanted,
            true,
            0,
            Some(600),
            sent(4),
            Again::WhenWoken,
            Step::Wait(None),
        ),
        (
            &wanted,
            false,
            0,
            Some(600),
            None,
            Again::WhenWoken,
            Step::Watch,
        ),
    ] {
        let mut live = Live {
            watched,
            polls,
            look_at_ms,
            stop,
            ..seen(RunState::Running)
        };
        assert_eq!(live.looked(record.item.generation), again, "{live:?}");
        live.look_at_ms = (again == Again::InAWhile).then_some(700);
        assert_eq!(step_at(record, &live, now_ms, BOOT), next, "{live:?}");
    }
}

#[test]
fn an_unreadable_intent_and_a_removed_item_are_left_alone() {
    let unreadable = record(5, RUN, Some((5, Stage::Started)));
    let at = Situation {
        record: &unreadable,
        intent: None,
        live: &Live::default(),
        now_ms: 0,
        boot: BOOT,
    };
    assert_eq!(plan(&at), Step::Wait(None));
    let mut removed = record(5, GONE, None);
    removed.removed = true;
    assert_eq!(step(&removed, &Live::default()), Step::Wait(None));
}

#[test]
fn what_is_to_be_made_again_waits_for_its_pause_and_not_for_a_newer_intent() {
    let ended = Stage::Ended {
        exit: Some(Exit::default()),
    };
    let mut record = record(5, Some(Desired::Running), Some((5, ended)));
    record.backoff = Some(Backoff {
        in_a_row: 1,
        boot: BOOT.into(),
        from_ms: 1_000,
        delay_ms: 500,
    });
    let intent = intent(Desired::Running);
    let decide = |record: &Record, now_ms, boot| {
        plan(&Situation {
            record,
            intent: Some(&intent),
            live: &Live::default(),
            now_ms,
            boot,
        })
    };
    assert_eq!(decide(&record, 1_499, BOOT), Step::Wait(Some(1_500)));
    assert_eq!(decide(&record, 1_500, BOOT), Step::Again);
    assert_eq!(decide(&record, 3, "another-boot"), Step::Again);
    record.item.generation = Generation(6);
    assert_eq!(decide(&record, 1_000, BOOT), Step::Destroy);
}

#[test]
fn what_is_over_a_limit_is_ended_and_has_failed() {
    let mut record = record(5, Some(Desired::Running), Some((5, Stage::Started)));
    let error = Error::new(ErrorKind::Exhausted, "disk-limit", "too large");
    record.run.as_mut().unwrap().evicted = Some(error.clone());
    let intent = intent(Desired::Running);
    let decide = |live: &Live| {
        plan(&Situation {
            record: &record,
            intent: Some(&intent),
            live,
            now_ms: 0,
            boot: BOOT,
        })
    };
    assert_eq!(decide(&seen(RunState::Running)), Step::Stop);
    let exited = RunState::Exited {
        exit: Exit::default(),
    };
    assert_eq!(decide(&seen(exited)), Step::Record(Stage::Failed { error }));
}
