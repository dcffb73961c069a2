//! A runtime the host has never heard of: a plugin and a policy file are all it takes.
//!
//! `tests/runtimes/berth` is a server with paths, words and a framing of streams of its own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fleet_e2e::{Host, HostOptions, binary, http_get, is_alive, wait_for};
use serde_json::Value;

/// The runtime, in a process of its own.
struct Berth {
    child: Child,
    address: String,
}

impl Berth {
    fn start() -> Self {
        let program = binary().with_file_name("fleet-test-berth");
        let mut child = Command::new(&program)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!(
                    "{}: {error}; build it with `cargo build --release -p fleet-test-berth`",
                    program.display()
                )
            });
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").unwrap().to_owned();
        Self { child, address }
    }

    /// All that lies there, as it tells everybody who asks it itself.
    fn ships(&self) -> Vec<Value> {
        let (status, body) = http_get(&self.address, "/r2/ships", None).unwrap();
        assert_eq!(status, 200, "{body}");
        // The answer may come in chunks: from the first brace to the last it is JSON.
        let text = &body[body.find('{').unwrap()..=body.rfind('}').unwrap()];
        let value: Value = serde_json::from_str(text).unwrap();
        value["ships"].as_array().unwrap().clone()
    }

    /// Lays one on as somebody else would.
    fn foreign(&self, name: &str) {
        use std::io::Read as _;
        let body = r#"{"argv":["sleep","600"],"vars":{"PASSWORD":"hunter2"},"marks":{}}"#;
        let mut stream = std::net::TcpStream::connect(&self.address).unwrap();
        write!(
            stream,
            "PUT /r2/ships/{name} HTTP/1.1\r\nHost: berth\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }

    /// Grants for it, in a file.
    fn grants(&self, folder: &Path) -> PathBuf {
        let file = folder.join("grants.toml");
        let address = &self.address;
        let text = format!(
            "[berth]\nsecrets = [\"*\"]\n\n[berth.endpoint.berth]\naddress = \"http://{address}\"\npolicy = \"berth.policy.toml\"\n"
        );
        std::fs::write(&file, text).unwrap();
        file
    }
}

impl Drop for Berth {
    fn drop(&mut self) {
        // Its programs go with it.
        let pid = rustix::process::Pid::from_child(&self.child);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// The component, its manifest and its policy.
fn plugins() -> PathBuf {
    std::env::var_os("FLEET_TEST_PLUGINS_DIR").map_or_else(
        || fleet_e2e::plugins().with_file_name("test-plugins"),
        PathBuf::from,
    )
}

fn host(berth: &Berth, folder: &Path) -> Host {
    let grants = berth.grants(folder);
    Host::start_with(HostOptions {
        plugins: Some(plugins()),
        args: vec![OsString::from("--grants"), grants.into()],
        ..HostOptions::default()
    })
}

#[test]
fn workloads_live_on_a_runtime_that_the_host_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let berth = Berth::start();
    berth.foreign("theirs");
    let mut host = host(&berth, folder.path());
    let script =
        "echo out $A; echo err >&2; trap 'echo bye; exit 4' TERM; while :; do sleep 0.1; done";
    let run = "workload run --backend berth --name web --env A=1 --wait -- sh -c";
    host.cli(run.split(' ').chain([script])).ok();

    // Its folder and its mark are the host's doing.
    let ours = |berth: &Berth| -> Vec<Value> {
        let mut ships = berth.ships();
        ships.retain(|ship| ship["name"] != "theirs");
        ships
    };
    let ships = ours(&berth);
    assert_eq!(ships.len(), 1, "{ships:?}");
    let hold = ships[0]["hold"].as_str().unwrap();
    assert!(hold.starts_with(host.data().to_str().unwrap()), "{hold}");
    assert_eq!(ships[0]["marks"]["nonce"].as_str().unwrap().len(), 32);
    let pilot = u32::try_from(ships[0]["pilot"].as_u64().unwrap()).unwrap();

    // Logs, with both streams told apart by a framing that only the policy knows.
    let logs = wait_for("its log", 20, || {
        let ran = host.cli(["workload", "logs", "web"]).ok();
        (ran.stdout.contains("out 1\n") && ran.stderr.contains("err\n")).then_some(ran)
    });
    assert!(!logs.stdout.contains("err"), "{logs:?}");

    // A program beside it, with its input and its code.
    let mut exec = host.command_of(["workload", "exec", "-i", "web", "--", "sh", "-c"]);
    let mut exec = exec
        .arg("read x; echo \"got $x in $(pwd)\"; echo no >&2; exit 7")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    exec.stdin.take().unwrap().write_all(b"this\n").unwrap();
    let ended = exec.wait_with_output().unwrap();
    let out = String::from_utf8_lossy(&ended.stdout).into_owned();
    assert_eq!(ended.status.code(), Some(7), "{ended:?}");
    assert_eq!(out, format!("got this in {hold}\n"));
    assert_eq!(ended.stderr, b"no\n");

    // A host that dies changes nothing.
    host.kill();
    host.start_again();
    let _ = host.wait_state("web", "running");
    assert!(is_alive(pilot), "the same program");
    assert_eq!(ours(&berth).len(), 1);

    host.cli(["workload", "stop", "web"]).ok();
    let shown = host.wait_state("web", "exited");
    assert_eq!(shown["exit_code"], 4, "{shown}");
    let logs = host.cli(["workload", "logs", "web"]).ok();
    assert!(logs.stdout.ends_with("bye\n"), "{logs:?}");
    host.cli(["workload", "rm", "web"]).ok();
    wait_for("nothing of it is left", 20, || {
        ours(&berth).is_empty().then_some(())
    });

    // What is not ours was there all the time, and is untouched.
    let theirs = berth.ships();
    assert_eq!(theirs.len(), 1, "{theirs:?}");
    assert_eq!(theirs[0]["phase"], "moored");
}

#[test]
fn its_backend_passes_the_conformance_kit() {
    let folder = tempfile::tempdir().unwrap();
    let berth = Berth::start();
    let grants = berth.grants(folder.path());
    let cache = binary();
    let cache = cache.parent().and_then(Path::parent).unwrap();
    let output = Command::new(binary())
        .args(["plugin", "test"].map(OsStr::new))
        .arg(plugins().join("berth.wasm"))
        .arg("--grants")
        .arg(&grants)
        .args(["--output", "json"])
        .env("FLEET_CACHE", cache.join("test-compile-cache"))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}{complaints}");
    let report: Value = serde_json::from_str(&said).unwrap();
    for case in report["cases"].as_array().unwrap() {
        let name = case["case"].as_str().unwrap();
        let is_promised = ["lifecycle", "exec-", "logs-", "repeat-", "lost-host-"]
            .iter()
            .any(|part| name.starts_with(part));
        // What the runtime's nature forbids its manifest says; nothing else is left out.
        let is_excused = |why: &str| why.contains("manifest") || why.contains("no launcher");
        let is_fine = case["result"] == "passed"
            || !is_promised
            || case["reason"].as_str().is_some_and(is_excused);
        assert!(is_fine, "{case}");
    }
    assert!(berth.ships().is_empty(), "{:?}", berth.ships());
}
