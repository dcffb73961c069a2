//! The kit against the shipped backends, and against `mock` with one bug at a time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "tests"
)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleet_capability::ShimCommand;
use fleet_conformance::{Kit, KitOptions, Outcome, Report};
use fleet_model::Error;
use fleet_plugin::{CompileCommand, Usual};
use fleet_seam::{Clock, SystemClock, SystemEntropy};
use futures::StreamExt;
use tempfile::TempDir;
use toml::{Table, Value};

/// What does the work of a shim and of a compiling child: cargo builds it before it runs the tests.
fn worker() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap();
    folder.join("examples/kit_worker")
}

/// Where the shipped plugins are: `FLEET_PLUGINS_DIR`, else `plugins` in the target folder.
fn plugins() -> PathBuf {
    let target = || {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(3).unwrap().join("plugins")
    };
    std::env::var_os("FLEET_PLUGINS_DIR").map_or_else(target, PathBuf::from)
}

/// All tests share what was compiled.
fn cache() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(3).unwrap().join("test-compile-cache")
}

fn options(file: PathBuf) -> KitOptions {
    KitOptions {
        file,
        grants: None,
        usual: Vec::new(),
        pattern: None,
        cache: Some(cache()),
        shim: ShimCommand {
            program: worker(),
            args: vec!["shim".into()],
        },
        compile: CompileCommand {
            program: worker(),
            args: vec!["compile".into()],
        },
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
    }
}

async fn tested(options: KitOptions) -> Report {
    let kit = Kit::open(options).await.unwrap();
    kit.run(std::future::pending()).await
}

/// The names of the cases with this result.
fn named(report: &Report, word: &str) -> BTreeSet<String> {
    let cases = report.cases.iter();
    cases
        .filter(|case| case.outcome.word() == word)
        .map(|case| case.case.clone())
        .collect()
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// What failed, with its reason, for the message of a failing test.
fn failures(report: &Report) -> String {
    let failed = report.cases.iter().filter_map(|case| match &case.outcome {
        Outcome::Failed(failure) => Some(format!("{}: {failure}\n", case.case)),
        _ => None,
    });
    failed.collect()
}

/// The shipped `mock` with another manifest.
struct Mock {
    folder: TempDir,
    manifest: Table,
}

impl Mock {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let read = |name: &str| std::fs::read(plugins().join(name)).unwrap();
        std::fs::write(folder.path().join("mock.wasm"), read("mock.wasm")).unwrap();
        let manifest = String::from_utf8(read("mock.toml")).unwrap();
        Self {
            folder,
            manifest: manifest.parse().unwrap(),
        }
    }

    /// The one at this path of the manifest; tables on the way are made.
    fn set(mut self, path: &[&str], value: impl Into<Value>) -> Self {
        let (last, way) = path.split_last().unwrap();
        let mut table = &mut self.manifest;
        for key in way {
            let entry = table.entry(*key).or_insert(Value::Table(Table::new()));
            table = entry.as_table_mut().unwrap();
        }
        table.insert((*last).to_owned(), value.into());
        self
    }

    /// With a register, so that it can be listed: it needs a launcher.
    fn listed(mut self) -> Self {
        let cannot = self.manifest["conformance"]["cannot"].as_table_mut();
        cannot.unwrap().remove("list");
        let launchers = Value::Array(vec!["dev".into()]);
        self.set(&["settings", "listed"], true)
            .set(&["capabilities", "process", "launchers"], launchers)
    }

    fn file(&self) -> PathBuf {
        let manifest = self.folder.path().join("mock.toml");
        std::fs::write(manifest, self.manifest.to_string()).unwrap();
        self.folder.path().join("mock.wasm")
    }
}

