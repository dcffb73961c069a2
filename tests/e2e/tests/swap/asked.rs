//! What is asked for by command: a trial, a swap, the way back, and what is refused before it begins.

use std::process::Stdio;

use fleet_e2e::{Ran, wait_for};
use serde_json::{Value, json};

use crate::support::{Bench, Version};

#[test]
fn a_trial_changes_nothing_a_swap_is_taken_and_the_way_back_quarantines() {
    let bench = Bench::new(&["mock"], &[]);
    bench.played("long", &[]).ok();
    let (first, next) = (bench.active("mock"), Version::next("mock"));

    let trial = bench.swap("mock", &next, &["--dry-run"]).ok();
    assert!(trial.stdout.contains("it would be taken"), "{trial:?}");
    assert!(trial.stdout.contains("1 of 1 adopted"), "{trial:?}");
    assert_eq!(bench.active("mock")["digest"], first["digest"]);

    let said = bench.swap("mock", &next, &[]).ok();
    assert_eq!(
        said.stderr, "",
        "a command that succeeds complains about nothing"
    );
    for word in [
        "verdict:   active",
        "0.1.0 -> 0.1.0+next",
        "verified",
        "adopted",
        "1 of 1 adopted",
        "probation: 60 s",
    ] {
        assert!(said.stdout.contains(word), "{word}: {said:?}");
    }
    let active = wait_for("its probation", 20, || {
        let row = bench.active("mock");
        let is_so = row["version"] == "0.1.0+next" && row["probation_until_ms"].is_u64();
        is_so.then_some(row)
    });
    let table = bench.host.cli(["plugin", "ls"]).ok().stdout;
    assert!(table.contains("on probation"), "{table}");

    let again = bench.swap("mock", &next, &[]);
    assert_eq!(again.code, 4, "{again:?}");
    assert!(
        again.stderr.contains("already active: same digest"),
        "{again:?}"
    );

    let back = bench
        .host
        .cli(["plugin", "rollback", "mock", "--output", "json"])
        .ok()
        .json();
    assert_eq!(
        (&back["kind"], &back["cause"], &back["verdict"]),
        (&json!("rollback"), &json!("operator"), &json!("active"))
    );
    bench.listed("mock", &first["digest"]);
    let refused = bench.swap("mock", &next, &[]);
    assert_eq!(refused.code, 4, "{refused:?}");
    assert!(refused.stderr.contains("quarantine"), "{refused:?}");
    wait_for("the quarantine to be shown", 20, || {
        let shown = bench.host.cli(["plugin", "show", "mock"]).ok().stdout;
        let kept_out = |line: &str| line.starts_with("newcomers:") && line.contains("quarantined");
        shown.lines().any(kept_out).then_some(())
    });
    let digest = active["digest"].as_str().unwrap();
    let allowed = bench
        .host
        .cli(["plugin", "unquarantine", &digest[..12]])
        .ok();
    assert!(allowed.stdout.starts_with("mock 0.1.0+next"), "{allowed:?}");
    bench.swapped("mock", &next);

    let history = bench.history("mock");
    let told: Vec<_> = history
        .iter()
        .map(|report| {
            (
                report["kind"].as_str().unwrap(),
                report["verdict"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("swap", "active"),
            ("rollback", "active"),
            ("swap", "active"),
            ("swap", "dry-run")
        ]
    );
    let ids: Vec<_> = history.iter().map(|report| report["id"].as_u64()).collect();
    assert!(ids.is_sorted_by(|one, other| one > other), "{ids:?}");
    for (kind, count) in [
        ("plugin.swapped", 2),
        ("plugin.rolled-back", 1),
        ("plugin.unquarantined", 1),
    ] {
        wait_for(kind, 20, || {
            (bench.events(kind, "mock").len() == count).then_some(())
        });
    }
    let _ = bench.host.wait_state("long", "running");
}

#[test]
fn nobody_is_taken_for_another_and_nothing_for_something() {
    let bench = Bench::new(&["mock"], &[]);
    let next = Version::next("mock");
    for (name, version, flags, code, words) in [
        ("nobody", &next, &[][..], 3, "plugin ls"),
        ("mock", &next, &["--node", "elsewhere"], 3, "plugin ls"),
    ] {
        let refused = bench.swap(name, version, flags);
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
    let missing = bench.host.cli(["plugin", "swap", "mock", "/nowhere.wasm"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    let back = bench.host.cli(["plugin", "rollback", "mock"]);
    assert_eq!(back.code, 4, "{back:?}");
    let unknown = bench.host.cli(["plugin", "unquarantine", "0123456789ab"]);
    assert_eq!(unknown.code, 3, "{unknown:?}");
    let history = bench.host.cli(["plugin", "history", "nobody"]);
    assert_eq!(history.code, 3, "{history:?}");
    assert_eq!(bench.history("mock"), Vec::<Value>::new());
}

#[test]
fn a_swap_goes_on_when_nobody_waits_and_a_second_one_meanwhile_is_refused() {
    let bench = Bench::new(&["mock", "native"], &[]);
    // One that nobody has compiled yet takes its time.
    let fresh = Version::next("native").salted(&format!("{}", std::process::id()));
    let file = fresh.write(&bench.host.scratch().join("fresh"), "native");
    let mut waiting = bench
        .host
        .command_of(["plugin", "swap", "native", file.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the swap to begin", 30, || {
        let row = bench.active("native");
        row["swapping"].is_object().then_some(())
    });
    waiting.kill().unwrap();
    waiting.wait().unwrap();
    let second = bench.swap("native", &Version::next("native"), &[]);
    // Another plugin has its own turn.
    bench.swapped("mock", &Version::next("mock"));
    let ended = wait_for("the swap to end", 60, || {
        let history = bench.history("native");
        let first = history.last()?.clone();
        (first["verdict"] == "active").then_some(first)
    });
    assert_eq!(ended["cause"], "upload", "{ended:#}");
    bench.listed("native", &ended["to"]["digest"]);
    assert_eq!(second.code, 4, "{second:?}");
    assert!(second.stderr.contains("native"), "{second:?}");
}

#[test]
fn curl_brings_a_component_as_it_is_or_with_its_manifest() {
    let bench = Bench::new(&["mock"], &[]);
    let folder = bench.host.scratch().join("versions");
    Version::next("mock").write(&folder, "mock");
    let url = format!("{}/api/v1/plugins/mock/swap", bench.host.url());
    let token = format!("Authorization: Bearer {}", bench.host.token());
    let curl = |words: &[&str]| -> Value {
        let mut command = std::process::Command::new("curl");
        let command = command.args(["-sS", "-H", &token]).args(words).arg(&url);
        Ran::from(&command.current_dir(&folder).output().unwrap())
            .ok()
            .json()
    };
    let form = ["-F", "component=@mock.wasm", "-F", "manifest=@mock.toml"];
    let key = ["-H", "Idempotency-Key: once"];
    let taken = curl(&[&form[..], &key].concat());
    assert_eq!(taken["verdict"], "active", "{taken:#}");
    let again = curl(&[&form[..], &key].concat());
    assert_eq!(again, taken, "one key, one swap, one report");
    // The manifest that is active says another version than this component.
    Version::shipped("mock").write(&folder, "mock");
    let bare = curl(&["--data-binary", "@mock.wasm"]);
    assert_eq!(
        (&bare["verdict"], &bare["reason"]["code"]),
        (&json!("rejected"), &json!("describe")),
        "{bare:#}"
    );
    let salted = Version::next("mock").salted("bare");
    salted.write(&folder, "mock");
    let bare = curl(&["--data-binary", "@mock.wasm"]);
    assert_eq!(bare["verdict"], "active", "{bare:#}");
    let problem = curl(&["--data-binary", ""]);
    assert_eq!(problem["code"], "no-component", "{problem:#}");
}
