//! A plugin's record through swaps, proofs and ways back.

use fleet_model::swap::{CallCounts, HandleCounts, SwapCause, SwapKind, SwapVerdict};

use super::*;

fn stamp(component: &str, manifest: &str) -> Stamp {
    Stamp {
        id: GenerationId {
            component: Digest::of(component.as_bytes()),
            manifest: Digest::of(manifest.as_bytes()),
        },
        version: component.to_owned(),
        writes: 1,
        reads: vec![1],
    }
}

fn g(number: u32) -> Stamp {
    stamp(&format!("g{number}"), &format!("m{number}"))
}

fn report() -> SwapReport {
    SwapReport {
        id: 1,
        plugin: "mock".into(),
        node: String::new(),
        kind: SwapKind::Swap,
        cause: SwapCause::Upload,
        request: None,
        dry_run: false,
        one_way: false,
        at_ms: 0,
        took_ms: 0,
        active_after_ms: None,
        file: None,
        from: None,
        to: None,
        stages: Vec::new(),
        handles: HandleCounts::default(),
        failed_handles: Vec::new(),
        configs: 0,
        calls: CallCounts::default(),
        verdict: SwapVerdict::Active,
        reason: None,
        remarks: Vec::new(),
        probation_ms: None,
    }
}

fn first() -> Record {
    Record::installed(&"mock".parse().unwrap(), "mock.wasm", g(1))
}

fn to(stamp: Stamp) -> Swapped {
    Swapped {
        to: stamp,
        seen: None,
        one_way: false,
        on_probation: true,
        kept: Vec::new(),
        report: report(),
    }
}

fn versions(stamps: &[Stamp]) -> Vec<&str> {
    stamps.iter().map(|stamp| stamp.version.as_str()).collect()
}

#[test]
fn a_swap_goes_on_probation_and_the_way_back_leads_to_the_last_proven() {
    let first = first();
    assert_eq!(first.way_back(), Err(NoWayBack::NothingProven));
    let second = first.swapped(to(g(2)));
    assert_eq!(second.way_back(), Ok(&g(1)));
    // One on probation is never what is put back.
    let third = second.swapped(to(g(3)));
    assert_eq!(third.way_back(), Ok(&g(1)));
    assert_eq!(versions(&third.proven), ["g1"]);
    let proven = third.proven();
    assert_eq!(versions(&proven.proven), ["g3", "g1"]);
    assert_eq!(proven.way_back(), Ok(&g(1)));
    assert_eq!(proven.fallback(), Some(&g(3)));
}

#[test]
fn a_rollback_bans_what_it_leaves_and_leads_to_what_is_proven() {
    let second = first().swapped(to(g(2)));
    let back = second.rolled_back(&g(1), "it trapped", 7);
    assert_eq!((&back.active, &back.probation), (&g(1), &None));
    assert_eq!(versions(&back.proven), ["g1"]);
    let ban = back.ban(g(2).id).unwrap();
    assert_eq!((ban.reason.as_str(), ban.at_ms), ("it trapped", 7));
    // Whatever manifest comes with it.
    assert!(back.ban(stamp("g2", "another").id).is_some());
    assert!(back.ban(g(1).id).is_none());
    assert_eq!(back.quarantined()[0].manifest, None);
    let allowed = back.allowed(g(2).id.component);
    assert!(allowed.ban(g(2).id).is_none());
    assert!(allowed.quarantined().is_empty());
}

#[test]
fn of_one_component_under_two_manifests_the_proven_pair_is_not_banned() {
    let good = stamp("g1", "m1");
    let bad = stamp("g1", "m2");
    let back = first().swapped(to(bad.clone())).rolled_back(&good, "x", 0);
    assert!(back.ban(bad.id).is_some());
    assert!(back.ban(good.id).is_none());
}

#[test]
fn a_rollback_of_what_has_proven_itself_goes_one_further_back() {
    let third = first()
        .swapped(to(g(2)))
        .proven()
        .swapped(to(g(3)))
        .proven();
    assert_eq!(third.way_back(), Ok(&g(2)));
    let second = third.rolled_back(&g(2), "x", 0);
    assert_eq!(second.way_back(), Ok(&g(1)));
    let first = second.rolled_back(&g(1), "x", 0);
    assert_eq!(first.way_back(), Err(NoWayBack::NothingProven));
    assert_eq!(first.quarantine.len(), 2);
}