const NOT_FOR_MOCK: [&str; 10] = [
    "exec-input",
    "exec-one-process",
    "exec-signal",
    "input-once",
    "list-labels",
    "list-pages",
    "repeat-start-one-process",
    "runtime-back",
    "runtime-gone",
    "signals-reach",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn native_passes_every_case() {
    let report = tested(options(plugins().join("native.wasm"))).await;
    assert_eq!(named(&report, "skipped"), set(&[]));
    assert_eq!(report.failed, 0, "{}", failures(&report));
    assert_eq!(report.plugin.grants.len(), 1);
}

/// Its containers are no processes of this machine that it has started, and it takes no commands.
const NOT_FOR_DOCKER: [&str; 8] = [
    "exec-lost-host",
    "exec-one-process",
    "input-once",
    "input-stopped",
    "input-taken",
    "repeat-start-one-process",
    "runtime-back",
    "runtime-gone",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn docker_passes_every_case_that_is_not_beyond_its_nature() {
    let Some(engine) = fleet_test_engine::Engine::shared() else {
        return;
    };
    let report = tested(KitOptions {
        usual: vec![Usual {
            endpoint: "docker".parse().unwrap(),
            address: engine.address(),
        }],
        ..options(plugins().join("docker.wasm"))
    })
    .await;
    assert_eq!(report.failed, 0, "{}", failures(&report));
    assert_eq!(named(&report, "skipped"), set(&NOT_FOR_DOCKER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mock_passes_every_case_that_is_not_beyond_its_nature() {
    let report = tested(options(plugins().join("mock.wasm"))).await;
    assert_eq!(report.failed, 0, "{}", failures(&report));
    assert_eq!(named(&report, "skipped"), set(&NOT_FOR_MOCK));
    let listed = Mock::new().listed();
    let report = tested(options(listed.file())).await;
    assert_eq!(report.failed, 0, "{}", failures(&report));
    let passed = named(&report, "passed");
    assert!(passed.contains("list-pages") && passed.contains("list-labels"));
}

/// A bug, whether it needs the register, and the cases that must fail because of it and no others.
const BUGS: [(&str, bool, &[&str]); 18] = [
    ("config-any", false, &["config-off-schema"]),
    (
        "destroy-gone",
        true,
        &["gone-is-fine", "lost-host-end", "repeat-destroy"],
    ),
    ("exec-twice", false, &["exec-lost-host", "exec-once"]),
    ("exit-code", false, &["exit-three", "exit-zero"]),
    ("kill-ignored", false, &["kill-ignores"]),
    ("list-cursor", true, &["list-pages"]),
    ("logs-cursor", false, &["logs-cursor"]),
    ("logs-since", false, &["logs-since"]),
    ("logs-tail", false, &["logs-tail"]),
    ("recover-claims", false, &["recover-garbage"]),
    ("recover-order", false, &["recover-many"]),
    ("resize-any", false, &["exec-terminal"]),
    ("send-stopped", false, &["input-stopped"]),
    ("signal-unknown", false, &["signals-unknown"]),
    ("start-again", false, &["lost-host-start", "repeat-start"]),
    ("stats-fall", false, &["stats-counters"]),
    (
        "stop-waits",
        false,
        &[
            "ended-is-fine",
            "exit-signal",
            "gone-is-fine",
            "kill-ignores",
            "lifecycle",
            "lost-host-end",
            "repeat-stop",
            "stop-returns",
        ],
    ),
    ("watch-silent", false, &["watch-end"]),
];

/// How many kits run at one time.
const AT_ONCE: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn each_planted_bug_fails_exactly_the_cases_about_it() {
    let runs = BUGS.map(|(bug, listed, cases)| async move {
        let mock = Mock::new();
        let mock = if listed { mock.listed() } else { mock };
        let mock = mock.set(&["settings", "bug"], bug);
        (bug, cases, tested(options(mock.file())).await)
    });
    let mut wrong = String::new();
    let mut runs = futures::stream::iter(runs).buffer_unordered(AT_ONCE);
    while let Some((bug, cases, report)) = runs.next().await {
        println!("--- {bug}, {} ms\n{}", report.elapsed_ms, failures(&report));
        if named(&report, "failed") != set(cases) {
            let failures = failures(&report);
            wrong.push_str(&format!("{bug}: wanted {cases:?}\n{failures}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_left_behind_fails_every_case_that_made_it() {
    let mock = Mock::new().listed();
    let mock = mock.set(&["settings", "bug"], "leaves-behind");
    let report = tested(options(mock.file())).await;
    let made_nothing = set(&["config-off-schema", "describe", "fingerprint"]);
    assert_eq!(
        named(&report, "passed"),
        made_nothing,
        "{}",
        failures(&report)
    );
    for case in &report.cases {
        if let Outcome::Failed(failure) = &case.outcome
            && case.case != "list-labels"
        {
            assert_eq!(failure.expected, "nothing left behind", "{}", case.case);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_hangs_ends_its_case_and_no_other() {
    let mock = Mock::new()
        .set(&["limits", "deadline_ms"], 1_500)
        .set(
            &["conformance", "workload", "fails", "config", "fault"],
            "hang",
        )
        .set(
            &["conformance", "workload", "fails", "config", "fault_in"],
            "inspect",
        );
    let report = tested(options(mock.file())).await;
    let failed = named(&report, "failed");
    let cases = [
        "ended-is-fine",
        "exit-three",
        "generations",
        "lost-host-handles",
        "recover-many",
    ];
    assert_eq!(failed, set(&cases), "{}", failures(&report));
    let three = report.cases.iter().find(|case| case.case == "exit-three");
    let reason = three.unwrap().outcome.reason().unwrap();
    assert!(
        reason.starts_with("step 3 (do = \"await\"") && reason.contains("(wall-clock)"),
        "{reason}"
    );
}

async fn refused(options: KitOptions) -> Error {
    match Kit::open(options).await {
        Ok(_) => panic!("it is taken"),
        Err(error) => error,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_is_cut_off_at_any_moment_is_skipped() {
    for cut_ms in [30, 90, 180, 300, 450, 650, 900] {
        let kit = Kit::open(options(plugins().join("native.wasm"))).await;
        let cut = SystemClock.sleep(Duration::from_millis(cut_ms));
        let report = kit.unwrap().run(cut).await;
        assert_eq!(report.failed, 0, "{cut_ms} ms\n{}", failures(&report));
        let cut_off = report.cases.iter().filter(|case| {
            let reason = case.outcome.reason();
            reason.as_deref() == Some("it was cut off")
        });
        assert!(cut_off.count() > 0, "no case was in the middle of anything");
    }
}

#[tokio::test]
async fn what_cannot_be_tested_is_told_why() {
    let mock = Mock::new();
    let file = mock.file();
    let missing = refused(options(file.with_file_name("none.wasm"))).await;
    assert_eq!(missing.code, "no-such-file");
    assert_eq!(refused(options(plugins())).await.code, "no-component");

    let unknown = KitOptions {
        pattern: Some("no-such-case".to_owned()),
        ..options(file.clone())
    };
    let unknown = refused(unknown).await;
    assert_eq!(unknown.code, "no-case");
    assert!(unknown.message.contains("\nlifecycle\n"), "{unknown}");

    let grants = mock.folder.path().join("g.toml");
    std::fs::write(&grants, "[mock]\nlog = true\n").unwrap();
    let poor = KitOptions {
        grants: Some(grants),
        ..options(file.clone())
    };
    let poor = refused(poor).await;
    assert_eq!(poor.code, "unusable");
    assert!(poor.message.contains("clock = true"), "{poor}");

    std::fs::write(&file, "no component").unwrap();
    let junk = refused(options(file)).await;
    assert_eq!(junk.code, "rejected");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pattern_runs_some() {
    let some = KitOptions {
        pattern: Some("exit-*".to_owned()),
        ..options(plugins().join("mock.wasm"))
    };
    let report = tested(some).await;
    assert_eq!(
        named(&report, "passed"),
        set(&["exit-signal", "exit-three", "exit-zero"])
    );
    assert_eq!(report.cases.len(), 3);
}
