//! The decisions about newcomers, by table.

use fleet_model::driver::Exit;
use std::collections::BTreeMap;

use super::*;
use crate::digest::Digest;

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn id(component: &str, manifest: &str) -> GenerationId {
    GenerationId {
        component: Digest::of(component.as_bytes()),
        manifest: Digest::of(manifest.as_bytes()),
    }
}

fn stamp(version: &str, writes: u32, reads: &[u32]) -> Stamp {
    Stamp {
        id: id(version, version),
        version: version.to_owned(),
        writes,
        reads: reads.to_vec(),
    }
}

#[test]
fn a_file_is_somebodys() {
    let (mock, other) = (name("mock"), name("other"));
    let arrival = Arrival {
        file: "mock.wasm",
        name: Some(&mock),
        brought: None,
        brought_by: None,
        is_that_there: false,
        has_twins: false,
    };
    let code = |whose: Whose| match whose {
        Whose::Object(plugin, refused) => format!("{plugin} {}", refused.code.as_str()),
        other => format!("{other:?}"),
    };
    let serves = Arrival {
        brought: Some(&mock),
        brought_by: Some("mock.wasm"),
        is_that_there: true,
        ..arrival
    };
    for (arrival, want) in [
        (arrival, "Install"),
        (
            Arrival {
                has_twins: true,
                ..arrival
            },
            "Twins",
        ),
        (
            Arrival {
                name: None,
                ..arrival
            },
            "Install",
        ),
        (serves, "Offer(\"mock\")"),
        (
            Arrival {
                name: None,
                ..serves
            },
            "Offer(\"mock\")",
        ),
        // Twins of what serves are refused by themselves.
        (
            Arrival {
                has_twins: true,
                ..serves
            },
            "Offer(\"mock\")",
        ),
        (
            Arrival {
                name: Some(&other),
                brought_by: None,
                ..serves
            },
            "mock other-name",
        ),
        (
            Arrival {
                file: "twin.wasm",
                brought: None,
                ..serves
            },
            "mock name-taken",
        ),
        (
            Arrival {
                file: "twin.wasm",
                brought: None,
                is_that_there: false,
                ..serves
            },
            "Move(\"mock\")",
        ),
    ] {
        assert_eq!(code(whose(&arrival)), want, "{arrival:?}");
    }
}

#[test]
fn a_digest_is_a_request_when_it_appears() {
    let (old, new) = (id("old", "m"), id("new", "m"));
    for (found, same, seen, refused, want) in [
        (new, false, Some(old), None, Appearance::New),
        (new, false, None, None, Appearance::New),
        (old, true, Some(old), None, Appearance::Serves),
        // Another text of the same manifest.
        (id("old", "m2"), true, Some(old), None, Appearance::Serves),
        (id("old", "m2"), false, Some(old), None, Appearance::New),
        // Uploaded over it: the file does not win.
        (old, false, Some(old), None, Appearance::Known),
        (new, false, Some(old), Some(new), Appearance::Known),
    ] {
        assert_eq!(
            appearance(found, same, seen, refused),
            want,
            "{found:?} {seen:?}"
        );
    }
}

fn capability(name: &str, effective: bool, remedy: Option<&str>) -> Capability {
    Capability {
        name: name.to_owned(),
        requested: true,
        granted: effective.then(|| "yes".to_owned()),
        above_ceiling: !effective && remedy.is_none(),
        effective,
        remedy: remedy.map(str::to_owned),
    }
}

