//! Commands reach the program's input in order and once, whoever goes away in between.

use std::fs;
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use fleet_capability::{OutputOptions, ProcessState, Processes, Stdin, Stream};
use fleet_model::{Attempt, Error, ErrorKind, Generation, Op, Verb};
use futures::future::join_all;

use crate::harness::{
    Host, Run, any, caller, joined, kill_9, lives, op, request, shim_of, until, within,
};

/// Keeps every line in a file of its workspace.
const KEEP: &str = "while read -r line; do echo \"$line\" >> kept; done";

impl Run<'_> {
    pub(crate) async fn send(&self, call: &str, text: &str) -> Result<(), Error> {
        self.send_bytes(call, text.as_bytes().to_vec()).await
    }

    pub(crate) async fn send_bytes(&self, call: &str, bytes: Vec<u8>) -> Result<(), Error> {
        let op = Op {
            call: call.to_owned(),
            ..op(&self.request, Verb::Send)
        };
        let processes = &self.host.processes;
        within(processes.send(&caller(), &op, &self.reference, bytes.into())).await
    }

    /// Waits until this is what the program kept.
    pub(crate) async fn kept(&self, expected: &[&str]) {
        let path = self.workspace().join("kept");
        let wanted: String = expected.iter().map(|line| format!("{line}\n")).collect();
        let found = until(|| {
            let found = fs::read_to_string(&path).unwrap_or_default();
            (found.len() >= wanted.len()).then_some(found)
        });
        assert_eq!(found.await, wanted);
    }

    /// Another try of the workload, not started.
    pub(crate) async fn next(&self, generation: u64, attempt: u64) -> Self {
        let op = Op {
            generation: Generation(generation),
            attempt: Attempt(attempt),
            ..op(&self.request, Verb::Create)
        };
        let processes = &self.host.processes;
        let prepared = processes
            .prepare(&caller(), &any(), &op, self.request.clone())
            .await
            .unwrap();
        Self {
            reference: prepared.reference.clone(),
            prepared,
            ..self.host.find(self)
        }
    }

    pub(crate) async fn events(&self) -> Vec<String> {
        let frames = self.output(OutputOptions::default()).await;
        let events = String::from_utf8(joined(&frames, Stream::Event)).unwrap();
        events.lines().map(str::to_owned).collect()
    }
}

fn code(answer: Result<(), Error>) -> (ErrorKind, String) {
    let error = answer.unwrap_err();
    (error.kind, error.code)
}

fn refused(kind: ErrorKind, code: &str) -> (ErrorKind, String) {
    (kind, code.to_owned())
}

#[tokio::test]
async fn commands_come_in_order_and_whole() {
    let host = Host::new();
    let script = format!("head -c 1048576 > large; {KEEP}");
    let run = host.script(&script).await;
    run.start().await;
    let large: Vec<u8> = (0..=255).cycle().take(1024 * 1024).collect();
    run.send_bytes("large", large.clone()).await.unwrap();
    let lines: Vec<String> = (0..60).map(|number| format!("line {number}")).collect();
    for line in &lines {
        run.send(line, &format!("{line}\n")).await.unwrap();
    }
    run.send("empty", "").await.unwrap();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    run.kept(&lines).await;
    assert!(fs::read(run.workspace().join("large")).unwrap() == large);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_key_is_one_delivery_however_often_it_is_asked_for() {
    let host = Host::new();
    let run = host.script(KEEP).await;
    run.start().await;
    let answers = join_all((0..50).map(|_| run.send("same", "once\n"))).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(
        code(run.send("same", "other\n").await),
        refused(ErrorKind::Conflict, "call-reused")
    );
    run.send("last", "last\n").await.unwrap();
    run.kept(&["once", "last"]).await;
    run.kill().await;
    run.exit().await;
    // The answer stays what it was, and so does the next try's.
    run.send("same", "once\n").await.unwrap();
    assert_eq!(
        code(run.send("same", "other\n").await),
        refused(ErrorKind::Conflict, "call-reused")
    );
    let next = run.next(2, 1).await;
    next.start().await;
    next.send("same", "once\n").await.unwrap();
    next.send("new", "new\n").await.unwrap();
    next.kept(&["once", "last", "new"]).await;
}

#[tokio::test]
async fn a_host_that_goes_in_between_loses_nothing_and_doubles_nothing() {
    let first = Host::new();
    let run = first.script(KEEP).await;
    run.start().await;
    run.send("a", "a\n").await.unwrap();
    let second = first.again();
    let run = second.find(&run);
    drop(first);
    run.send("a", "a\n").await.unwrap();
    run.send("b", "b\n").await.unwrap();
    run.kept(&["a", "b"]).await;
}

#[tokio::test]
async fn what_waits_goes_to_the_next_try_and_not_to_the_next_generation() {
    let host = Host::new();
    let deaf = "echo begun > begun; while [ ! -e loud ]; do sleep 0.01; done; ";
    let run = host.script(&format!("{deaf}{KEEP}")).await;
    run.start().await;
    run.file("begun").await;
    // What fits into the pipe is begun, and gone with this try.
    run.send("begun", &format!("{}\n", "x".repeat(70_000)))
        .await
        .unwrap();
    run.send("one", "one\n").await.unwrap();
    run.send("two", "two\n").await.unwrap();
    run.kill().await;
    run.exit().await;
    fs::write(run.workspace().join("loud"), "").unwrap();

    let second = run.next(1, 2).await;
    second.start().await;
    second.send("three", "three\n").await.unwrap();
    second.send("one", "one\n").await.unwrap();
    second.kept(&["one", "two", "three"]).await;
    assert!(run.events().await.is_empty());

    fs::remove_file(run.workspace().join("loud")).unwrap();
    second.kill().await;
    second.exit().await;
    let third = run.next(1, 3).await;
    third.start().await;
    third
        .send("begun too", &format!("{}\n", "x".repeat(70_000)))
        .await
        .unwrap();
    third.send("late", "late\n").await.unwrap();
    third.kill().await;
    third.exit().await;
    fs::write(run.workspace().join("loud"), "").unwrap();
    let newer = run.next(2, 1).await;
    newer.start().await;
    newer.send("now", "now\n").await.unwrap();
    newer.kept(&["one", "two", "three", "now"]).await;
    let events = run.events().await;
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        events[0].contains("`late`") && events[0].contains("generation 1"),
        "{events:?}"
    );
    newer.kill().await;
    newer.exit().await;
    let last = run.next(2, 2).await;
    last.start().await;
    assert_eq!(run.events().await.len(), 1, "it is said once");
}

