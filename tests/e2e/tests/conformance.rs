//! `plugin test` as a person uses it: what it prints, how it ends, and that it leaves nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests"
)]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fleet_e2e::{binary, find_processes, plugins, wait_for};
use serde_json::Value;

/// What a command printed and how it ended.
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
}

/// `plugin test` with these arguments. Compiled components are kept where all tests keep them.
fn command(args: &[&OsStr]) -> Command {
    let mut command = Command::new(binary());
    command
        .args(["plugin", "test"])
        .args(args)
        .env("FLEET_CACHE", cache())
        .stdin(Stdio::null());
    command
}

fn cache() -> PathBuf {
    binary()
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("test-compile-cache")
}

fn test(args: &[&OsStr]) -> Ran {
    let output = command(args).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `mock` with more in its manifest.
fn mock(more: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let manifest = std::fs::read_to_string(plugins().join("mock.toml")).unwrap();
    std::fs::write(folder.path().join("mock.toml"), manifest + more).unwrap();
    let file = folder.path().join("mock.wasm");
    std::fs::copy(plugins().join("mock.wasm"), &file).unwrap();
    (folder, file)
}

#[test]
fn the_shipped_backends_pass_and_a_program_can_read_it() {
    for (name, skips) in [("native", false), ("mock", true)] {
        let file = plugins().join(format!("{name}.wasm"));
        let ran = test(&[file.as_os_str(), OsStr::new("--output"), OsStr::new("json")]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(report["plugin"]["name"], name);
        assert_eq!(report["failed"], 0);
        assert_eq!(report["skipped"].as_u64().unwrap() > 0, skips, "{name}");
        for case in report["cases"].as_array().unwrap() {
            let is_skipped = case["result"] == "skipped";
            assert_eq!(case["reason"].is_string(), is_skipped, "{case}");
        }
    }
}

#[test]
fn a_case_that_fails_is_told_in_full() {
    let (_folder, file) = mock("\n[settings]\nbug = \"exit-code\"\n");
    let ran = test(&[file.as_os_str(), OsStr::new("--case"), OsStr::new("exit-*")]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.stderr, "error: 2 of 3 cases failed\n");
    for line in [
        "plugin: mock 0.1.0  (",
        "grants: mock: log, clock, config\n",
        "what mock.toml asks for, in a temporary folder; --grants FILE tests it with others\n",
        "exit-three   failed  ",
        "step 3: expected exited with code 3, saw exited with code 4\n",
        "\nexit-three failed\n  must:     Code 3 is told as code 3\n",
        "  step:     3, do = \"await\", is = \"exited\", code = 3\n",
        "\n1 passed, 2 failed, 0 skipped in ",
    ] {
        assert!(ran.stdout.contains(line), "{line}\n{}", ran.stdout);
    }
}

#[test]
fn what_cannot_be_tested_has_an_exit_code_and_a_reason() {
    let (folder, file) = mock("");
    let grants = folder.path().join("grants.toml");
    std::fs::write(&grants, "[mock]\nlog = true\n").unwrap();
    let junk = folder.path().join("junk.wasm");
    std::fs::write(&junk, "junk").unwrap();
    let none = folder.path().join("none.wasm");
    let (file, option) = (file.as_os_str(), OsStr::new);
    for (args, code, want) in [
        (&[none.as_os_str()][..], 2, "none.wasm"),
        (&[folder.path().as_os_str()], 2, "NAME.wasm"),
        (&[junk.as_os_str()], 2, "would be rejected"),
        (
            &[file, option("--case"), option("exot")],
            3,
            "\nexit-zero\n",
        ),
        (
            &[file, option("--grants"), grants.as_os_str()],
            4,
            "clock = true",
        ),
        (
            &[file, option("--grants"), option("/nowhere/g.toml")],
            2,
            "/nowhere/g.toml",
        ),
    ] {
        let ran = test(args);
        assert_eq!(ran.code, code, "{args:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(want), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{args:?}");
    }
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = plugins().join("native.wasm");
    let mut child = command(&[file.as_os_str()])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Whatever it runs is kept by a shim with the folder in its command line.
    let text = folder.path().join("fleet-conformance-");
    let text = text.display().to_string();
    wait_for("a workload of some case", 60, || {
        (!find_processes(&text).is_empty()).then_some(())
    });
    let pid = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let status = wait_for("the end of the run", 60, || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(1));
    assert_eq!(find_processes(&text), Vec::<u32>::new());
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}