#[test]
fn asking_for_more_than_before_names_the_line_to_add() {
    let (log, clock) = (
        capability("log", true, None),
        capability("clock", false, Some("[mock]\nclock = true")),
    );
    let check = |serves: &[Capability], newcomer: &[Capability]| {
        new_needs(serves, newcomer, Path::new("/data/grants.toml"))
    };
    let ok = [
        (vec![], vec![log.clone()]),
        // It did without before.
        (vec![clock.clone()], vec![clock.clone(), log.clone()]),
        (vec![log.clone()], vec![]),
        (
            vec![],
            vec![Capability {
                requested: false,
                ..clock.clone()
            }],
        ),
    ];
    for (serves, newcomer) in ok {
        check(&serves, &newcomer).unwrap();
    }
    let refused = check(std::slice::from_ref(&log), &[log.clone(), clock.clone()]).unwrap_err();
    assert_eq!(refused.code, Code::NeedsGrant);
    for part in [
        "`clock`",
        "/data/grants.toml\n[mock]\nclock = true",
        "start the host again",
    ] {
        assert!(refused.message.contains(part), "{refused}");
    }
    // What served was granted it by digest.
    let was = capability("clock", true, None);
    assert!(check(&[was], std::slice::from_ref(&clock)).is_err());
    let above = capability("clock", false, None);
    let refused = check(&[], &[above]).unwrap_err();
    assert!(refused.message.contains("[ceiling]"), "{refused}");
}

#[test]
fn handles_are_written_in_what_both_read() {
    use Adoption::{Lenient, Strict};
    use SwapWay::{Back, OneWay};
    let plain = Schemas::default();
    let keeps = Schemas {
        keep_old: true,
        ..Schemas::default()
    };
    let old = stamp("1", 1, &[1]);
    for (serves, new, live, way, adoption, want) in [
        (
            &old,
            stamp("2", 1, &[1]),
            &[1][..],
            Back,
            Strict,
            Ok(plain.clone()),
        ),
        // It writes another and reads the old one as well.
        (
            &old,
            stamp("2", 2, &[1, 2]),
            &[1],
            Back,
            Strict,
            Ok(Schemas {
                write: Some(1),
                ..plain.clone()
            }),
        ),
        (
            &stamp("1", 1, &[1, 2, 3]),
            stamp("2", 4, &[1, 2, 4]),
            &[],
            Back,
            Strict,
            Ok(Schemas {
                write: Some(2),
                ..plain.clone()
            }),
        ),
        (
            &old,
            stamp("2", 2, &[2]),
            &[1],
            Back,
            Strict,
            Err(Code::HandleSchema),
        ),
        (
            &old,
            stamp("2", 2, &[2]),
            &[1],
            OneWay,
            Strict,
            Err(Code::HandleSchema),
        ),
        (
            &old,
            stamp("2", 2, &[2]),
            &[],
            Back,
            Strict,
            Err(Code::OneWay),
        ),
        (
            &old,
            stamp("2", 2, &[2]),
            &[],
            OneWay,
            Strict,
            Ok(Schemas {
                one_way: true,
                ..keeps.clone()
            }),
        ),
        (
            &old,
            stamp("2", 2, &[2]),
            &[1],
            OneWay,
            Lenient,
            Ok(Schemas {
                one_way: true,
                ..keeps.clone()
            }),
        ),
        // --one-way where there is a way back changes nothing.
        (
            &old,
            stamp("2", 1, &[1]),
            &[1],
            OneWay,
            Strict,
            Ok(plain.clone()),
        ),
        // What the active code does not read is served by other code already.
        (
            &old,
            stamp("2", 1, &[1]),
            &[7],
            Back,
            Strict,
            Ok(plain.clone()),
        ),
        // It goes back: nothing of the newer schema is in use, but some may come yet.
        (
            &stamp("2", 2, &[1, 2]),
            stamp("1", 1, &[1]),
            &[1],
            Back,
            Strict,
            Ok(keeps.clone()),
        ),
        (
            &stamp("2", 2, &[1, 2]),
            stamp("1", 1, &[1]),
            &[1, 2],
            Back,
            Strict,
            Err(Code::HandleSchema),
        ),
        (
            &stamp("2", 2, &[1, 2]),
            stamp("1", 1, &[1]),
            &[2],
            Back,
            Lenient,
            Ok(keeps.clone()),
        ),
    ] {
        let got = schemas(serves, Some(serves), &new, live, way, adoption);
        let got = got.map_err(|refused| refused.code);
        assert_eq!(
            got, want,
            "{serves:?} {new:?} {live:?} {way:?} {adoption:?}"
        );
    }
}

