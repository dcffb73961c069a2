//! Secrets arrive where they belong, and are nowhere else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use fleet_e2e::{Host, HostOptions, Ran, find_processes};

const CANARY: &str = "canary-7c3f-hunter2-e91b";

/// The canary as it is and in the forms it is easily written in.
fn forms() -> Vec<Vec<u8>> {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    // base64 of the canary, without its end, which depends on what follows.
    let base64 = "Y2FuYXJ5LTdjM2YtaHVudGVyMi1lOTFi";
    vec![CANARY.into(), hex.into_bytes(), base64.into()]
}

fn holds_canary(bytes: &[u8]) -> bool {
    forms()
        .iter()
        .any(|form| bytes.windows(form.len()).any(|window| window == form))
}

fn set(host: &Host, name: &str, value: &str) -> Ran {
    let mut setting = host
        .command()
        .args(["secret", "set", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // One that is refused may not read it.
    let _ = setting.stdin.take().unwrap().write_all(value.as_bytes());
    let output = setting.wait_with_output().unwrap();
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Every file below a folder, but for the workspaces: what is in those is the programs' own.
fn files(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() && entry.file_name() != "workspace" {
            files(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

#[test]
fn a_value_reaches_the_program_and_is_found_nowhere_else() {
    let mut host = Host::start();
    let mut said = vec![set(&host, "api-token", CANARY).ok()];
    // Its digest shows that it arrived, in the environment and in a file.
    let script =
        "printf %s \"$TOKEN\" | sha256sum > env.sum; sha256sum < conf/token > file.sum; sleep 1000";
    let spec = host.scratch().join("w.toml");
    std::fs::write(
        &spec,
        format!(
            "name = \"uses\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n\
             [env]\nTOKEN = {{ secret = \"api-token\" }}\n\
             [files]\n\"conf/token\" = {{ secret = \"api-token\" }}\n"
        ),
    )
    .unwrap();
    said.push(
        host.cli(["workload", "run", "-f", spec.to_str().unwrap(), "--wait"])
            .ok(),
    );
    let id = host.show("uses")["id"].as_str().unwrap().to_owned();
    let workspace = host.data().join("workloads").join(id).join("workspace");
    let digest = |file: &str| {
        fleet_e2e::wait_for(file, 20, || {
            let text = std::fs::read_to_string(workspace.join(file)).ok()?;
            text.split_whitespace().next().map(str::to_owned)
        })
    };
    let expected = sha256(CANARY);
    assert_eq!(
        (digest("env.sum"), digest("file.sum")),
        (expected.clone(), expected.clone())
    );
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(workspace.join("conf/token"))
            .unwrap()
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);

    // Ways in which a value could stray: failures, restarts of program and host, listings.
    said.push(host.cli([
        "workload",
        "run",
        "--name",
        "fails",
        "--secret",
        "TOKEN=api-token",
        "--wait",
        "--",
        "no-such-program",
    ]));
    said.push(host.cli([
        "workload",
        "run",
        "--name",
        "missing",
        "--secret",
        "TOKEN=nobody",
        "--",
        "true",
    ]));
    host.kill();
    host.start_again();
    said.push(host.cli(["workload", "stop", "uses"]).ok());
    std::fs::remove_file(workspace.join("env.sum")).unwrap();
    said.push(host.cli(["workload", "start", "uses"]).ok());
    assert_eq!(digest("env.sum"), expected, "also after a restart");
    for args in [
        &["secret", "ls", "--output", "json"][..],
        &["workload", "ls", "--output", "json"],
        &["workload", "show", "uses", "--output", "json"],
        &["workload", "show", "fails", "--output", "json"],
        &["workload", "logs", "uses", "--output", "json"],
        &["plugin", "show", "native", "--output", "json"],
        &["events", "--output", "json"],
        &["workload", "show", "uses"],
    ] {
        said.push(host.cli(args.iter().copied()).ok());
    }
    for ran in &said {
        assert!(
            !holds_canary(ran.stdout.as_bytes()) && !holds_canary(ran.stderr.as_bytes()),
            "{ran:?}"
        );
    }
    let pid = host.pid();
    let workloads = host.data().join("workloads").display().to_string();
    let shims = find_processes(&workloads).into_iter().filter(|shim| {
        let line = std::fs::read(format!("/proc/{shim}/cmdline")).unwrap_or_default();
        line.windows(4).any(|window| window == b"shim")
    });
    for process in shims.chain([pid]) {
        for file in ["cmdline", "environ"] {
            let bytes = std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
            assert!(!holds_canary(&bytes), "{file} of {process}");
        }
    }
    host.interrupt();
    let mut found = Vec::new();
    files(host.scratch(), &mut found);
    assert!(
        found.iter().any(|file| file.ends_with("controller.db")),
        "{found:?}"
    );
    for file in found {
        assert!(
            !holds_canary(&std::fs::read(&file).unwrap()),
            "{}",
            file.display()
        );
    }
}

#[test]
fn a_secret_is_given_where_it_is_granted_and_else_refused_with_the_line() {
    let grants = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        grants.path(),
        "[native.process.launchers.dev]\nany = true\n",
    )
    .unwrap();
    let args = ["--grants".into(), grants.path().as_os_str().to_owned()].to_vec();
    let host = Host::start_with(HostOptions {
        args,
        ..HostOptions::default()
    });
    set(&host, "db", CANARY).ok();
    let refused = host.cli([
        "workload", "run", "--secret", "X=db", "--wait", "--", "true",
    ]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("secrets = [\"db\"]") && refused.stderr.contains("[native]"),
        "{refused:?}"
    );
}

#[test]
fn secrets_are_set_listed_and_removed_with_care() {
    let host = Host::start();
    let missing = host.cli(["workload", "run", "--secret", "X=db", "--", "true"]);
    assert_eq!(missing.code, 4, "{missing:?}");
    assert!(
        missing.stderr.contains("fleet-host secret set db"),
        "{missing:?}"
    );
    set(&host, "db", CANARY).ok();
    host.cli([
        "workload", "run", "--name", "user", "--secret", "X=db", "--wait", "--", "sleep", "1000",
    ])
    .ok();
    let listed = host.cli(["secret", "ls"]).ok().stdout;
    assert!(listed.contains("db") && listed.contains("user"), "{listed}");
    let used = host.cli(["secret", "rm", "db"]);
    assert_eq!(used.code, 4, "{used:?}");
    assert!(
        used.stderr.contains("user") && used.stderr.contains("--force"),
        "{used:?}"
    );
    host.cli(["secret", "rm", "db", "--force"]).ok();
    let again = host.cli(["secret", "rm", "db"]);
    assert_eq!(again.code, 3, "{again:?}");
    let empty = set(&host, "db", "");
    assert_ne!(empty.code, 0, "{empty:?}");
    let name = set(&host, "Not A Name", "x");
    assert_ne!(name.code, 0, "{name:?}");
    assert!(name.stderr.contains("a-z"), "{name:?}");
}

fn sha256(text: &str) -> String {
    let mut summing = std::process::Command::new("sha256sum")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    summing
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = summing.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().next().unwrap().to_owned()
}