#[tokio::test]
async fn a_program_that_does_not_read_is_waited_for_up_to_a_limit() {
    let host = Host::new();
    let deaf = "while [ ! -e loud ]; do echo tick; sleep 0.01; done; cat > all";
    let run = host.script(deaf).await;
    run.start().await;
    let part = vec![b'x'; 1024 * 1024];
    let mut sent = 0;
    let full = loop {
        match run.send_bytes(&format!("{sent}"), part.clone()).await {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
        assert!(sent < 20);
    };
    assert_eq!(
        (full.kind, full.code.as_str()),
        (ErrorKind::Exhausted, "input-full")
    );
    // One is begun and in the pipe as far as it goes; four wait.
    assert_eq!(sent, 5);
    // Neither its output nor what is asked of its keeper waits for that.
    let before = run.output(OutputOptions::default()).await.len();
    run.send_bytes("0", part.clone()).await.unwrap();
    until(|| {
        let log = run.workload_folder().join("logs/00000001.log");
        let lines = fs::read_to_string(log).unwrap().lines().count();
        (lines > before + 3).then_some(())
    })
    .await;
    fs::write(run.workspace().join("loud"), "").unwrap();
    let all = run.workspace().join("all");
    until(|| {
        let size = fs::metadata(&all).ok()?.len();
        (size == sent * 1024 * 1024).then_some(())
    })
    .await;
    run.send("more", "more\n").await.unwrap();
}

#[tokio::test]
async fn each_reason_not_to_take_a_command_has_its_code() {
    let host = Host::new();
    let mut silent = request(&["sh", "-c", "cat; echo done > kept; sleep 60"]);
    silent.stdin = Stdin::Null;
    let silent = host.prepared(silent).await;
    silent.start().await;
    silent.kept(&["done"]).await;
    assert_eq!(
        code(silent.send("a", "a").await),
        refused(ErrorKind::Unsupported, "no-stdin")
    );

    let run = host.script("exec <&-; echo closed > kept; sleep 60").await;
    assert_eq!(
        code(run.send("a", "a").await),
        refused(ErrorKind::Unavailable, "not-started")
    );
    run.start().await;
    run.kept(&["closed"]).await;
    let answer = until_ready(|| run.send("a", "a")).await;
    assert_eq!(answer, refused(ErrorKind::Conflict, "stdin-closed"));
    assert_eq!(
        code(run.send_bytes("a", vec![0; 1024 * 1024 + 1]).await),
        refused(ErrorKind::Invalid, "command-too-large")
    );
    assert_eq!(
        code(run.send("", "a").await),
        refused(ErrorKind::Invalid, "bad-op")
    );
    run.kill().await;
    run.exit().await;
    assert_eq!(
        code(run.send("a", "a").await),
        refused(ErrorKind::Conflict, "not-running")
    );

    let orphan = host.script("echo begun > kept; sleep 60").await;
    let pid = orphan.start().await.pid.unwrap();
    orphan.kept(&["begun"]).await;
    let shim = shim_of(&orphan);
    kill_9(shim);
    until(|| (!lives(shim)).then_some(())).await;
    assert_eq!(
        code(orphan.send("a", "a").await),
        refused(ErrorKind::Unavailable, "keeper-lost")
    );
    orphan.kill().await;
    until(|| (!lives(pid)).then_some(())).await;
    assert_eq!(
        code(orphan.send("a", "a").await),
        refused(ErrorKind::Conflict, "not-running")
    );

    let other = fleet_capability::Caller {
        plugin: "other".parse().unwrap(),
    };
    let op = Op {
        call: "a".into(),
        ..op(&orphan.request, Verb::Send)
    };
    let sent = host
        .processes
        .send(&other, &op, &orphan.reference, vec![b'a'].into());
    assert_eq!(sent.await.unwrap_err().kind, ErrorKind::NotFound);
}

/// Asks until it is refused: the shim sees a moment later what the program did.
async fn until_ready<F: Future<Output = Result<(), Error>>>(
    ask: impl Fn() -> F,
) -> (ErrorKind, String) {
    within(async {
        loop {
            if let Err(error) = ask().await {
                return (error.kind, error.code);
            }
        }
    })
    .await
}

#[tokio::test]
async fn silent_clients_hold_up_neither_the_program_nor_its_commands() {
    let host = Host::new();
    let script = format!("while :; do echo tick; sleep 0.01; done & {KEEP}");
    let run = host.script(&script).await;
    run.start().await;
    let control = run.slot().join("control");
    let mut clients = Vec::new();
    for number in 0..5 {
        let mut client = UnixStream::connect(&control).unwrap();
        client.write_all(&b"{\"send\":"[..number]).unwrap();
        clients.push(client);
    }
    let begun = Instant::now();
    run.send("a", "a\n").await.unwrap();
    run.kept(&["a"]).await;
    assert!(begun.elapsed() < Duration::from_secs(2));
    // A line that is none is answered, and one that never ends is cut off.
    let mut nonsense = UnixStream::connect(&control).unwrap();
    nonsense.write_all(b"nonsense\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut nonsense, &mut answer).unwrap();
    assert!(answer.contains("bad-demand"), "{answer}");
    let mut endless = UnixStream::connect(&control).unwrap();
    let chunk = vec![b'x'; 64 * 1024];
    let written = (0..100).take_while(|_| endless.write_all(&chunk).is_ok());
    assert!(written.count() < 100);
    // As many as there are places for: they are cut off in turn.
    while clients.len() < 8 {
        clients.push(UnixStream::connect(&control).unwrap());
    }
    run.send("b", "b\n").await.unwrap();
    run.kept(&["a", "b"]).await;
    assert_eq!(run.inspect().await.state, ProcessState::Running);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_starts_at_once_leave_one_keeper_that_can_be_reached() {
    let host = Host::new();
    let script = format!("echo $FLEET_PACKET_SOCKET > socket; {KEEP}");
    let run = host.script(&script).await;
    let answers = join_all((0..20).map(|_| run.try_start())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let socket = run.file("socket").await;
    // Those that came too late have gone, and took nothing along.
    let slot = run.slot();
    until(|| (crate::harness::members(&slot).len() == 1).then_some(())).await;
    run.send("a", "a\n").await.unwrap();
    run.kept(&["a"]).await;
    let mut line = UnixStream::connect(socket).unwrap();
    line.write_all(b"1\n").unwrap();
    line.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut line, &mut answer).unwrap();
    assert_eq!(answer, "{\"seq\":1}\n");
}

#[tokio::test]
async fn a_journal_that_cannot_be_written_refuses_and_is_tried_again() {
    let host = Host::new();
    let run = host.script(KEEP).await;
    run.start().await;
    // A file where its folder belongs.
    let folder = run.workload_folder().join("input");
    fs::write(&folder, "").unwrap();
    for _ in 0..2 {
        let error = run.send("a", "a\n").await.unwrap_err();
        assert!(error.kind.is_retryable(), "{error:?}");
    }
    fs::remove_file(&folder).unwrap();
    run.send("a", "a\n").await.unwrap();
    run.send("b", "b\n").await.unwrap();
    run.kept(&["a", "b"]).await;
}

#[tokio::test]
async fn a_torn_journal_is_put_right_by_the_next_try() {
    let host = Host::new();
    let run = host.script(KEEP).await;
    run.start().await;
    run.send("a", "a\n").await.unwrap();
    run.kept(&["a"]).await;
    run.kill().await;
    run.exit().await;
    let journal = run.workload_folder().join("input/journal");
    let mut text = fs::read(&journal).unwrap();
    text.extend_from_slice(b"{\"take\":{\"number\":2,");
    fs::write(&journal, &text).unwrap();
    let next = run.next(1, 2).await;
    next.start().await;
    next.send("a", "a\n").await.unwrap();
    next.send("b", "b\n").await.unwrap();
    next.kept(&["a", "b"]).await;
    next.kill().await;
    next.exit().await;
    let last = run.next(1, 3).await;
    last.start().await;
    last.send("b", "b\n").await.unwrap();
    last.send("c", "c\n").await.unwrap();
    last.kept(&["a", "b", "c"]).await;
}

#[tokio::test]
async fn a_long_path_is_no_obstacle() {
    let folder = tempfile::Builder::new()
        .prefix(&"x".repeat(120))
        .tempdir()
        .unwrap();
    let host = Host::in_folder(folder, fleet_capability::Options::default());
    let run = host.script(KEEP).await;
    assert!(run.slot().join("control").as_os_str().len() > 107);
    run.start().await;
    run.send("a", "a\n").await.unwrap();
    run.kept(&["a"]).await;
}
