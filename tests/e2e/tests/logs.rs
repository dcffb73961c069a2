//! Logs: every line once, however they are followed; any bytes; what is gone is told.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests: a failure is a failing test, and they wait for real processes"
)]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fleet_e2e::{Host, wait_for};
use rustix::process::{Pid, Signal, kill_process};

/// Prints so many lines in bursts, so that followers see it grow.
const COUNT: &str = r#"
import sys, time
total = int(sys.argv[1])
for start in range(0, total, 4000):
    print("\n".join("line %d" % n for n in range(start, min(start + 4000, total))), flush=True)
    time.sleep(0.02)
"#;

fn count(host: &Host, lines: u64, cap: &str) {
    let total = lines.to_string();
    host.cli([
        "workload", "run", "--name", "count", "--log", cap, "--wait", "--", "python3", "-c", COUNT,
        &total,
    ])
    .ok();
}

/// A reader of the log, whose output goes into a file.
struct Reader {
    child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Reader {
    fn start(host: &Host, name: &str, args: &[&str]) -> Self {
        let file = |end: &str| host.scratch().join(format!("{name}.{end}"));
        let (out, err) = (file("out"), file("err"));
        let child = follow(host)
            .args(args)
            .stdout(File::create(&out).unwrap())
            .stderr(File::create(&err).unwrap())
            .spawn()
            .unwrap();
        Self { child, out, err }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for its end, and answers its exit code.
    fn ended(&mut self, seconds: u64) -> Option<i32> {
        wait_for("the reader's end", seconds, || {
            self.child.try_wait().unwrap()
        })
        .code()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn follow(host: &Host) -> Command {
    let mut command = host.command();
    command
        .args(["workload", "logs", "count", "--follow"])
        .stdin(Stdio::null());
    command
}

/// Asserts that a file has every line once, in order.
fn has_all(file: &Path, lines: u64) {
    let text = std::fs::read_to_string(file).unwrap();
    let mut seen = text.lines();
    for number in 0..lines {
        let line = seen.next().unwrap_or_else(|| panic!("{number} is missing"));
        assert_eq!(line, format!("line {number}"), "{}", file.display());
    }
    assert_eq!(seen.next(), None, "{}", file.display());
}

#[test]
fn three_followers_see_every_line_of_200_000_once() {
    three_followers(200_000, "64MiB", Duration::from_secs(2));
}

#[test]
#[ignore = "the full size, for `cargo xtask soak`"]
fn three_followers_see_every_line_of_10_million_once() {
    three_followers(10_000_000, "2GiB", Duration::from_secs(60));
}

/// Whether every thread of a program is stopped.
fn stands_still(pid: u32) -> bool {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks.flatten().all(|task| {
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        // The state stands behind the name, which is in brackets.
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        state.is_some_and(|state| state.starts_with('T'))
    })
}

/// One reads on, one is stopped for a while, one reconnects by cursor again and again.
fn three_followers(lines: u64, cap: &str, pause: Duration) {
    let host = Host::start();
    count(&host, lines, cap);
    let mut steady = Reader::start(&host, "steady", &[]);
    let mut stopped = Reader::start(&host, "stopped", &[]);
    let size = |file: &Path| std::fs::metadata(file).unwrap().len();
    wait_for("its first lines", 60, || {
        (size(&stopped.out) > 0).then_some(())
    });
    stopped.signal(Signal::STOP);
    // A write that was under way ends first.
    let pid = stopped.child.id();
    wait_for("its standing still", 60, || stands_still(pid).then_some(()));
    let stopped_at = Instant::now();
    let held = size(&stopped.out);

    let last = format!("line {}\n", lines - 1);
    let whole = host.scratch().join("by-cursor");
    let mut text = Vec::new();
    let mut cursor: Option<String> = None;
    let mut reconnects = 0;
    let mut resumed = false;
    while !text.ends_with(last.as_bytes()) {
        let mut args = vec!["--show-cursor"];
        args.extend(
            cursor
                .iter()
                .flat_map(|cursor| ["--cursor", cursor.as_str()]),
        );
        let mut reader = Reader::start(&host, "piece", &args);
        // Long enough to see something, and never at the same place.
        std::thread::sleep(Duration::from_millis(120 + reconnects % 7 * 13));
        let interrupted = reader.child.try_wait().unwrap().is_none();
        if interrupted {
            reader.signal(Signal::INT);
        }
        assert_eq!(reader.ended(60), Some(0), "{cursor:?}");
        text.extend(std::fs::read(&reader.out).unwrap());
        let said = std::fs::read_to_string(&reader.err).unwrap();
        let place = said.trim().strip_prefix("cursor: ").map(str::to_owned);
        cursor = place.or(cursor);
        reconnects += 1;
        if !resumed && stopped_at.elapsed() >= pause {
            assert_eq!(size(&stopped.out), held, "it was stopped");
            stopped.signal(Signal::CONT);
            resumed = true;
        }
    }
    assert!(reconnects >= 3, "it reconnected only {reconnects} times");
    std::fs::write(&whole, &text).unwrap();
    has_all(&whole, lines);
    if !resumed {
        std::thread::sleep(pause.saturating_sub(stopped_at.elapsed()));
        assert_eq!(size(&stopped.out), held, "it was stopped");
        stopped.signal(Signal::CONT);
    }
    for reader in [&mut steady, &mut stopped] {
        assert_eq!(reader.ended(600), Some(0));
        has_all(&reader.out, lines);
        assert_eq!(std::fs::read_to_string(&reader.err).unwrap(), "");
    }
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn twenty_followers_see_the_same_log() {
    followers(20, 20_000);
}

#[test]
#[ignore = "the full size, for `cargo xtask soak`"]
fn two_hundred_followers_see_the_same_log() {
    followers(200, 200_000);
}

fn followers(readers: usize, lines: u64) {
    let host = Host::start();
    count(&host, lines, "64MiB");
    let mut all: Vec<Reader> = (0..readers)
        .map(|n| Reader::start(&host, &format!("follower-{n}"), &[]))
        .collect();
    for reader in &mut all {
        assert_eq!(reader.ended(300), Some(0));
        has_all(&reader.out, lines);
    }
    host.cli(["workload", "rm", "--all"]).ok();
}

fn printed(host: &Host, name: &str, args: &[&str], command: &str) -> (Vec<u8>, String) {
    let begin = ["workload", "run", "--name", name];
    let end = ["--wait", "--", "sh", "-c", command];
    let args: Vec<&str> = begin
        .into_iter()
        .chain(args.iter().copied())
        .chain(end)
        .collect();
    host.cli(&args).ok();
    let _ = host.wait_state(name, "exited");
    let out = host
        .command()
        .args(["workload", "logs", name])
        .output()
        .unwrap();
    assert!(out.status.success(), "{out:?}");
    (out.stdout, String::from_utf8(out.stderr).unwrap())
}

#[test]
fn any_bytes_survive_lines_of_any_length_and_none_at_all() {
    let host = Host::start();
    let (bytes, err) = printed(
        &host,
        "binary",
        &[],
        r"printf '\000\377\n\r\033[1m\n\n'; printf 'no end'; printf 'oh\n' >&2",
    );
    assert_eq!(bytes, b"\0\xff\n\r\x1b[1m\n\nno end");
    assert_eq!(err, "oh\n");

    const LONG: usize = 50 << 20;
    let line = format!("head -c {LONG} /dev/zero | tr '\\000' x; echo; echo next");
    let (bytes, _) = printed(&host, "long", &[], &line);
    assert_eq!(bytes.len(), LONG + 6);
    assert!(bytes[..LONG].iter().all(|byte| *byte == b'x'));
    assert_eq!(&bytes[LONG..], b"\nnext\n");

    let endless = format!("head -c {} /dev/zero", 1 << 20);
    let (bytes, _) = printed(&host, "endless", &[], &endless);
    assert_eq!(bytes, vec![0; 1 << 20]);
    host.cli(["workload", "rm", "--all"]).ok();
}

#[test]
fn what_the_limit_took_is_told_and_the_rest_is_kept_until_the_workload_is_removed() {
    let mut host = Host::start();
    let (bytes, err) = printed(&host, "much", &["--log", "256KiB"], "seq 1 200000");
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with("\n199999\n200000\n"));
    assert!(text.len() < 256 << 10 && !text.starts_with("1\n"));
    assert!(
        err.starts_with("fleet-host: ") && err.contains("gone") && err.lines().count() == 1,
        "{err}"
    );
    // What is asked for is all there: nothing to tell.
    let tail = host.cli(["workload", "logs", "much", "--tail", "2"]).ok();
    assert_eq!(
        (tail.stdout.as_str(), tail.stderr.as_str()),
        ("199999\n200000\n", "")
    );
    let more = host
        .cli(["workload", "logs", "much", "--tail", "100000"])
        .ok();
    assert!(more.stderr.contains("gone"), "{}", more.stderr);
    let since = host.cli(["workload", "logs", "much", "--since", "1h"]).ok();
    assert!(since.stderr.contains("gone") && since.stdout == text);
    let none = host.cli([
        "workload",
        "logs",
        "much",
        "--since",
        "2099-01-01T00:00:00Z",
    ]);
    let none = none.ok();
    assert_eq!((none.stdout.as_str(), none.stderr.as_str()), ("", ""));

    host.kill();
    host.start_again();
    assert_eq!(host.cli(["workload", "logs", "much"]).ok().stdout, text);
    let place = host
        .cli(["workload", "logs", "much", "--tail", "1", "--show-cursor"])
        .ok();
    let cursor = place
        .stderr
        .trim()
        .strip_prefix("cursor: ")
        .unwrap()
        .to_owned();
    let rest = host.cli([
        "workload",
        "logs",
        "much",
        "--cursor",
        &cursor,
        "--show-cursor",
    ]);
    let rest = rest.ok();
    assert_eq!(rest.stdout, "");
    assert_eq!(rest.stderr, format!("cursor: {cursor}\n"));
    let bad = host.cli(["workload", "logs", "much", "--cursor", "9.x"]);
    assert_eq!(bad.code, 4, "{bad:?}");
    let lines = host
        .cli([
            "workload", "logs", "much", "--tail", "1", "--output", "json",
        ])
        .ok();
    let line = lines.json();
    assert_eq!(
        (&line["text"], &line["stream"]),
        (&"200000".into(), &"stdout".into())
    );
    assert!(line["time"].is_string() && line["cursor"] == cursor.as_str());

    host.cli(["workload", "rm", "much"]).ok();
    assert_eq!(host.cli(["workload", "logs", "much"]).code, 3);
}
