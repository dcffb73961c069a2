use clap::Parser as _;
use serde_json::{Value, json};

use super::*;

#[derive(Debug, clap::Parser)]
struct Line {
    #[command(flatten)]
    spec: SpecArgs,
}

fn line(words: &[&str]) -> Result<SpecArgs, clap::Error> {
    let words = std::iter::once("run").chain(words.iter().copied());
    Line::try_parse_from(words).map(|line| line.spec)
}

fn spec(words: &[&str]) -> Value {
    let spec = line(words).unwrap().spec().unwrap();
    serde_json::to_value(spec).unwrap()
}

#[test]
fn flags_write_the_files_fields_and_win() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("w.toml");
    let text = r#"
name = "file"
backend = "mock"
command = ["false"]
restart = "always"
ttl = "1h"

[env]
A = "file"
B = "file"
TOKEN = { secret = "file" }

[ports]
http = 80

[limits]
cpu = 2
memory = "1GiB"

[files]
"a" = "file"
"b" = { secret = "key", mode = "0400" }

[config]
life = "1s"
"#;
    std::fs::write(&file, text).unwrap();
    let attached = folder.path().join("local");
    std::fs::write(&attached, "flag").unwrap();
    let words = [
        "-f",
        file.to_str().unwrap(),
        "--name=flag",
        "--env=A=flag",
        "--secret=TOKEN=flag",
        "--port=http",
        "--port=dns=53",
        "--label=app=web",
        "--restart=on-failure",
        "--ttl=90m",
        "--memory=64M",
        "--log=8MiB",
        &format!("--file=a={}", attached.display()),
        "--",
        "true",
    ];
    assert_eq!(
        spec(&words),
        json!({
            "name": "flag", "backend": "mock", "command": ["true"],
            "env": {"A": "flag", "B": "file", "TOKEN": {"secret": "flag"}},
            "ports": {"http": 0, "dns": 53}, "labels": {"app": "web"},
            "restart": "on-failure", "ttl": "1h 30m",
            "limits": {"cpu": 2.0, "memory": "64MiB", "log": "8MiB"},
            "files": {"a": "flag", "b": {"secret": "key", "mode": "0400"}},
            "config": {"life": "1s"},
        })
    );
    // What no flag says stays as the file has it.
    let unchanged = spec(&["-f", file.to_str().unwrap()]);
    assert_eq!(unchanged["restart"], "always");
    assert_eq!(unchanged["ttl"], "1h");
    assert_eq!(unchanged["limits"]["memory"], "1GiB");
    let json = folder.path().join("w");
    std::fs::write(&json, r#"{"command": ["x", "y"]}"#).unwrap();
    assert_eq!(
        spec(&["-f", json.to_str().unwrap()]),
        json!({"backend": "native", "command": ["x", "y"]})
    );
}

#[test]
fn without_a_file_the_flags_are_all_there_is() {
    assert_eq!(
        spec(&[
            "--cpu=0.5",
            "--processes=9",
            "--disk=1G",
            "--restart=never",
            "--",
            "true"
        ]),
        json!({
            "backend": "native", "command": ["true"], "limits": {"cpu": 0.5, "processes": 9, "disk": "1GiB"},
        })
    );
    let nothing = SpecArgs::default().spec().unwrap_err();
    assert!(nothing.help.unwrap().contains("--"));
    assert_eq!(spec(&["--backend=mock"]), json!({"backend": "mock"}));
}

#[test]
fn a_value_that_does_not_fit_says_what_would() {
    for (flag, want) in [
        ("--ttl=90", "`90s`"),
        ("--ttl=soon", "`1h 30m`"),
        ("--ttl=99999999999999999y", "is not a length of time"),
        ("--memory=64", "`64MiB`"),
        ("--memory=1.5G", "is not a size"),
        ("--memory=99999999T", "is not a size"),
        ("--disk=64MB", "`64MiB`"),
        ("--log=much", "`64MiB`"),
        ("--cpu=0", "from 0.01 to 1024"),
        ("--cpu=5000", "from 0.01 to 1024"),
        ("--cpu=500m", "`0.5`"),
        ("--processes=0", "1.."),
        ("--processes=many", "invalid digit"),
        ("--restart=alway", "always"),
        ("--restart=sometimes", "never, on-failure, always"),
        ("--secret=TOKEN", "VARIABLE=NAME"),
        ("--secret=TOKEN=Not A Name", "secret set NAME"),
        ("--file=w.toml", "a workload file is named with -f"),
        ("--file=conf/app.toml=", "PATH=FILE"),
        ("--file=/etc/passwd=x", "must not start with `/`"),
        ("--file=../x=x", "`..`"),
        ("--env=NAME", "KEY=VALUE"),
    ] {
        let error = line(&[flag, "--", "true"]).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{flag}");
        assert!(error.to_string().contains(want), "{flag}: {error}");
    }
}

#[test]
fn a_variable_has_one_value() {
    let both = line(&["--env=A=1", "--secret=A=a", "--", "true"]).unwrap();
    let failure = both.spec().unwrap_err();
    assert_eq!(failure.exit, crate::failure::Exit::Usage);
    assert_eq!(failure.message, "--env and --secret both give `A` a value");
}

#[test]
fn a_missing_file_is_named() {
    for (flag, message) in [
        (
            "-f/nowhere/w.toml",
            "cannot read /nowhere/w.toml: no such file or directory",
        ),
        (
            "--file=a=/nowhere/a",
            "cannot read /nowhere/a: no such file or directory",
        ),
    ] {
        let failure = line(&[flag, "--", "true"]).unwrap().spec().unwrap_err();
        assert_eq!(failure.message, message);
    }
}
