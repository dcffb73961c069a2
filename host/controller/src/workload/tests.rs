//! Admission, changes and the view, by table.

use std::sync::Arc;

use fleet_model::item::{Generation, Item, ItemKey, Mode};
use fleet_model::plugin::PluginState;
use fleet_model::workload::{Desired, WorkloadIntent, WorkloadSpec, WorkloadState};
use fleet_model::{NodeId, WorkloadId};
use serde_json::{Value, json};

use super::change::{Change, Current, Ended, Verb, decide};
use super::{Found, Glance, admit, view};
use crate::session::Reach;
use crate::state::{Connection, ItemRow, NodeRow, Outbox, SessionCounter, Standing, WorkloadRow};
use crate::tests::scripted::{hello, status};
use crate::tests::support::plugin;

fn spec(spec: Value) -> WorkloadSpec {
    serde_json::from_value(spec).unwrap()
}

fn intent(desired: Desired, grace_ms: u64) -> WorkloadIntent {
    WorkloadIntent {
        name: "web".parse().unwrap(),
        desired,
        grace_ms,
        spec: spec(json!({"backend": "mock"})),
    }
}

const GONE: Standing = Standing::Tombstone { grace_ms: None };

#[test]
fn a_verb_changes_what_is_not_so_yet_and_nothing_else() {
    use Desired::{Running, Stopped};
    use Ended::{NotYet, Yes};
    use Standing::Wanted;
    let stop = |grace_ms| Verb::Stop { grace_ms };
    let remove = |grace_ms| Verb::Remove { grace_ms };
    let to = |desired, grace_ms| Ok(Change::Intent(Box::new(intent(desired, grace_ms))));
    let gone = |grace_ms| Ok(Change::Tombstone { grace_ms });
    for (desired, standing, ended, verb, want) in [
        // It runs, or is about to.
        (Running, Wanted, NotYet, Verb::Start, Ok(Change::Nothing)),
        // It ended by itself, or was stopped: run it again.
        (Running, Wanted, Yes, Verb::Start, to(Running, 10)),
        (Stopped, Wanted, Yes, Verb::Start, to(Running, 10)),
        (Stopped, Wanted, NotYet, Verb::Start, to(Running, 10)),
        (Running, Wanted, NotYet, stop(None), to(Stopped, 10)),
        (Running, Wanted, NotYet, stop(Some(5)), to(Stopped, 5)),
        (Running, Wanted, Yes, stop(None), to(Stopped, 10)),
        (Stopped, Wanted, NotYet, stop(None), Ok(Change::Nothing)),
        (Stopped, Wanted, NotYet, stop(Some(10)), Ok(Change::Nothing)),
        // Somebody lost patience.
        (Stopped, Wanted, NotYet, stop(Some(0)), to(Stopped, 0)),
        (Stopped, Wanted, Yes, stop(Some(0)), Ok(Change::Nothing)),
        (Running, GONE, NotYet, stop(Some(0)), Ok(Change::Nothing)),
        (Running, Wanted, NotYet, remove(None), gone(None)),
        (Stopped, Wanted, Yes, remove(Some(3)), gone(Some(3))),
        (Running, GONE, NotYet, remove(None), Ok(Change::Nothing)),
        (Running, GONE, NotYet, remove(Some(0)), gone(Some(0))),
        (
            Running,
            Standing::Tombstone { grace_ms: Some(0) },
            NotYet,
            remove(Some(0)),
            Ok(Change::Nothing),
        ),
        (Running, GONE, NotYet, Verb::Start, Err("workload-removing")),
        (Stopped, GONE, Yes, Verb::Start, Err("workload-removing")),
    ] {
        let current = Current {
            intent: intent(desired, 10),
            standing,
            ended,
        };
        let got = decide(&current, verb).map_err(|error| error.code);
        assert_eq!(got, want.map_err(str::to_owned), "{current:?} {verb:?}");
    }
}