#[test]
fn a_swap_to_what_would_be_put_back_needs_no_probation() {
    let back = first().swapped(to(g(2))).swapped(to(g(1)));
    assert_eq!(back.probation, None);
    assert_eq!(versions(&back.proven), ["g1"]);
    assert!(back.quarantine.is_empty());
}

#[test]
fn there_is_no_way_back_from_a_one_way_swap() {
    let one_way = first().swapped(Swapped {
        one_way: true,
        ..to(g(2))
    });
    assert_eq!(one_way.way_back(), Err(NoWayBack::OneWay));
    assert_eq!(one_way.probation, Some(Probation { fallback: None }));
    // What comes after it on probation has nothing to go back to either.
    let next = one_way.swapped(to(g(3)));
    assert_eq!(next.way_back(), Err(NoWayBack::NothingProven));
    // Once it has proven itself it is a place to go back to.
    let proven = one_way.proven();
    assert_eq!(versions(&proven.proven), ["g2"]);
    let next = proven.swapped(to(g(3)));
    assert_eq!(next.way_back(), Ok(&g(2)));
}

#[test]
fn without_probation_it_is_trusted_at_once() {
    let second = first().swapped(Swapped {
        on_probation: false,
        ..to(g(2))
    });
    assert_eq!(second.probation, None);
    assert_eq!(versions(&second.proven), ["g2", "g1"]);
}

#[test]
fn some_are_remembered_and_their_copies_kept() {
    let mut record = first();
    for number in 2..=6 {
        record = record.swapped(to(g(number))).proven();
    }
    assert_eq!(versions(&record.proven), ["g6", "g5", "g4"]);
    let last = record.swapped(Swapped {
        kept: vec![g(9)],
        ..to(g(7))
    });
    let used: std::collections::BTreeSet<_> = last.used().collect();
    for number in [4, 5, 6, 7, 9] {
        assert!(used.contains(&g(number).id.component), "{number}");
        assert!(used.contains(&g(number).id.manifest), "{number}");
    }
    assert_eq!(used.len(), 10);
}

#[test]
fn what_cannot_be_loaded_is_replaced_and_not_banned() {
    let second = first().swapped(to(g(2))).proven();
    let first = second.replaced(&g(1));
    assert_eq!(
        (&first.active, versions(&first.proven)),
        (&g(1), vec!["g1"])
    );
    assert!(first.quarantine.is_empty());
}

#[test]
fn it_reads_back() {
    let mut record = first().swapped(Swapped {
        seen: Some(("mock.wasm".into(), g(2).id)),
        ..to(g(2))
    });
    record = record.rolled_back(&g(1), "x", 3).swapped(to(g(3)));
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    assert!(text.contains("sha256:"), "{text}");
}

#[test]
fn what_is_installed_over_what_cannot_be_loaded_forgets_nothing_of_it() {
    let other = Stamp {
        writes: 7,
        reads: vec![7],
        ..g(9)
    };
    let lost = first()
        .swapped(to(g(2)))
        .rolled_back(&g(1), "x", 0)
        .swapped(Swapped {
            kept: vec![other.clone()],
            ..to(g(3))
        });
    // What served comes back as it was: it has proven nothing by not being loaded.
    let same = lost.installed_again("other.wasm", g(3), false, true);
    assert_eq!(same.seen["other.wasm"], g(3).id);
    let file = "other.wasm".to_owned();
    let seen = same.seen.clone();
    assert_eq!(
        same,
        Record {
            file,
            seen,
            ..lost.clone()
        }
    );
    // Something else is on probation, and the way back is the one there was.
    let again = lost.installed_again("other.wasm", g(4), false, true);
    assert!(again.ban(g(2).id).is_some());
    assert_eq!((&again.active, again.way_back()), (&g(4), Ok(&g(1))));
    assert_eq!(versions(&again.proven), ["g1"]);
    assert_eq!(again.kept, std::slice::from_ref(&other));
    // Also from one that had proven itself, and where nothing needs proof.
    let again = lost.proven().installed_again("x.wasm", g(4), false, true);
    assert_eq!(again.way_back(), Ok(&g(3)));
    let trusted = lost.installed_again("x.wasm", g(4), false, false);
    assert_eq!(versions(&trusted.proven), ["g4", "g1"]);
    // What reads everything needs no other code; without a common schema there is no way back.
    let reader = Stamp {
        reads: vec![1, 7],
        ..g(5)
    };
    assert!(
        lost.installed_again("x.wasm", reader, false, true)
            .kept
            .is_empty()
    );
    let one_way = lost.installed_again("x.wasm", g(4), true, true);
    assert_eq!(one_way.way_back(), Err(NoWayBack::OneWay));
}
