//! Versions that are no good: each is refused with its reason, and nothing else has changed.

use fleet_e2e::wait_for;
use serde_json::Value;

use crate::guest::{Guest, Said};
use crate::support::{Bench, Version};

/// A version of `mock` made on the spot.
fn made(guest: &Guest, more: &str) -> Version {
    Version {
        component: guest.component(),
        manifest: guest.manifest(more),
    }
}

fn mock() -> Guest {
    Guest::new("mock").version("0.2.0")
}

/// Returns when the one row of a newcomer beside the active one says this, as people read it.
fn until_listed(bench: &Bench, reason: &str) {
    wait_for(reason, 20, || {
        let table = bench.host.cli(["plugin", "ls"]).ok().stdout;
        let rows: Vec<&str> = table
            .lines()
            .filter(|line| line.starts_with("mock ") && line.contains(" rejected "))
            .collect();
        let [row] = rows[..] else {
            assert!(rows.is_empty(), "{table}");
            return None;
        };
        row.contains(reason).then_some(())
    });
}

#[test]
fn each_bad_version_is_refused_with_its_reason_and_what_runs_goes_on() {
    let bench = Bench::new(&["mock"], &[]);
    bench.played("long", &[]).ok();
    let first = bench.active("mock");
    let shipped = Version::shipped("mock");
    let junk = Version {
        component: b"\0asm\x01\0\0\0".to_vec(),
        ..shipped.clone()
    };
    let strict = Guest {
        schema: r#"{"type":"object","required":["never"]}"#.to_owned(),
        ..mock()
    };
    let cases: [(&str, Version, &str); 9] = [
        ("a core module", junk, "bad-component"),
        (
            "one that traps when it is asked what it is",
            made(&mock().with("describe", "unreachable"), ""),
            "describe",
        ),
        (
            "one that says another name than its manifest",
            made(&Guest::new("other"), "").manifest("\"other\"", "\"mock\""),
            "describe",
        ),
        (
            "one of another name",
            made(&Guest::new("other"), ""),
            "other-name",
        ),
        (
            "one that traps when it is shown what runs",
            made(&mock().with("recover", "unreachable"), ""),
            "adoption",
        ),
        (
            "one for which what runs is lost",
            made(&mock().knowing(Said::Lost), ""),
            "adoption",
        ),
        (
            "one that cannot read what the old one wrote",
            made(&mock().handles(2, &[2]), ""),
            "handle-schema",
        ),
        ("one that takes no live config", made(&strict, ""), "config"),
        (
            "one that asks for what is not granted",
            shipped
                .clone()
                .salted("more")
                .manifest("clock = true", "clock = true\nendpoints = [\"docker\"]"),
            "needs-grant",
        ),
    ];
    for (what, version, code) in cases {
        let refused = bench.swap("mock", &version, &["--output", "json"]);
        assert_eq!(refused.code, 4, "{what}: {refused:?}");
        let report = refused.json();
        assert_eq!(
            (&report["verdict"], &report["reason"]["code"]),
            (&Value::from("rejected"), &Value::from(code)),
            "{what}: {report:#}"
        );
        let told = report["reason"]["message"].as_str().unwrap();
        let first_words: String = told
            .split_whitespace()
            .take(4)
            .collect::<Vec<_>>()
            .join(" ");
        until_listed(&bench, &first_words);
        assert!(refused.stderr.contains(&first_words), "{what}: {refused:?}");

        let active = bench.active("mock");
        assert_eq!(active["digest"], first["digest"], "{what}");
        let _ = bench.host.wait_state("long", "running");
        bench.played("short", &[]).ok();
        bench.host.cli(["workload", "rm", "short"]).ok();
    }
    let shown = bench.host.cli(["plugin", "show", "mock"]).ok().stdout;
    assert!(shown.contains("newcomers:"), "{shown}");
    let history = bench.history("mock");
    assert_eq!(history.len(), 9);
    // A good one takes the bad ones' row away.
    bench.swapped("mock", &Version::next("mock"));
    wait_for("the row to go", 20, || {
        (bench.rows("mock").len() == 1).then_some(())
    });
}

#[test]
fn what_asks_for_more_is_told_the_line_to_add() {
    let bench = Bench::new(&["mock"], &[]);
    let more = Version::shipped("mock")
        .salted("more")
        .manifest("clock = true", "clock = true\nsecrets = [\"*\"]");
    let refused = bench.swap("mock", &more, &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    for word in ["grants.toml", "secrets"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
}

#[test]
fn an_older_version_is_taken_and_said_to_be_older() {
    let bench = Bench::new(&["mock"], &[]);
    let older = Guest::new("mock").version("0.0.9");
    let report = bench.swapped("mock", &made(&older, ""));
    let remarks = report["remarks"].to_string();
    assert!(
        remarks.contains("0.1.0") && remarks.contains("0.0.9"),
        "{remarks}"
    );
}

#[test]
fn where_there_is_no_way_back_it_must_be_said() {
    let bench = Bench::new(&["mock"], &[]);
    // Nothing runs, so only the way back is at stake.
    let version = made(&mock().handles(7, &[7]), "");
    let refused = bench.swap("mock", &version, &["--output", "json"]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert_eq!(refused.json()["reason"]["code"], "one-way");
    assert!(refused.stderr.contains("--one-way"), "{refused:?}");
    let taken = bench.swap("mock", &version, &["--one-way", "--output", "json"]);
    assert_eq!(taken.ok().json()["one_way"], true);
    let back = bench.host.cli(["plugin", "rollback", "mock"]);
    assert_eq!(back.code, 4, "{back:?}");
}

#[test]
fn a_component_over_the_cap_does_not_even_arrive() {
    let bench = Bench::new(&["mock"], &[]);
    let file = bench.host.scratch().join("large.wasm");
    let large = std::fs::File::create(&file).unwrap();
    large.set_len((64 << 20) + 1).unwrap();
    let refused = bench
        .host
        .cli(["plugin", "swap", "mock", file.to_str().unwrap()]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(refused.stderr.contains("the most"), "{refused:?}");
    assert!(bench.history("mock").is_empty());
}