/// A workload whose newest intent is generation 5, and what its node said in session 3.
fn found(
    desired: Desired,
    standing: Standing,
    reported: Option<(u64, WorkloadState)>,
    reported_in: u64,
) -> Found {
    let id = WorkloadId::new(1, 1);
    let node = NodeId::new(1, 2);
    let hello = hello();
    let key = ItemKey::workload(id);
    let reported = reported.map(|(generation, state)| {
        let item = Item {
            id: key.clone(),
            generation: Generation(generation),
            intent: None,
            grace_ms: None,
            mode: Mode::default(),
        };
        status(&item, state)
    });
    Found {
        at: Arc::new(WorkloadRow {
            id,
            name: "web".parse().unwrap(),
            node,
            expires: None,
        }),
        item: Arc::new(ItemRow {
            node,
            id: key,
            generation: Generation(5),
            intent: serde_json::to_value(intent(desired, 10)).unwrap(),
            standing,
            mode: Mode::default(),
            status: reported,
            reported_in,
            created_at_ms: 1,
            changed_at_ms: 2,
        }),
        node: Some(Arc::new(NodeRow {
            id: node,
            name: "bench".to_owned(),
            labels: hello.labels,
            session: SessionCounter {
                issued: 3,
                confirmed: 3,
            },
            run_id: hello.run_id,
            machine_boot_id: hello.machine_boot_id,
            outbox: Outbox {
                id: hello.outbox,
                seq: 0,
            },
            last_seen_ms: 0,
            plugins: Vec::new(),
            host_version: hello.host_version,
            connection: Connection::Connected,
        })),
    }
}

#[test]
fn the_state_is_what_is_known_now() {
    use Desired::{Running as Run, Stopped as Stop};
    use Reach::{Offline, Online};
    use Standing::Wanted;
    use WorkloadState::{
        Exited, Failed, Lost, Pending, Restarting, Running, Starting, Stopping, Unknown,
    };
    for (desired, standing, reported, session, reach, want) in [
        // Nothing was reported yet.
        (Run, Wanted, None, 0, Online, Pending),
        (Run, Wanted, None, 0, Offline, Pending),
        (Run, GONE, None, 0, Online, Pending),
        // What was reported is about this intent.
        (Run, Wanted, Some((5, Starting)), 3, Online, Starting),
        (Run, Wanted, Some((5, Running)), 3, Online, Running),
        (Run, Wanted, Some((5, Restarting)), 3, Online, Restarting),
        (Run, Wanted, Some((5, Unknown)), 3, Online, Unknown),
        (Run, Wanted, Some((5, Failed)), 3, Online, Failed),
        (Run, Wanted, Some((5, Lost)), 3, Online, Lost),
        // It is about an earlier one.
        (Stop, Wanted, Some((4, Running)), 3, Online, Stopping),
        (Stop, Wanted, Some((4, Starting)), 3, Online, Stopping),
        (Stop, Wanted, Some((5, Running)), 3, Online, Stopping),
        (Stop, Wanted, Some((4, Restarting)), 3, Online, Stopping),
        (Run, Wanted, Some((4, Restarting)), 3, Online, Pending),
        (Stop, Wanted, Some((4, Exited)), 3, Online, Exited),
        (Run, GONE, Some((4, Running)), 3, Online, Stopping),
        (Run, GONE, Some((4, Failed)), 3, Online, Failed),
        (Run, Wanted, Some((4, Exited)), 3, Online, Pending),
        (Run, Wanted, Some((4, Stopping)), 3, Online, Pending),
        // It was said in an earlier session, or the node is away.
        (Run, Wanted, Some((5, Running)), 2, Online, Unknown),
        (Run, Wanted, Some((5, Running)), 3, Offline, Unknown),
        (Stop, Wanted, Some((4, Running)), 3, Offline, Unknown),
        (Run, GONE, Some((4, Running)), 3, Offline, Unknown),
        // What has ended stays ended.
        (Run, Wanted, Some((5, Exited)), 2, Offline, Exited),
        (Run, Wanted, Some((5, Failed)), 2, Online, Failed),
        (Run, Wanted, Some((4, Exited)), 2, Offline, Pending),
    ] {
        let case = format!("{desired:?} {standing:?} {reported:?} {session} {reach:?}");
        let shown = view(&found(desired, standing, reported, session), reach).unwrap();
        assert_eq!(shown.state, want, "{case}");
        assert_eq!(shown.exit_code, want.has_ended().then_some(7), "{case}");
        assert_eq!(
            shown.finished_at_ms,
            want.has_ended().then_some(9),
            "{case}"
        );
        assert_eq!(
            shown.observed_generation,
            reported.map(|(generation, _)| Generation(generation)),
            "{case}"
        );
        assert_eq!(shown.removing, standing != Wanted, "{case}");
        let says_away = shown
            .message
            .as_ref()
            .is_some_and(|message| message.contains("not connected"));
        assert_eq!(
            says_away,
            reach == Offline && !want.has_ended(),
            "{case}: {:?}",
            shown.message
        );
    }
}

