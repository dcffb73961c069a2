//! The binary against a host that answers from a script: what goes over the wire, what is printed,
//! and with which exit code.

#![expect(
    clippy::unwrap_used,
    reason = "a test may stop at the first surprise, helpers included"
)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// One request.
#[derive(Debug)]
struct Asked {
    line: String,
    key: Option<String>,
    body: Vec<u8>,
}

/// What a command did.
#[derive(Debug)]
struct Ran {
    code: i32,
    stdout: String,
    stderr: String,
    asked: Vec<Asked>,
}

/// How a request is answered.
enum Answer {
    Json(u16, Value),
    Lines(&'static str),
    /// A stream of events that ends at once.
    Events,
    /// The connection is closed without an answer.
    Lost,
}

/// Runs a command against a host that answers so, once each.
fn ran(args: &[&str], input: &[u8], answers: Vec<Answer>) -> Ran {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving: JoinHandle<Vec<Asked>> = std::thread::spawn(move || {
        let mut answers = answers.into_iter();
        answers
            .by_ref()
            .map_while(|answer| serve(&listener, answer))
            .collect()
    });
    let mut child = Command::new(env!("CARGO_BIN_EXE_fleet-host"))
        .args(["--server", &format!("http://{address}")])
        .args(args)
        .env_clear()
        .env("HOME", "/nowhere")
        .env("FLEET_DATA", "/nowhere")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    // Answers that nobody asked for are not waited for; where all were given, nobody listens.
    drop(TcpStream::connect(address));
    Ran {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        asked: serving.join().unwrap(),
    }
}

/// Answers one request; none where the connection ends without one.
fn serve(listener: &TcpListener, answer: Answer) -> Option<Asked> {
    let (mut stream, _) = listener.accept().unwrap();
    let asked = read(&stream)?;
    let (status, kind, body) = match answer {
        Answer::Json(status, value) => (status, "application/json", value.to_string()),
        Answer::Lines(text) => (200, "application/x-ndjson", text.to_owned()),
        Answer::Events => (200, "text/event-stream", String::new()),
        Answer::Lost => return Some(asked),
    };
    write!(
        stream,
        "HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    Some(asked)
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        match line.trim_end() {
            "" => break,
            line => head.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        head.iter()
            .find_map(|line| line.strip_prefix(&format!("{name}: ")))
            .map(str::to_owned)
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    let line = head.first()?;
    Some(Asked {
        line: line.strip_suffix(" HTTP/1.1").unwrap().to_owned(),
        key: header("idempotency-key"),
        body,
    })
}

fn problem(status: u16, kind: &str, code: &str, detail: &str) -> Answer {
    Answer::Json(
        status,
        json!({"status": status, "kind": kind, "code": code, "detail": detail}),
    )
}

fn secret() -> Answer {
    Answer::Json(
        200,
        json!({"name": "token", "revision": 1, "created_at_ms": 1, "changed_at_ms": 1}),
    )
}

fn head(head: u64) -> Answer {
    Answer::Json(200, json!({"items": [], "next": null, "head": head}))
}

#[test]
fn a_secret_goes_from_stdin_to_the_host_and_nowhere_else() {
    for (args, body) in [
        (&["secret", "set", "token"][..], &b"canary"[..]),
        (&["secret", "set", "token", "--exact"], b"canary\n"),
        (&["secret", "set", "token", "--output", "json"], b"canary"),
    ] {
        let ran = ran(args, b"canary\n", vec![secret()]);
        assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
        assert!(!ran.stdout.contains("canary"), "{ran:?}");
        assert_eq!(ran.asked[0].line, "PUT /api/v1/secrets/token");
        assert_eq!(ran.asked[0].body, body);
    }
}

#[test]
fn a_value_on_the_command_line_is_refused_and_not_repeated() {
    for args in [
        &["secret", "set", "token", "canary"][..],
        &["secret", "set", "token=canary"],
        &["secret", "set", "token", "--value", "canary"],
        &["secret", "set", "token", "--value=canary"],
        &["secret", "set", "--value=canary", "token"],
    ] {
        let ran = ran(args, b"", vec![]);
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{ran:?}");
        assert!(!ran.stderr.contains("canary"), "{ran:?}");
    }
    let empty = ran(&["secret", "set", "token"], b"\n", vec![]);
    assert_eq!(empty.code, 2);
    assert!(empty.stderr.contains("the value is empty"), "{empty:?}");
}

#[test]
fn a_command_is_sent_once_under_one_key_until_it_is_delivered() {
    let ran = ran(
        &["workload", "send", "web", "go"],
        b"",
        vec![
            Answer::Lost,
            problem(503, "unavailable", "node-away", "away"),
            Answer::Json(200, json!({"key": "K"})),
        ],
    );
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
    assert_eq!(ran.stdout, "delivered to web, key K\n");
    assert_eq!(ran.asked.len(), 3);
    for asked in &ran.asked {
        assert_eq!(asked.line, "POST /api/v1/workloads/web/commands");
        assert_eq!(asked.body, br#"{"text":"go\n"}"#);
        assert_eq!(asked.key, ran.asked[0].key);
    }
    assert!(ran.asked[0].key.is_some());
}

#[test]
fn what_is_piped_in_is_sent_as_it_is() {
    for (args, input, body) in [
        (
            &["workload", "send", "web"][..],
            &b"a\nb"[..],
            r#"{"text":"a\nb"}"#,
        ),
        (
            &["workload", "send", "web", "-"],
            b"\xff\0",
            r#"{"base64":"/wA="}"#,
        ),
    ] {
        let ran = ran(args, input, vec![Answer::Json(200, json!({"key": "K"}))]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert_eq!(ran.asked[0].body, body.as_bytes());
    }
    let empty = ran(&["workload", "send", "web"], b"", vec![]);
    assert_eq!(empty.code, 2);
    assert!(empty.stderr.contains("nothing to send"), "{empty:?}");
}

#[test]
fn a_turn_prints_the_packet_and_tells_of_gaps() {
    const STREAM: &str = "{\"seq\":9,\"at_ms\":1,\"gap\":{\"from\":8,\"to\":9,\"count\":2}}\n\
        {\"seq\":10,\"at_ms\":1,\"packet\":{\"ok\":true}}\n{\"seq\":11,\"at_ms\":1,\"packet\":{}}\n";
    for (more, stdout) in [
        (&[][..], "{\"ok\":true}\n"),
        (
            &["--output", "json"],
            "{\"seq\":10,\"at_ms\":1,\"packet\":{\"ok\":true}}\n",
        ),
    ] {
        let args = [
            "workload",
            "send",
            "web",
            "go",
            "--wait-packet",
            "30s",
            "--key",
            "turn-1",
        ];
        let ran = ran(
            &[&args, more].concat(),
            b"",
            vec![
                Answer::Lost,
                head(7),
                Answer::Json(200, json!({"key": "turn-1"})),
                Answer::Lost,
                Answer::Lines(STREAM),
            ],
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (0, stdout), "{ran:?}");
        assert_eq!(
            ran.stderr,
            "warning: 2 packets, 8 to 9, are missing: given up for want of room\n"
        );
        assert_eq!(ran.asked[2].key.as_deref(), Some("turn-1"));
        assert_eq!(
            ran.asked[4].line,
            "GET /api/v1/workloads/web/packets?follow=true&after=7"
        );
    }
}

#[test]
fn a_turn_without_an_answer_says_that_the_command_was_delivered() {
    let args = [
        "workload",
        "send",
        "web",
        "go",
        "--wait-packet",
        "300ms",
        "--key",
        "turn-1",
    ];
    let ran = ran(
        &args,
        b"",
        vec![
            head(7),
            Answer::Json(200, json!({"key": "turn-1"})),
            Answer::Lines(""),
        ],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{ran:?}");
    assert!(
        ran.stderr.starts_with(
            "error: no packet of web came within 300ms; the command was delivered, key turn-1\n"
        ),
        "{ran:?}"
    );
    assert!(ran.stderr.contains("packets web --after 7"), "{ran:?}");
}

#[test]
fn what_is_not_delivered_is_told_with_its_exit_code() {
    for (answer, code, said) in [
        (
            problem(409, "conflict", "not-running", "it is not running"),
            4,
            "it is not running",
        ),
        (
            problem(429, "exhausted", "input-full", "its input is full"),
            5,
            "its input is full",
        ),
        (
            problem(404, "not-found", "no-workload", "there is no web"),
            3,
            "there is no web",
        ),
    ] {
        let ran = ran(&["workload", "send", "web", "go"], b"", vec![answer]);
        assert_eq!((ran.code, ran.stdout.as_str()), (code, ""), "{ran:?}");
        assert!(ran.stderr.contains(said), "{ran:?}");
    }
}

#[test]
fn a_dry_run_answers_with_its_exit_code_and_makes_nothing() {
    let trial = |admitted: bool| {
        let reasons = match admitted {
            true => json!([]),
            false => {
                json!([{"code": "name-taken", "detail": "taken", "details": {"pointer": "/name"}}])
            }
        };
        let answer = json!({
            "admitted": admitted, "reasons": reasons, "node": admitted.then_some("local"), "warnings": [],
            "placement": [{"node": "local", "chosen": admitted, "reason": (!admitted).then_some("is not connected")}],
            "spec": {"command": ["true"]},
        });
        Answer::Json(200, answer)
    };
    let args = [
        "workload",
        "run",
        "--dry-run",
        "--secret",
        "TOKEN=token",
        "--",
        "true",
    ];
    let good = ran(&args, b"", vec![trial(true)]);
    assert_eq!((good.code, good.stderr.as_str()), (0, ""), "{good:?}");
    assert!(good.stdout.contains("go to local"), "{good:?}");
    assert_eq!(good.asked[0].line, "POST /api/v1/workloads?dry_run=true");
    assert_eq!(good.asked[0].key, None);
    let body: Value = serde_json::from_slice(&good.asked[0].body).unwrap();
    assert_eq!(body["env"], json!({"TOKEN": {"secret": "token"}}));
    let bad = ran(&args, b"", vec![trial(false)]);
    assert_eq!(bad.code, 4, "{bad:?}");
    assert!(bad.stdout.contains("/name: taken (name-taken)"), "{bad:?}");
    assert!(bad.stdout.contains("is not connected"), "{bad:?}");
    assert!(
        bad.stderr.starts_with("error: it would be refused"),
        "{bad:?}"
    );
    let json = ran(
        &[&args[..2], &["--output", "json"], &args[2..]].concat(),
        b"",
        vec![trial(false)],
    );
    assert_eq!(json.code, 4, "{json:?}");
    let shown: Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!(shown["reasons"][0]["code"], "name-taken");
}

#[test]
fn packets_are_printed_page_by_page() {
    let page = |items: Value, next: Option<&str>| {
        Answer::Json(200, json!({"items": items, "next": next, "head": 2}))
    };
    let entry = |seq: u64| json!({"seq": seq, "at_ms": 1, "packet": {"n": seq}});
    let ran = ran(
        &["workload", "packets", "web"],
        b"",
        vec![
            page(json!([entry(1)]), Some("1")),
            page(json!([entry(2)]), None),
        ],
    );
    assert_eq!(
        (ran.code, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, "{\"n\":1}\n{\"n\":2}\n", ""),
        "{ran:?}"
    );
    assert!(ran.asked[1].line.contains("after=1&"), "{ran:?}");
}

#[test]
fn a_followed_stream_of_packets_goes_on_after_a_restart_and_ends_with_its_workload() {
    let ran = ran(
        &["workload", "packets", "web", "--follow", "--after", "4"],
        b"",
        vec![
            Answer::Lines("{\"seq\":5,\"at_ms\":1,\"packet\":5}\n"),
            Answer::Lost,
            problem(503, "unavailable", "starting", "the host is starting"),
            Answer::Lines("{\"seq\":6,\"at_ms\":1,\"packet\":6}\n"),
            problem(404, "not-found", "no-workload", "there is no web"),
        ],
    );
    assert_eq!((ran.code, ran.stdout.as_str()), (3, "5\n6\n"), "{ran:?}");
    let afters: Vec<_> = ran
        .asked
        .iter()
        .map(|asked| asked.line.rsplit('=').next().unwrap())
        .collect();
    assert_eq!(afters, ["4", "5", "5", "5", "6"]);
}

/// A workload whose start is tried again and again.
fn stuck(why: &str, tries: u32) -> Answer {
    let error = json!({"kind": "unavailable", "code": "no-sealing-key", "message": why});
    workload(json!({
        "state": "starting", "error": error,
        "message": format!("{why} (tried {tries} times, trying again)"),
    }))
}

fn workload(fields: Value) -> Answer {
    let mut workload = json!({
        "id": "wl_01aryz6s41tsv4rrffq69g5fav", "name": "web", "backend": "native", "node": "local",
        "node_id": "nd_01aryz6s41tsv4rrffq69g5fav", "state": "running", "desired": "running",
        "exit_code": null, "generation": 2, "observed_generation": 2, "attempt": 1,
        "ports": {}, "labels": {}, "attributes": {}, "message": null, "error": null,
        "created_at_ms": 1, "started_at_ms": null, "finished_at_ms": null, "removing": false,
        "spec": {"backend": "native", "command": ["true"]},
    });
    let all = workload.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    Answer::Json(200, workload)
}

#[test]
fn what_a_start_waits_for_is_told_once_and_only_to_people() {
    let answers = || {
        vec![
            stuck("", 0),
            Answer::Events,
            stuck("there is no key", 1),
            Answer::Events,
            stuck("there is no key", 2),
            Answer::Events,
            stuck("there is another key", 3),
            Answer::Events,
            workload(json!({})),
        ]
    };
    let start = ["workload", "start", "web"];
    let people = ran(&start, b"", answers());
    assert_eq!(people.code, 0, "{people:?}");
    assert_eq!(
        people.stderr,
        "warning: web is starting: there is no key\nwarning: web is starting: there is another key\n"
    );
    assert_eq!(people.asked[0].line, "POST /api/v1/workloads/web/start");
    let programs = ran(
        &[&start[..], &["--output", "json"]].concat(),
        b"",
        answers(),
    );
    assert_eq!((programs.code, programs.stderr.as_str()), (0, ""));
}

#[test]
fn a_wait_with_a_timeout_ends_and_says_what_it_waited_for() {
    for args in [
        &["workload", "start", "web", "--timeout", "500ms"][..],
        &["workload", "run", "--wait", "--timeout", "500ms", "--", "x"],
    ] {
        let ran = ran(
            args,
            b"",
            vec![stuck("", 0), Answer::Events, stuck("there is no key", 7)],
        );
        assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{ran:?}");
        assert!(
            ran.stderr.contains(
                "error: after 500ms web is starting: there is no key (tried 7 times, trying again)"
            ),
            "{ran:?}"
        );
        assert!(ran.stderr.contains("workload show web"), "{ran:?}");
    }
}
