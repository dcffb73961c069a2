use fleet_sdk::ErrorKind;
use serde_json::{Value, json};

use super::*;

const STARTED: &str = "2026-11-21T14:23:33.883201343Z";
const STARTED_MS: u64 = 1_795_271_013_883;
const ENDED: &str = "2026-11-21T14:23:34.885413669Z";
const ENDED_MS: u64 = 1_795_271_014_885;
const NEVER: &str = "0001-01-01T00:00:00Z";

fn seen(state: Value) -> Observation {
    let body = json!({"Id": "c0", "Name": "/fleet-wl_1-1-1", "State": state});
    let answer = Answer::new(200, body.to_string().as_bytes());
    observation(look(&answer)).unwrap()
}

fn attribute<'a>(seen: &'a Observation, name: &str) -> Option<&'a str> {
    let (_, value) = seen.attributes.iter().find(|(key, _)| key == name)?;
    Some(value)
}

fn exited(code: i64, oom: bool) -> Observation {
    seen(json!({
        "Status": "exited", "Running": false, "OOMKilled": oom, "Pid": 0, "ExitCode": code,
        "Error": "", "StartedAt": STARTED, "FinishedAt": ENDED,
    }))
}

#[test]
fn what_runs_says_since_when_and_as_which_process() {
    for (status, paused) in [
        ("running", None),
        ("paused", Some("true")),
        ("restarting", None),
    ] {
        let seen =
            seen(json!({"Status": status, "Pid": 7, "StartedAt": STARTED, "FinishedAt": NEVER}));
        assert_eq!(seen.state, RunState::Running);
        assert_eq!(seen.started_at_ms, Some(STARTED_MS));
        assert_eq!(attribute(&seen, "pid"), Some("7"));
        assert_eq!(attribute(&seen, "container-id"), Some("c0"));
        assert_eq!(attribute(&seen, "paused"), paused);
    }
}

#[test]
fn what_ended_says_how_and_when() {
    for (code, oom, signal, told) in [
        (0, false, None, None),
        (3, false, None, None),
        (137, false, Some("KILL"), None),
        (137, true, Some("KILL"), Some("true")),
        (143, false, Some("TERM"), None),
        (1, true, None, Some("true")),
        // A child was killed for memory and the program coped.
        (0, true, None, None),
        (255, false, None, None),
    ] {
        let seen = exited(code, oom);
        let RunState::Exited(exit) = &seen.state else {
            panic!("{seen:?}")
        };
        assert_eq!(i64::from(exit.code), code);
        assert_eq!(exit.signal.as_deref(), signal, "{code}");
        assert_eq!(exit.at_ms, Some(ENDED_MS));
        assert_eq!(attribute(&seen, "signal"), signal);
        assert_eq!(attribute(&seen, "oom"), told, "{code}");
        assert_eq!(attribute(&seen, "pid"), None);
    }
}

#[test]
fn what_never_ran_is_made_also_where_its_start_failed() {
    let seen = seen(json!({
        "Status": "created", "ExitCode": 127, "Error": "executable file not found",
        "StartedAt": NEVER, "FinishedAt": NEVER,
    }));
    assert_eq!(seen.state, RunState::Created);
    assert_eq!(seen.started_at_ms, None);
    assert_eq!(attribute(&seen, "error"), Some("executable file not found"));
}

#[test]
fn the_rest_is_lost_or_unknown() {
    for (status, want) in [
        ("dead", "lost"),
        ("removing", "unknown"),
        ("", "unknown"),
        ("odd", "unknown"),
    ] {
        let got = match seen(json!({"Status": status})).state {
            RunState::Lost(_) => "lost",
            RunState::Unknown(_) => "unknown",
            other => panic!("{other:?}"),
        };
        assert_eq!(got, want, "{status}");
    }
}

#[test]
fn a_container_that_is_gone_is_lost_and_other_failures_are_errors() {
    let gone = look(&Answer::new(404, br#"{"message":"No such container: c0"}"#));
    assert!(matches!(
        observation(gone).unwrap().state,
        RunState::Lost(_)
    ));
    for (status, body, kind) in [
        (500, &b"{}"[..], ErrorKind::Unavailable),
        (200, b"{\"Id\":", ErrorKind::Unavailable),
        (
            200,
            br#"{"State":{"ExitCode":"three"}}"#,
            ErrorKind::Unavailable,
        ),
    ] {
        let error = observation(look(&Answer::new(status, body))).unwrap_err();
        assert_eq!(error.kind, kind);
        assert!(matches!(unknown(error).state, RunState::Unknown(_)));
    }
}

#[test]
fn what_runs_and_nothing_else_began() {
    for (status, want) in [
        ("running", Some(STARTED_MS)),
        ("exited", None),
        ("created", None),
    ] {
        let state = json!({"Status": status, "StartedAt": STARTED});
        let body = json!({"Id": "c0", "State": state}).to_string();
        let look = look(&Answer::new(200, body.as_bytes())).unwrap();
        assert_eq!(look.began_ms(), want, "{status}");
    }
}