#[test]
fn a_spec_is_refused_with_every_reason_at_once() {
    for (sent, want) in [
        (
            json!({"command": ["a", "$(PORT_HTTP)", "$$(X)"], "ports": {"http": 0}, "env": {"A": "$(PORT_HTTP)"}}),
            vec![],
        ),
        (
            json!({"command": ["$(PORT_HTTP)"]}),
            vec![("unknown-variable", "/command/0")],
        ),
        (
            json!({"command": ["a", "$(PORT"]}),
            vec![("unclosed-variable", "/command/1")],
        ),
        (
            json!({"command": ["a\0"], "env": {"A": "\0"}}),
            vec![("nul-byte", "/command/0"), ("nul-byte", "/env/A")],
        ),
        (
            json!({"env": {"": "x"}}),
            vec![("invalid-env-name", "/env/")],
        ),
        (
            json!({"env": {"A=B": "x"}}),
            vec![("invalid-env-name", "/env/A=B")],
        ),
        (
            json!({"env": {"FLEET_ID": "x", "PORT_X": "y", "a/b": "$(N)"}}),
            vec![
                ("reserved-env-name", "/env/FLEET_ID"),
                ("reserved-env-name", "/env/PORT_X"),
                ("unknown-variable", "/env/a~1b"),
            ],
        ),
        (
            json!({"labels": {"": "x"}}),
            vec![("invalid-label", "/labels/")],
        ),
    ] {
        let reasons = admit::spec(&spec(sent.clone()));
        let got: Vec<_> = reasons
            .iter()
            .map(|error| (error.code.as_str(), error.details["pointer"].as_str()))
            .collect();
        assert_eq!(got, want, "{sent}");
    }
    let many: Vec<_> = (0..100).map(|_| "$(X)").collect();
    assert_eq!(admit::spec(&spec(json!({"command": many}))).len(), 20);
}

#[test]
fn config_is_judged_by_the_backends_schema_and_pointed_at() {
    let schemas = admit::Schemas::default();
    let mock = plugin("mock", PluginState::Active);
    for (config, want) in [
        (json!({}), vec![]),
        (json!({"delay_ms": 5}), vec![]),
        (json!({"delay_ms": -1}), vec!["/config/delay_ms"]),
        (
            json!({"delay_ms": "soon", "dely": 1}),
            vec!["/config/delay_ms", "/config"],
        ),
    ] {
        let reasons = schemas.judge(&spec(json!({"backend": "mock", "config": config})), &mock);
        let mut got: Vec<_> = reasons
            .iter()
            .map(|error| error.details["pointer"].as_str())
            .collect();
        got.sort_by_key(|pointer| std::cmp::Reverse(pointer.len()));
        assert_eq!(got, want, "{config}");
        for reason in &reasons {
            assert_eq!(reason.code, "invalid-config");
            assert!(
                reason.message.starts_with("/config")
                    && reason.message.contains("plugin show mock"),
                "{reason}"
            );
        }
    }
    let silent = fleet_model::plugin::Plugin {
        config_schema: None,
        ..mock.clone()
    };
    assert_eq!(
        schemas.judge(&spec(json!({"config": {"a": 1}})), &silent)[0].code,
        "invalid-config"
    );
    let broken = fleet_model::plugin::Plugin {
        config_schema: Some(json!({"type": "nonsense"})),
        ..mock
    };
    assert_eq!(
        schemas.judge(&spec(json!({})), &broken)[0].code,
        "backend-schema"
    );
}

