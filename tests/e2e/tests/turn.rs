//! A full turn: a command goes in, a packet comes out, and the host is killed in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::io::BufRead as _;
use std::process::Stdio;
use std::time::Duration;

use fleet_e2e::{Host, wait_for};
use serde_json::{Value, json};

/// Notes each line it reads, and emits it as a packet.
const ECHO: &str = r#"
import json, os, socket, sys
packets = socket.socket(socket.AF_UNIX)
packets.connect(os.environ["FLEET_PACKET_SOCKET"])
for line in sys.stdin:
    with open("seen", "a") as seen:
        seen.write(line)
    packets.sendall((json.dumps({"echo": line.strip()}) + "\n").encode())
"#;

fn start_echo(host: &Host) {
    host.cli([
        "workload", "run", "--name", "echo", "--wait", "--", "python3", "-c", ECHO,
    ])
    .ok();
}

fn workspace(host: &Host, name: &str) -> std::path::PathBuf {
    let id = host.show(name)["id"].as_str().unwrap().to_owned();
    host.data().join("workloads").join(id).join("workspace")
}

fn packets(host: &Host, name: &str) -> Vec<Value> {
    let text = host.cli(["workload", "packets", name]).ok().stdout;
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_command_arrives_once_and_its_packet_is_stored_once_whenever_the_host_is_killed() {
    const TURNS: u64 = 16;
    let mut host = Host::start_fixed();
    start_echo(&host);
    let mut in_between = 0;
    for turn in 0..TURNS {
        let text = format!("turn {turn}");
        let mut sending = host
            .command()
            .args(["workload", "send", "echo", &text, "--wait-packet", "60s"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(turn * 700));
        in_between += u64::from(sending.try_wait().unwrap().is_none());
        host.kill();
        host.start_again();
        let sent = sending.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&sent.stderr);
        assert_eq!(sent.status.code(), Some(0), "{text}: {said}");
        let packet: Value = serde_json::from_slice(&sent.stdout).unwrap();
        assert_eq!(
            packet,
            json!({"echo": text}),
            "the packet of this very turn"
        );
    }
    assert!(
        in_between >= TURNS / 2,
        "only {in_between} kills fell into a turn"
    );

    let expected: String = (0..TURNS).map(|turn| format!("turn {turn}\n")).collect();
    let seen = std::fs::read_to_string(workspace(&host, "echo").join("seen")).unwrap();
    assert_eq!(seen, expected, "each command arrived once, in order");
    let echoed: Vec<Value> = (0..TURNS)
        .map(|turn| json!({"echo": format!("turn {turn}")}))
        .collect();
    assert_eq!(
        packets(&host, "echo"),
        echoed,
        "each packet is stored once, in order"
    );
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn one_key_is_one_command_and_other_words_under_it_are_refused() {
    let host = Host::start();
    start_echo(&host);
    for _ in 0..3 {
        host.cli(["workload", "send", "echo", "once", "--key", "k"])
            .ok();
    }
    let other = host.cli(["workload", "send", "echo", "twice", "--key", "k"]);
    assert_eq!(other.code, 4, "{other:?}");
    host.cli(["workload", "send", "echo", "last", "--wait-packet", "30s"])
        .ok();
    let seen = std::fs::read_to_string(workspace(&host, "echo").join("seen")).unwrap();
    assert_eq!(seen, "once\nlast\n");
    // What was taken once is answered the same when the program has ended.
    host.cli([
        "workload",
        "run",
        "--name",
        "short",
        "--wait",
        "--",
        "sh",
        "-c",
        "read line; echo got $line",
    ])
    .ok();
    host.cli(["workload", "send", "short", "hello", "--key", "s"])
        .ok();
    let _ = host.wait_state("short", "exited");
    host.cli(["workload", "send", "short", "hello", "--key", "s"])
        .ok();
    let late = host.cli(["workload", "send", "short", "hello", "--key", "late"]);
    assert_eq!(late.code, 4, "{late:?}");
    assert!(late.stderr.contains("start it"), "{late:?}");
    assert_eq!(
        host.cli(["workload", "logs", "short"]).ok().stdout,
        "got hello\n"
    );
}

#[test]
fn packets_are_numbered_over_all_tries_and_followed_over_restarts_of_the_host() {
    let mut host = Host::start_fixed();
    let emit = r#"
import json, os, socket, sys
packets = socket.socket(socket.AF_UNIX)
packets.connect(os.environ["FLEET_PACKET_SOCKET"])
for n in range(50):
    packets.sendall((json.dumps({"n": n, "path": os.environ["FLEET_PACKET_SOCKET"]}) + "\n").encode())
sys.exit(1 if not os.path.exists("again") and not open("again", "w").close() else 0)
"#;
    host.cli([
        "workload",
        "run",
        "--name",
        "emit",
        "--restart",
        "on-failure",
        "--",
        "python3",
        "-c",
        emit,
    ])
    .ok();
    let mut following = host
        .command()
        .args(["workload", "packets", "emit", "--follow"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = std::io::BufReader::new(following.stdout.take().unwrap()).lines();
    lines.next().expect("a first packet").unwrap();
    host.kill();
    host.start_again();
    let _ = host.wait_state("emit", "exited");
    wait_for("all packets", 30, || {
        (packets(&host, "emit").len() == 100).then_some(())
    });
    let all = packets(&host, "emit");
    let numbers: Vec<u64> = all
        .iter()
        .map(|packet| packet["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..50).chain(0..50).collect::<Vec<_>>());
    assert!(
        all.iter().all(|packet| packet["path"] == all[0]["path"]),
        "the path never changes"
    );
    host.cli(["workload", "rm", "emit"]).ok();
    let followed = wait_for("the follower's end", 30, || following.try_wait().unwrap());
    assert!(followed.code().is_some());
    assert_eq!(1 + lines.count(), 100, "each once");
}

#[test]
fn what_is_no_packet_is_refused_aloud_and_harms_nobody() {
    let host = Host::start();
    let emit = r#"
import json, os, socket
def emit(line):
    packets = socket.socket(socket.AF_UNIX)
    packets.connect(os.environ["FLEET_PACKET_SOCKET"])
    packets.sendall(line)
    packets.shutdown(socket.SHUT_WR)
    answer = b""
    while True:
        part = packets.recv(4096)
        if not part: break
        answer += part
    print(answer.decode().strip(), flush=True)
emit(b"no json\n")
emit(b'{"big": "' + b"x" * 70000 + b'"}\n')
emit(b'{"last": "without a line feed"}')
"#;
    host.cli([
        "workload", "run", "--name", "emit", "--", "python3", "-c", emit,
    ])
    .ok();
    let _ = host.wait_state("emit", "exited");
    let log = host
        .cli(["workload", "logs", "emit", "--output", "json"])
        .ok()
        .stdout;
    let answers: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|line| line["stream"] == "stdout")
        .map(|line| serde_json::from_str(line["text"].as_str().unwrap()).unwrap())
        .collect();
    assert_eq!(answers.len(), 3, "{log}");
    assert!(
        answers[0]["error"].as_str().unwrap().contains("JSON"),
        "{log}"
    );
    assert!(
        answers[1]["error"].as_str().unwrap().contains("65536"),
        "{log}"
    );
    assert_eq!(answers[2], json!({"seq": 1}), "{log}");
    wait_for("the packet", 30, || {
        (packets(&host, "emit").len() == 1).then_some(())
    });
    assert_eq!(
        packets(&host, "emit"),
        [json!({"last": "without a line feed"})]
    );
}

#[test]
fn the_largest_command_arrives_whole() {
    let host = Host::start();
    host.cli([
        "workload",
        "run",
        "--name",
        "count",
        "--wait",
        "--",
        "sh",
        "-c",
        "head -c 1048576 | wc -c",
    ])
    .ok();
    let file = host.scratch().join("large");
    std::fs::write(&file, vec![b'x'; 1 << 20]).unwrap();
    let sent = host
        .command()
        .args(["workload", "send", "count", "-"])
        .stdin(std::fs::File::open(&file).unwrap())
        .output()
        .unwrap();
    assert!(sent.status.success(), "{sent:?}");
    let _ = host.wait_state("count", "exited");
    assert_eq!(
        host.cli(["workload", "logs", "count"]).ok().stdout.trim(),
        "1048576"
    );
}