#[test]
fn what_is_put_back_need_not_be_what_serves() {
    let (proven, serves, new) = (
        stamp("1", 1, &[1]),
        stamp("2", 2, &[1, 2]),
        stamp("3", 2, &[1, 2]),
    );
    let decide =
        |back| schemas(&serves, back, &new, &[1], SwapWay::Back, Adoption::Strict).unwrap();
    assert_eq!(decide(Some(&proven)).write, Some(1));
    // Without a way back it writes its own.
    assert_eq!(decide(None), Schemas::default());
}

#[test]
fn a_handle_is_lost_where_the_old_code_knows_it_and_the_new_one_does_not() {
    let why = || "why".to_owned();
    let known = [
        (Known::Created, false, false),
        (Known::Running, true, false),
        (Known::Exited, true, false),
        (Known::Lost(why()), false, true),
        (Known::Unknown(why()), false, true),
        (Known::Error(why()), false, true),
        (Known::Recorded, true, false),
    ];
    for (was, was_known, _) in &known {
        for (is, _, is_unknown) in &known {
            assert_eq!(
                is_lost(was, is),
                *was_known && *is_unknown,
                "{was:?} {is:?}"
            );
        }
    }
}

#[test]
fn a_look_is_what_is_known() {
    for (state, word, reason) in [
        (RunState::Created, "created", ""),
        (RunState::Running, "running", ""),
        (
            RunState::Exited {
                exit: Exit::default(),
            },
            "exited",
            "",
        ),
        (RunState::Lost { reason: "a".into() }, "lost", "a"),
        (RunState::Unknown { reason: "b".into() }, "unknown", "b"),
    ] {
        let known = Known::of(&Observation {
            state,
            started_at_ms: None,
            attributes: BTreeMap::new(),
        });
        assert_eq!((known.as_str(), known.reason()), (word, reason));
    }
}

#[test]
fn other_code_stays_once_and_as_long_as_it_reads_what_the_next_does_not() {
    let (one, two, both) = (
        stamp("1", 1, &[1]),
        stamp("2", 2, &[2]),
        stamp("3", 2, &[1, 2]),
    );
    let kept = |next: &Stamp, others: &[&Stamp]| {
        let kept = kept_beside(next, others.iter().map(|&other| other.clone()));
        let versions: Vec<String> = kept.into_iter().map(|stamp| stamp.version).collect();
        versions.join(" ")
    };
    for (next, others, want) in [
        (&one, &[][..], ""),
        (&one, &[&both], "3"),
        // To and fro.
        (&one, &[&both, &both, &both], "3"),
        (&both, &[&one, &two, &both], ""),
        (&one, &[&one, &two], "2"),
        (&two, &[&both, &one], "3 1"),
    ] {
        assert_eq!(kept(next, others), want, "{} {others:?}", next.version);
    }
}

#[test]
fn a_start_tries_what_served_and_then_what_was_proven() {
    let (first, second, third) = (
        stamp("1", 1, &[1]),
        stamp("2", 1, &[1]),
        stamp("3", 1, &[1]),
    );
    let mut record = Record::installed(&name("mock"), "mock.wasm", first.clone());
    assert_eq!(revival(&record), std::slice::from_ref(&first));
    record.proven = vec![second.clone(), first.clone()];
    record.active = third.clone();
    record.probation = Some(crate::swap::record::Probation {
        fallback: Some(second.clone()),
    });
    assert_eq!(
        revival(&record),
        [third.clone(), second.clone(), first.clone()]
    );
    let banned = record.rolled_back(&second, "x", 0);
    assert_eq!(revival(&banned), [second, first]);
}

#[test]
fn going_back_is_worth_a_remark() {
    for (from, to, want) in [
        ("0.2.0", "0.1.0", true),
        ("0.10.0", "0.9.9", true),
        ("1.0", "0.9.1", true),
        ("0.1.0", "0.1.0", false),
        ("0.1.0", "0.1.0+next", false),
        ("0.1.0+next", "0.1.0", false),
        ("0.9.0", "0.10.0", false),
        ("abc", "abd", false),
    ] {
        assert_eq!(versions_remark(from, to).is_some(), want, "{from} {to}");
    }
}