/// Reasons as code and pointer.
fn reasons(sent: &Value) -> Vec<(String, String)> {
    let reasons = admit::spec(&spec(sent.clone()));
    reasons
        .iter()
        .map(|error| (error.code.clone(), error.details["pointer"].clone()))
        .collect()
}

#[test]
fn what_cannot_be_held_started_or_written_is_refused_with_its_range() {
    let some = |count: usize| -> Value {
        let entries = (0..count).map(|number| (format!("k{number}"), json!("v")));
        Value::Object(entries.collect())
    };
    let ports = |count: usize| -> Value {
        let entries = (0..count).map(|number| (format!("p{number}"), json!(0)));
        Value::Object(entries.collect())
    };
    let secrets = |count: usize| -> Value {
        let entries = (0..count).map(|number| {
            (
                format!("K{number}"),
                json!({"secret": format!("s{number}")}),
            )
        });
        Value::Object(entries.collect())
    };
    let x = |bytes: usize| "x".repeat(bytes);
    let base64 = |bytes: usize| "AAAA".repeat(bytes / 3) + ["", "AA==", "AAA="][bytes % 3];
    const KIB: usize = 1024;
    for (sent, want) in [
        // Limits.
        (
            json!({"limits": {"memory": "1MiB", "processes": 1, "disk": "1MiB", "log": "128KiB", "cpu": 0.01}}),
            vec![],
        ),
        (
            json!({"limits": {"log": "16GiB", "memory": "999TiB"}}),
            vec![],
        ),
        (
            json!({"limits": {"memory": "1048575B"}}),
            vec![("invalid-limit", "/limits/memory")],
        ),
        (
            json!({"limits": {"processes": 0, "disk": "0B", "log": "131071B"}}),
            vec![
                ("invalid-limit", "/limits/disk"),
                ("invalid-limit", "/limits/log"),
                ("invalid-limit", "/limits/processes"),
            ],
        ),
        (
            json!({"limits": {"log": "17GiB"}}),
            vec![("invalid-limit", "/limits/log")],
        ),
        // Ttl.
        (json!({"ttl": "1s"}), vec![]),
        (json!({"ttl": "10years"}), vec![]),
        (json!({"ttl": "999ms"}), vec![("invalid-ttl", "/ttl")]),
        (json!({"ttl": "10years 1ms"}), vec![("invalid-ttl", "/ttl")]),
        // Counts.
        (
            json!({"labels": some(64), "ports": ports(64), "env": secrets(64)}),
            vec![],
        ),
        (
            json!({"labels": some(65), "ports": ports(65), "env": secrets(65)}),
            vec![
                ("too-many", "/ports"),
                ("too-many", "/labels"),
                ("too-many", "/env"),
            ],
        ),
        (
            json!({"command": vec!["a"; 16_385]}),
            vec![("too-many", "/command")],
        ),
        (json!({"env": some(4_097)}), vec![("too-many", "/env")]),
        // What Linux starts: one string, and all together.
        (
            json!({"command": ["a", x(128 * KIB - 1)], "env": {"A": x(128 * KIB - 3)}}),
            vec![],
        ),
        (
            json!({"command": ["a", x(128 * KIB)]}),
            vec![("argument-too-large", "/command/1")],
        ),
        (
            json!({"env": {"A": x(128 * KIB - 2)}}),
            vec![("argument-too-large", "/env/A")],
        ),
        (json!({"command": vec![x(124 * KIB - 9); 16]}), vec![]),
        (
            json!({"command": vec![x(124 * KIB - 8); 16]}),
            vec![("start-too-large", "/command")],
        ),
        // Files.
        (
            json!({"files": {"a/b": "x", "a/c/d": {"base64": "AA=="}, "ab": {"secret": "s"}, ".env": ""}}),
            vec![],
        ),
        (
            json!({"files": {"/etc/x": "", "../x": {"base64": "!"}, "": ""}}),
            vec![
                ("bad-path", "/files/"),
                ("bad-path", "/files/..~1x"),
                ("invalid-base64", "/files/..~1x/base64"),
                ("bad-path", "/files/~1etc~1x"),
            ],
        ),
        (
            json!({"files": {"a": "", "a/b/c": "", "b/c": "", "b": ""}}),
            vec![
                ("file-clash", "/files/a~1b~1c"),
                ("file-clash", "/files/b~1c"),
            ],
        ),
        (
            json!({"files": {"a": {"base64": "AA"}}}),
            vec![("invalid-base64", "/files/a/base64")],
        ),
        (
            json!({"files": {"a": {"base64": "AA==\n"}}}),
            vec![("invalid-base64", "/files/a/base64")],
        ),
        (
            json!({"files": {"a": x(KIB * KIB - 1), "b": {"base64": base64(1)}}}),
            vec![],
        ),
        (
            json!({"files": {"a": x(KIB * KIB - 1), "b": {"base64": base64(2)}}}),
            vec![("files-too-large", "/files")],
        ),
        (json!({"files": some(256)}), vec![]),
        (json!({"files": some(257)}), vec![("too-many", "/files")]),
    ] {
        let want: Vec<_> = want
            .iter()
            .map(|(code, pointer): &(&str, &str)| ((*code).to_owned(), (*pointer).to_owned()))
            .collect();
        let shown: String = sent.to_string().chars().take(120).collect();
        assert_eq!(reasons(&sent), want, "{shown}");
    }
    let large = admit::spec(&spec(json!({"env": {"A": x(128 * KIB)}})));
    assert!(large[0].message.contains("`files`"), "{}", large[0]);
}

