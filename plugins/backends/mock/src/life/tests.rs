use serde_json::{Value, json};

use super::*;

const NEVER: u64 = u64::MAX;

fn config(document: Value) -> Config {
    serde_json::from_value(document).unwrap()
}

fn term() -> Deadly {
    Deadly::try_from("TERM".to_owned()).unwrap()
}

/// `created`, `running`, `0`, `143 TERM`, `lost`: a state in one word or two.
fn word(life: &Life, config: &Config, now_ms: u64) -> String {
    match life.look(config, now_ms).state {
        RunState::Created => "created".to_owned(),
        RunState::Running => "running".to_owned(),
        RunState::Exited(Exit {
            code,
            signal: Some(signal),
            ..
        }) => format!("{code} {signal}"),
        RunState::Exited(Exit { code, .. }) => code.to_string(),
        RunState::Lost(_) => "lost".to_owned(),
        other => panic!("{other:?}"),
    }
}

/// A plan, when it is stopped and killed, and what is seen at which times.
type Row = (
    Value,
    Option<u64>,
    Option<u64>,
    &'static [(u64, &'static str)],
);

#[test]
fn a_life_follows_its_plan() {
    // All are started at 1,000.
    let table: [Row; 11] = [
        (
            json!({}),
            None,
            None,
            &[(1_000, "running"), (NEVER, "running")],
        ),
        (
            json!({"run_ms": 50}),
            None,
            None,
            &[(1_049, "running"), (1_050, "0")],
        ),
        (
            json!({"run_ms": 0, "exit_code": 3}),
            None,
            None,
            &[(1_000, "3")],
        ),
        (
            json!({"run_ms": 5, "exit_signal": "SEGV"}),
            None,
            None,
            &[(1_005, "139 SEGV")],
        ),
        (
            json!({"start_delay_ms": 100, "run_ms": 50}),
            None,
            None,
            &[(1_099, "created"), (1_100, "running"), (1_150, "0")],
        ),
        (
            json!({"lost_after_ms": 30}),
            None,
            None,
            &[(1_029, "running"), (1_030, "lost")],
        ),
        (
            json!({"lost_after_ms": 30, "run_ms": 20}),
            None,
            None,
            &[(1_040, "0")],
        ),
        (
            json!({"stop_ms": 40}),
            Some(1_010),
            None,
            &[(1_049, "running"), (1_050, "143 TERM")],
        ),
        (
            json!({"ignore_stop": true}),
            Some(1_010),
            None,
            &[(NEVER, "running")],
        ),
        (
            json!({"ignore_stop": true, "run_ms": 90}),
            Some(1_010),
            Some(1_020),
            &[(1_020, "137 KILL"), (NEVER, "137 KILL")],
        ),
        (
            json!({"stop_ms": 99, "run_ms": 20}),
            Some(1_010),
            None,
            &[(1_020, "0")],
        ),
    ];
    for (document, stop, kill, looks) in table {
        let config = config(document.clone());
        let mut life = Life::default();
        assert_eq!(word(&life, &config, NEVER), "created");
        life = life.start(&config, "op", 1_000);
        if let Some(at) = stop {
            life = life.stop(&config, term(), at);
        }
        if let Some(at) = kill {
            life = life.kill(&config, at);
        }
        for (at, want) in looks {
            assert_eq!(word(&life, &config, *at), *want, "{document} at {at}");
        }
    }
}

#[test]
fn a_repeated_start_changes_nothing_and_a_new_one_begins_anew() {
    let config = config(json!({"run_ms": 10}));
    let first = Life::default().start(&config, "a", 1_000);
    assert_eq!(first.clone().start(&config, "a", 1_005), first);
    assert_eq!(
        first.clone().start(&config, "a", 2_000),
        first,
        "also when it is over"
    );
    assert_eq!(first.clone().start(&config, "b", 1_005), first, "it lives");
    let second = first.start(&config, "b", 2_000);
    assert_eq!(word(&second, &config, 2_005), "running");
    assert_eq!(word(&second, &config, 2_010), "0");
}

#[test]
fn what_is_over_or_never_began_is_not_ended_again() {
    let config = config(json!({"run_ms": 10, "exit_code": 7}));
    let over = Life::default().start(&config, "a", 1_000);
    assert_eq!(over.clone().kill(&config, 1_010), over);
    assert_eq!(over.clone().stop(&config, term(), 1_010), over);
    assert_eq!(Life::default().kill(&config, 1_000), Life::default());
    assert_eq!(
        Life::default().stop(&config, term(), 1_000),
        Life::default()
    );
}

#[test]
fn the_first_stop_counts_and_kill_by_signal_is_a_kill() {
    let config = config(json!({"stop_ms": 100}));
    let stopped = Life::default()
        .start(&config, "a", 0)
        .stop(&config, term(), 10);
    assert_eq!(stopped.clone().stop(&config, term(), 50), stopped);
    assert_eq!(
        word(&stopped.stop(&config, Deadly::KILL, 50), &config, 50),
        "137 KILL"
    );
}

#[test]
fn a_look_says_when_it_ran_and_when_the_next_one_differs() {
    let config = config(json!({"start_delay_ms": 10, "run_ms": 10}));
    let life = Life::default().start(&config, "a", 100);
    for (now, started, next) in [
        (100, None, Some(110)),
        (109, None, Some(110)),
        (110, Some(110), Some(120)),
        (120, Some(110), None),
    ] {
        assert_eq!(life.look(&config, now).started_at_ms, started, "at {now}");
        assert_eq!(life.next_change_ms(&config, now), next, "at {now}");
    }
    assert_eq!(Life::default().next_change_ms(&config, 0), None);
    let killed = Life::default().start(&config, "a", 100).kill(&config, 105);
    assert_eq!(
        killed.next_change_ms(&config, 106),
        None,
        "it will not run any more"
    );
    assert_eq!(killed.look(&config, 200).started_at_ms, None);
}

#[test]
fn a_look_names_the_signal() {
    let config = Config::default();
    let life = Life::default()
        .start(&config, "a", 0)
        .stop(&config, term(), 5);
    let look = life.look(&config, 5);
    assert_eq!(look.attributes, [("signal".to_owned(), "TERM".to_owned())]);
    let RunState::Exited(exit) = look.state else {
        panic!("{look:?}")
    };
    assert_eq!(exit.at_ms, Some(5));
}
