//! The binary as a shell sees it, where no host is needed: exit codes, streams, closed pipes.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, helpers included"
)]

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

fn fleet_host() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fleet-host"));
    command
        .env_clear()
        .env("HOME", "/nowhere")
        .stdin(Stdio::null());
    command
}

fn ran(args: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = fleet_host().args(args).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn success_writes_nothing_to_stderr() {
    for args in [
        &["--help"][..],
        &["--version"],
        &["workload", "run", "--help"],
        &["completions", "bash"],
        &["config", "reference"],
        &["--data", "/nowhere", "config", "check"],
        &["config", "check", "--output", "json", "--data", "/nowhere"],
    ] {
        let (code, stdout, stderr) = ran(args);
        assert_eq!((code, stderr.as_str()), (0, ""), "{args:?}");
        assert!(!stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn failures_have_their_exit_code_a_line_and_a_remedy() {
    for (args, code, error, help) in [
        (
            &["--server", "http://127.0.0.1:1", "workload", "ls"][..],
            5,
            "nothing answers at http://127.0.0.1:1",
            "--server",
        ),
        (
            &["--server", "127.0.0.1:1", "workload", "ls"],
            2,
            "is not a server address",
            "http://HOST:PORT",
        ),
        (&["workload", "run"], 2, "there is nothing to run", "`--`"),
        (
            &["workload", "run", "-f", "/nowhere/w.toml"],
            2,
            "cannot read /nowhere/w.toml",
            "-f",
        ),
        (
            &["run", "--data", "/nowhere"],
            2,
            "no plugin folder is named",
            "--plugins DIR",
        ),
        (
            &["run", "--plugins", "/tmp", "--role", "node"],
            4,
            "--role node",
            "--role all",
        ),
        (
            &["run", "--plugins", "/tmp", "--listen", "0.0.0.0:0"],
            4,
            "without TLS",
            "127.0.0.1",
        ),
        (
            &["run", "--plugins", "/tmp", "--listen", "here"],
            2,
            "--listen: `here` is not an address",
            "listen",
        ),
        (
            &[
                "--data",
                "/nowhere",
                "config",
                "check",
                "--config",
                "/nowhere/f",
            ],
            2,
            "/nowhere/f",
            "--config",
        ),
        (
            &["plugin", "verify", "/nowhere/p.wasm"],
            2,
            "/nowhere/p.wasm",
            "",
        ),
    ] {
        let (exit, stdout, stderr) = ran(args);
        assert_eq!((exit, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
        assert!(
            stderr.starts_with("error: ") && stderr.contains(error),
            "{args:?}: {stderr}"
        );
        assert!(
            help.is_empty()
                || stderr
                    .split("help:")
                    .nth(1)
                    .is_some_and(|text| text.contains(help)),
            "{args:?}: {stderr}"
        );
    }
}

#[test]
fn a_typing_error_names_what_was_meant() {
    let (code, _, stderr) = ran(&["workload", "ls", "--ouptut", "json"]);
    assert_eq!(code, 2);
    assert!(stderr.contains("--output"), "{stderr}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let mut child = fleet_host()
        .args(["completions", "bash"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut said)
        .unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

#[test]
fn workers_are_answered_before_arguments_are_parsed() {
    // A worker's own complaint, not the parser's.
    let (code, _, stderr) = ran(&["compile", "/nowhere/in.wasm", "/nowhere/out"]);
    assert_eq!(code, 1);
    assert!(!stderr.contains("Usage:"), "{stderr}");
    let (code, _, stderr) = ran(&["compile"]);
    assert_eq!(code, 2, "{stderr}");
}