#[test]
fn a_glance_sees_what_the_intent_says_and_a_tombstone_wants_nothing() {
    let sent = json!({
        "backend": "mock",
        "env": {"A": "text", "B": {"secret": "one"}},
        "files": {"a": "text", "b": {"base64": "AA=="}, "c": {"secret": "two", "mode": "0400"}, "d": {"secret": "one"}},
        "ports": {"http": 0, "dns": 53}
    });
    let row = |standing| {
        let mut row = ItemRow::clone(&found(Desired::Stopped, standing, None, 0).item);
        row.intent["spec"] = serde_json::to_value(spec(sent.clone())).unwrap();
        row
    };
    let wanted = row(Standing::Wanted);
    let glance = Glance::of(&wanted).unwrap();
    assert_eq!((glance.name, glance.backend()), ("web", "mock"));
    assert_eq!(Vec::from_iter(glance.secrets()), ["one", "two"]);
    assert_eq!(Vec::from_iter(glance.fixed_ports()), [53]);
    let tombstone = row(GONE);
    assert_eq!(Glance::of(&tombstone).unwrap().name, "web");
    assert!(Glance::wanted(&tombstone).is_none() && Glance::wanted(&wanted).is_some());
    let other = ItemRow {
        id: "group-key/a".parse().unwrap(),
        ..wanted
    };
    assert!(Glance::of(&other).is_none());
}

#[test]
fn one_that_waits_to_be_started_again_shows_how_it_ended() {
    let mut found = found(
        Desired::Running,
        Standing::Wanted,
        Some((5, WorkloadState::Restarting)),
        3,
    );
    let item = Arc::make_mut(&mut found.item);
    item.status.as_mut().unwrap().detail["exit"] = json!({"code": 3, "at_ms": 4});
    let shown = view(&found, Reach::Online).unwrap();
    assert_eq!(
        (shown.state, shown.exit_code, shown.finished_at_ms),
        (WorkloadState::Restarting, Some(3), Some(4))
    );
}
