//! Programs beside a workload, from the controller's stream to the double.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleet_capability::source::Stream;
use fleet_model::exec::{Exec, ExecId, ExecInput, ExecSpec, ExecState, TerminalSize};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::{BulkSink, BulkSource, BulkStream, ExecCall, Request};
use fleet_protocol::exec::{
    Attached, CHUNK_BYTES, INPUT_AHEAD_BYTES, Inward, KEPT_BYTES, Outward, key,
};
use fleet_seam::{Clock, SimClock};
use fleet_store::sim::Fault;
use serde::de::DeserializeOwned;

use super::script::workload;
use super::{Fixture, until};

impl Fixture {
    /// One whose workload runs.
    async fn running() -> Self {
        let mut node = Self::start().await;
        node.run().await;
        node
    }

    async fn run(&mut self) {
        let generation = self.script.want(1, Some(Desired::Running));
        until("running", || {
            self.script
                .status(1)
                .filter(|(g, s)| *g == generation && s.state == WorkloadState::Running)
        })
        .await;
    }

    async fn open(&self, call: ExecCall) -> Result<BulkStream, Error> {
        let generation = self.script.generation();
        let request = Request::Exec {
            item: ItemKey::workload(workload(1)),
            generation: Generation(generation),
            call,
        };
        within(self.script.open(&request)).await
    }

    async fn ask<T: DeserializeOwned>(&self, call: ExecCall) -> Result<T, Error> {
        let mut stream = self.open(call).await?;
        Ok(within(stream.receive_json()).await.unwrap().unwrap())
    }

    async fn begin(&self, call: &str, spec: ExecSpec) -> Result<Exec, Error> {
        let key = call.to_owned();
        self.ask(ExecCall::Start { key, spec }).await
    }

    async fn list(&self) -> Vec<Exec> {
        self.ask(ExecCall::List).await.unwrap()
    }

    async fn show(&self, call: &str) -> Result<Exec, Error> {
        self.ask(ExecCall::Show { exec: id(call) }).await
    }

    async fn attach(&self, call: &str, after: u64) -> Reader {
        let exec = id(call);
        let stream = self.open(ExecCall::Attach { exec, after }).await.unwrap();
        let (sink, source) = stream.split();
        let mut reader = Reader {
            sink,
            source,
            at: after,
        };
        match reader.next().await {
            Outward::Attached(attached) => assert_eq!(attached.after, after),
            other => panic!("{other:?}"),
        }
        reader
    }
}

fn id(call: &str) -> ExecId {
    ExecId {
        workload: workload(1),
        key: key(call),
    }
}

fn spec(command: &str) -> ExecSpec {
    ExecSpec {
        command: vec![command.to_owned()],
        env: Default::default(),
        input: ExecInput::Stream,
        terminal: None,
        timeout_ms: None,
    }
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what)
        .await
        .expect("it did not happen within 20 s")
}

/// Whoever is attached.
struct Reader {
    sink: BulkSink,
    source: BulkSource,
    at: u64,
}

impl Reader {
    async fn next(&mut self) -> Outward {
        let frame = within(self.source.receive()).await.expect("a frame");
        Outward::decode(frame.unwrap()).unwrap()
    }

    async fn say(&mut self, what: Inward) {
        within(self.sink.send(what.encode())).await.unwrap();
    }

    /// The next bytes of output, with what else came before them.
    async fn output(&mut self) -> (Stream, Bytes) {
        loop {
            let (stream, to, bytes) = match self.next().await {
                Outward::Stdout(to, bytes) => (Stream::Stdout, to, bytes),
                Outward::Stderr(to, bytes) => (Stream::Stderr, to, bytes),
                Outward::Taken(_) => continue,
                other => panic!("{other:?}"),
            };
            assert!(bytes.len() <= CHUNK_BYTES);
            assert_eq!(
                to,
                self.at + bytes.len() as u64,
                "no byte twice, none left out"
            );
            self.at = to;
            return (stream, bytes);
        }
    }

    async fn taken(&mut self, upto: u64) {
        loop {
            match self.next().await {
                Outward::Taken(taken) if taken >= upto => return,
                Outward::Taken(_) | Outward::Stdout(..) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn failed(&mut self) -> Error {
        loop {
            match self.next().await {
                Outward::Failed(error) => {
                    assert!(within(self.source.receive()).await.is_none());
                    return error;
                }
                Outward::Ended(state) => panic!("{state:?}"),
                _ => {}
            }
        }
    }

    async fn ended(&mut self) -> ExecState {
        loop {
            match self.next().await {
                Outward::Ended(state) => return state,
                Outward::Taken(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn code(state: &ExecState) -> i32 {
    match state {
        ExecState::Exited { exit, .. } => exit.code,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_is_begun_once_per_key_and_shown_until_its_workload_is_started_anew() {
    let mut node = Fixture::running().await;
    let begun = node.begin("k-1", spec("waits")).await.unwrap();
    assert_eq!((begun.id, &begun.state), (id("k-1"), &ExecState::Running));
    assert_eq!(node.begin("k-1", spec("waits")).await.unwrap(), begun);
    let other = node.begin("k-1", spec("another")).await.unwrap_err();
    assert_eq!(
        (other.kind, other.code.as_str()),
        (ErrorKind::Conflict, "call-reused")
    );
    node.begin("k-0", spec("waits")).await.unwrap();
    let listed = node.list().await;
    assert_eq!(
        listed.iter().map(|exec| exec.id).collect::<Vec<_>>(),
        [id("k-1"), id("k-0")]
    );
    assert_eq!(node.world.programs.of("k-1", |p| p.starts), Some(1));

    node.world.programs.exit("k-1", 3);
    assert_eq!(code(&node.show("k-1").await.unwrap().state), 3);
    // What is known for ever needs no backend.
    node.world.programs.remove("k-1").unwrap();
    assert_eq!(code(&node.show("k-1").await.unwrap().state), 3);
    assert_eq!(
        code(&node.begin("k-1", spec("waits")).await.unwrap().state),
        3
    );
    node.world.programs.remove("k-0").unwrap();
    assert!(matches!(
        node.show("k-0").await.unwrap().state,
        ExecState::Lost { .. }
    ));

    assert_eq!(node.show("k-9").await.unwrap_err().code, "no-such-exec");
    node.script.want(1, Some(Desired::Stopped));
    until("its end", || {
        node.script
            .status(1)
            .filter(|(_, s)| s.state == WorkloadState::Exited)
    })
    .await;
    assert_eq!(node.list().await.len(), 2);
    let refused = node.begin("k-2", spec("waits")).await.unwrap_err();
    assert_eq!(refused.code, "not-running");
    assert_eq!(
        code(&node.begin("k-1", spec("waits")).await.unwrap().state),
        3,
        "what was begun before is told also when nothing runs"
    );
    node.run().await;
    assert!(node.list().await.is_empty());
    assert_eq!(node.show("k-1").await.unwrap_err().code, "no-such-exec");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_leaves_nothing_behind_and_what_is_unsure_is_asked_again() {
    let mut node = Fixture::running().await;
    let missing = node.begin("k", spec("missing")).await.unwrap_err();
    assert_eq!(missing.code, "program-missing");
    assert!(node.list().await.is_empty());
    // The key is free again.
    node.begin("k", spec("waits")).await.unwrap();

    let unsure = node.begin("h", spec("hidden")).await.unwrap_err();
    assert_eq!(unsure.kind, ErrorKind::Unavailable);
    let starts = || {
        node.world
            .programs
            .of("h", |p| p.starts)
            .filter(|starts| *starts == 2)
    };
    until("the node to ask again by itself", starts).await;
    let begun = node.begin("h", spec("hidden")).await.unwrap();
    assert_eq!(begun.state, ExecState::Running);
    assert_eq!(node.world.programs.count(), 2);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_was_begun_is_not_forgotten_because_its_backend_is_busy_later() {
    let mut node = Fixture::running().await;
    let slow = Error::new(ErrorKind::Deadline, "deadline", "it took too long");
    let exhausted = |code| Error::new(ErrorKind::Exhausted, code, "no room");
    let errors = [slow, exhausted("queue"), exhausted("too-many-execs")];
    node.world.programs.say_instead("k", errors);
    let unsure = node.begin("k", spec("waits")).await.unwrap_err();
    assert_eq!(unsure.kind, ErrorKind::Deadline);
    let starts = || {
        let starts = node.world.programs.of("k", |p| p.starts);
        starts.filter(|starts| *starts == 4)
    };
    until("the node to ask again by itself", starts).await;
    let begun = node.begin("k", spec("waits")).await.unwrap();
    assert_eq!(node.list().await, [begun]);
    assert_eq!(node.world.programs.of("k", |p| p.starts), Some(4));

    // Whoever asks first and finds no room leaves nothing behind.
    node.world
        .programs
        .say_instead("l", [exhausted("too-many-execs")]);
    node.begin("l", spec("waits")).await.unwrap_err();
    assert_eq!(node.list().await.len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_run_at_once_and_those_whose_end_nobody_saw_do_not_count() {
    let mut node = Fixture::running().await;
    for n in 0..32 {
        node.begin(&n.to_string(), spec("waits")).await.unwrap();
    }
    let full = node.begin("x", spec("waits")).await.unwrap_err();
    assert_eq!(full.code, "too-many-execs");
    assert_eq!(node.world.programs.of("x", |_| ()), None);
    node.world.programs.exit("7", 0);
    node.begin("x", spec("waits")).await.unwrap();
    // Beyond 64 the ones that are over for longest are forgotten, at the backend too.
    for n in 100..140 {
        for exec in node.list().await {
            if exec.state == ExecState::Running {
                let call = (0..140).map(|n| n.to_string());
                let mut call = call.chain(["x".to_owned()]);
                let call = call.find(|call| key(call) == exec.id.key).unwrap();
                node.world.programs.exit(&call, 0);
            }
        }
        node.begin(&n.to_string(), spec("waits")).await.unwrap();
    }
    assert_eq!(node.list().await.len(), 64);
    assert_eq!(node.world.programs.count(), 64);
    assert_eq!(node.show("0").await.unwrap_err().code, "no-such-exec");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_attaches_has_both_streams_in_order_and_the_end() {
    let mut node = Fixture::running().await;
    node.begin("k", spec("waits")).await.unwrap();
    let programs = &node.world.programs;
    programs.print("k", Stream::Stdout, b"out\0");
    programs.print("k", Stream::Stderr, b"err");
    let mut reader = node.attach("k", 0).await;
    assert_eq!(
        reader.output().await,
        (Stream::Stdout, Bytes::from_static(b"out\0"))
    );
    assert_eq!(
        reader.output().await,
        (Stream::Stderr, Bytes::from_static(b"err"))
    );
    programs.print("k", Stream::Stdout, &vec![7; 3 * CHUNK_BYTES]);
    let mut more = 0;
    while more < 3 * CHUNK_BYTES {
        more += reader.output().await.1.len();
    }
    // Whoever goes away leaves it as it is, and comes back to where they were.
    let at = reader.at;
    drop(reader);
    programs.print("k", Stream::Stdout, b"meanwhile");
    let mut reader = node.attach("k", at).await;
    assert_eq!(reader.output().await.1, "meanwhile");
    programs.exit("k", 9);
    assert_eq!(code(&reader.ended().await), 9);
    let all = reader.at;
    reader.say(Inward::Seen(all)).await;
    until("the program to know what was seen", || {
        programs.of("k", |p| p.seen == all).filter(|seen| *seen)
    })
    .await;

    // Of what is not kept any more a gap is told.
    programs.drop_until("k", 5);
    let mut late = node.attach("k", 2).await;
    assert_eq!(late.next().await, Outward::Gap(2, 5));
    late.at = 5;
    assert_eq!(late.output().await.0, Stream::Stderr);
    drop(late);
    // Of one that its backend has forgotten, the end is still told.
    programs.remove("k").unwrap();
    let mut later = node.attach("k", all).await;
    assert_eq!(code(&later.ended().await), 9);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn input_is_given_once_in_order_and_acknowledged() {
    let mut node = Fixture::running().await;
    node.begin("k", spec("cat")).await.unwrap();
    let mut reader = node.attach("k", 0).await;
    let input = |at, text: &'static str| Inward::Input(at, Bytes::from_static(text.as_bytes()));
    reader.say(input(0, "one ")).await;
    reader.say(input(4, "two ")).await;
    reader.taken(8).await;
    reader.say(input(4, "two three")).await;
    reader.taken(13).await;
    let gap = input(99, "lost");
    reader.say(gap).await;
    assert_eq!(reader.failed().await.code, "input-gap");

    let exec = id("k");
    let stream = node
        .open(ExecCall::Attach { exec, after: 0 })
        .await
        .unwrap();
    let (sink, source) = stream.split();
    let mut again = Reader {
        sink,
        source,
        at: 0,
    };
    let attached = Attached {
        after: 0,
        taken: 13,
        terminal: false,
    };
    assert_eq!(again.next().await, Outward::Attached(attached));
    again.say(input(8, "three four")).await;
    again.say(Inward::InputEnd).await;
    let mut echoed = Vec::new();
    while echoed.len() < 18 {
        echoed.extend(again.output().await.1);
    }
    assert_eq!(echoed, b"one two three four");
    assert_eq!(code(&again.ended().await), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_ends_the_attachment_and_not_the_program() {
    let mut node = Fixture::running().await;
    let blind = ExecSpec {
        input: ExecInput::Null,
        ..spec("waits")
    };
    node.begin("k", blind).await.unwrap();
    let size = TerminalSize {
        columns: 80,
        rows: 24,
    };
    let ahead = usize::try_from(INPUT_AHEAD_BYTES).unwrap();
    node.begin("d", spec("deaf")).await.unwrap();
    for (exec, said, want) in [
        ("k", Inward::Input(0, Bytes::from_static(b"x")), "no-input"),
        ("k", Inward::InputEnd, "no-input"),
        ("k", Inward::Resize(size), "no-terminal"),
        ("k", Inward::Signal("NOPE".into()), "unknown-signal"),
        (
            "d",
            Inward::Input(0, Bytes::from(vec![0; ahead + 1])),
            "input-ahead",
        ),
    ] {
        let mut reader = node.attach(exec, 0).await;
        reader.say(said).await;
        assert_eq!(reader.failed().await.code, want);
    }
    let mut reader = node.attach("k", 0).await;
    let garbage = reader.sink.send(Bytes::from_static(b"\xff??"));
    garbage.await.unwrap();
    assert_eq!(reader.failed().await.code, "exec-frame");
    assert_eq!(node.show("k").await.unwrap().state, ExecState::Running);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sizes_and_signals_arrive_and_a_signal_by_its_key_once() {
    let mut node = Fixture::running().await;
    let size = |columns| TerminalSize { columns, rows: 24 };
    let screen = ExecSpec {
        terminal: Some(size(80)),
        ..spec("waits")
    };
    node.begin("k", screen).await.unwrap();
    let mut reader = node.attach("k", 0).await;
    reader.say(Inward::Resize(size(132))).await;
    reader.say(Inward::Signal("sigwinch".into())).await;
    let programs = &node.world.programs;
    until("both", || {
        programs
            .of("k", |p| (p.sizes.clone(), p.signals.clone()))
            .filter(|(sizes, signals)| !sizes.is_empty() && !signals.is_empty())
    })
    .await;
    assert_eq!(programs.of("k", |p| p.sizes.clone()), Some(vec![size(132)]));
    for _ in 0..2 {
        let call = ExecCall::Signal {
            exec: id("k"),
            key: "s-1".into(),
            signal: "USR1".into(),
        };
        within(node.open(call)).await.unwrap();
    }
    let sent = programs.of("k", |p| p.signals.clone()).unwrap();
    let names: Vec<_> = sent.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["WINCH", "USR1"]);

    let signal = |name: &str| ExecCall::Signal {
        exec: id("k"),
        key: name.into(),
        signal: name.into(),
    };
    let unknown = node.open(signal("NOPE")).await.unwrap_err();
    assert_eq!(unknown.code, "unknown-signal");
    within(node.open(signal("TERM"))).await.unwrap();
    assert_eq!(code(&reader.ended().await), 143);
    let over = node.open(signal("HUP")).await.unwrap_err();
    assert_eq!(over.code, "exec-over");
    let call = ExecCall::Remove { exec: id("k") };
    within(node.open(call)).await.unwrap();
    assert_eq!(programs.count(), 0);
    assert_eq!(node.show("k").await.unwrap_err().code, "no-such-exec");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_later_has_it_and_the_one_before_is_told() {
    let mut node = Fixture::running().await;
    node.begin("k", spec("cat")).await.unwrap();
    let mut first = node.attach("k", 0).await;
    first.say(Inward::Input(0, Bytes::from_static(b"a"))).await;
    first.taken(1).await;
    let mut second = node.attach("k", 0).await;
    let told = first.failed().await;
    assert_eq!(
        (told.kind, told.code.as_str()),
        (ErrorKind::Conflict, "attached-elsewhere")
    );
    assert_eq!(second.output().await.1, "a");
    node.world.programs.exit("k", 0);
    assert_eq!(code(&second.ended().await), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_does_not_read_holds_up_nothing_but_its_input() {
    let mut node = Fixture::running().await;
    node.begin("k", spec("deaf")).await.unwrap();
    let mut reader = node.attach("k", 0).await;
    let much = usize::try_from(INPUT_AHEAD_BYTES).unwrap();
    let input = Bytes::from(vec![1; much]);
    reader.say(Inward::Input(0, input)).await;
    node.world
        .programs
        .print("k", Stream::Stdout, b"still here");
    assert_eq!(reader.output().await.1, "still here");
    reader.say(Inward::Signal("USR1".into())).await;
    until("the signal", || {
        node.world
            .programs
            .of("k", |p| p.signals.len())
            .filter(|sent| *sent == 1)
    })
    .await;
    node.world.programs.exit("k", 0);
    assert_eq!(code(&reader.ended().await), 0);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_held_back_by_its_output_and_does_not_read_goes_on_when_it_is_seen() {
    let mut node = Fixture::running().await;
    // Each byte becomes a KiB: input waits behind output that was seen long ago.
    node.begin("k", spec("swell")).await.unwrap();
    let mut reader = node.attach("k", 0).await;
    let input: Bytes = (0..12 * 1024_u32).map(|n| n.to_le_bytes()[0]).collect();
    reader.say(Inward::Input(0, input.clone())).await;
    let (mut at, mut told) = (0_usize, 0);
    while at < input.len() * 1024 {
        for byte in reader.output().await.1 {
            assert_eq!(byte, input[at / 1024], "at {at}");
            at += 1;
        }
        if reader.at - told >= KEPT_BYTES / 8 {
            told = reader.at;
            reader.say(Inward::Seen(told)).await;
        }
    }
    reader.say(Inward::InputEnd).await;
    assert_eq!(code(&reader.ended().await), 0);
    let opens = node.world.programs.of("k", |p| p.opens).unwrap();
    assert!(opens > 1, "the source was opened {opens} times");
    let given = node.world.programs.of("k", |p| p.input.clone()).unwrap();
    assert_eq!(given, input, "each byte once, however often it was opened");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_breaks_is_opened_again_and_given_up_when_it_goes_on_breaking() {
    let mut node = Fixture::running().await;
    node.begin("k", spec("waits")).await.unwrap();
    let programs = &node.world.programs;
    programs.print("k", Stream::Stdout, b"all of it");
    programs.break_source("k", 2);
    let mut reader = node.attach("k", 0).await;
    assert_eq!(reader.output().await.1, "all of it");
    drop(reader);
    programs.break_source("k", 99);
    let mut reader = node.attach("k", 0).await;
    assert_eq!(reader.failed().await.code, "source-broken");
    assert_eq!(node.show("k").await.unwrap().state, ExecState::Running);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_crashes_and_comes_back_has_the_same_programs() {
    let mut node = Fixture::running().await;
    node.begin("k", spec("cat")).await.unwrap();
    let mut reader = node.attach("k", 0).await;
    reader
        .say(Inward::Input(0, Bytes::from_static(b"before")))
        .await;
    reader.taken(6).await;
    node.crash().await;
    while let Some(Ok(_)) = within(reader.source.receive()).await {}
    node.world
        .programs
        .print("k", Stream::Stderr, b"while it was away");
    node.boot().await;
    let mut reader = node.attach("k", 6).await;
    assert_eq!(reader.output().await.1, "while it was away");
    node.world.programs.exit("k", 4);
    assert_eq!(code(&reader.ended().await), 4);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_each_step_of_a_start_begins_one_program() {
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for nth in [1, 2] {
            let mut node = Fixture::running().await;
            quiet(&node).await;
            node.disk.inject(nth, fault);
            let crashed = node.disk.clone();
            let begun = tokio::select! {
                begun = node.begin("k", spec("waits")) => Some(begun),
                () = async {
                    while crashed.counters().crashes_in_commit == 0 {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                } => None,
            };
            assert!(
                begun.is_none_or(|begun| begun.is_err()),
                "{fault:?} at {nth}: it was acknowledged before it was on the disk"
            );
            let fired = node.disk.counters().crashes_in_commit;
            assert_eq!(fired, 1, "{fault:?} at {nth} did not fire");
            let before = node.world.programs.count();
            assert_eq!(before, usize::from(nth == 2), "{fault:?} at {nth}");
            node.crash().await;
            node.boot().await;
            if (nth, fault) != (1, Fault::CrashBefore) {
                // It was written down: the node goes on by itself.
                until("the program", || {
                    (node.world.programs.count() == 1).then_some(())
                })
                .await;
            }
            let begun = node.begin("k", spec("waits")).await.unwrap();
            assert_eq!(begun.state, ExecState::Running);
            assert_eq!(node.world.programs.count(), 1);
            assert_eq!(node.list().await, [begun]);
            node.stop().await;
        }
    }
}

/// Waits until nothing is written any more.
async fn quiet(node: &Fixture) {
    until("the event", || {
        (node.script.heard(|heard| heard.packets.len()) == 1).then_some(())
    })
    .await;
    let mut last = (0, tokio::time::Instant::now());
    until("no more commits", || {
        let commits = node.disk.counters().commits;
        if commits != last.0 {
            last = (commits, tokio::time::Instant::now());
        }
        (last.1.elapsed() > Duration::from_millis(100)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_time_is_over_is_ended_step_by_step_also_by_a_host_that_came_back() {
    let clock = Arc::new(SimClock::new(1_700_000_000_000));
    // Sessions need the time to pass at all times.
    let ticking = tokio::spawn({
        let clock = clock.clone();
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(1)).await;
                clock.advance(Duration::from_millis(20));
            }
        }
    });
    let mut node = Fixture::timed(clock.clone());
    node.boot().await;
    node.run().await;
    let timed = |command, timeout_ms| ExecSpec {
        timeout_ms: Some(timeout_ms),
        ..spec(command)
    };
    let begun_ms = clock.boot_ms();
    for command in ["waits", "stubborn", "immortal", "quick"] {
        node.begin(command, timed(command, 20_000)).await.unwrap();
    }
    node.begin("later", timed("later", 3_600_000))
        .await
        .unwrap();
    node.world.programs.exit("quick", 0);
    // A part of the time passes while there is no host.
    node.crash().await;
    until("some time", || {
        (clock.boot_ms() > begun_ms + 5_000).then_some(())
    })
    .await;
    node.boot().await;

    let world = node.world.clone();
    let signals = |exec: &str| {
        let names = world.programs.of(exec, |p| p.signals.clone());
        let names = names.into_iter().flatten().map(|(name, _)| name);
        names.collect::<Vec<_>>()
    };
    let at = |count: usize| {
        let clock = clock.clone();
        move |seen: Vec<String>| (seen.len() == count).then(|| clock.boot_ms())
    };
    let asked_ms = until("TERM", || at(1)(signals("immortal"))).await;
    assert!(asked_ms >= begun_ms + 20_000, "{}", asked_ms - begun_ms);
    let killed_ms = until("KILL", || at(2)(signals("immortal"))).await;
    // The probe may have seen the first of them a little late.
    assert!(killed_ms >= begun_ms + 25_000, "{}", killed_ms - begun_ms);
    until("its removal", || {
        world
            .programs
            .of("immortal", |_| ())
            .is_none()
            .then_some(())
    })
    .await;
    assert!(clock.boot_ms() >= begun_ms + 30_000);
    assert_eq!(signals("waits"), ["TERM"]);
    assert_eq!(signals("stubborn"), ["TERM", "KILL"]);
    for (exec, want) in [("stubborn", 137), ("immortal", 137), ("waits", 143)] {
        let mut state = node.show(exec).await.unwrap().state;
        while !state.is_over() {
            // It is gone a moment before that is written down.
            state = node.show(exec).await.unwrap().state;
        }
        assert!(
            matches!(&state, ExecState::Exited { exit, timed_out: true } if exit.code == want),
            "{exec}: {state:?}"
        );
    }
    // One that had ended in time was left alone, and so is one whose time has not come.
    assert_eq!(signals("quick"), Vec::<String>::new());
    assert!(matches!(
        node.show("quick").await.unwrap().state,
        ExecState::Exited {
            timed_out: false,
            ..
        }
    ));
    assert_eq!(node.show("later").await.unwrap().state, ExecState::Running);
    ticking.abort();
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_hangs_delays_the_deadlines_of_no_other() {
    let mut node = Fixture::running().await;
    let timed = |command| ExecSpec {
        timeout_ms: Some(1_000),
        ..spec(command)
    };
    // More than have places.
    for n in 0..12 {
        node.begin(&format!("h-{n}"), timed("hung")).await.unwrap();
    }
    let generation = node.script.want_with(
        2,
        Some(Desired::Running),
        serde_json::json!({"backend": "other"}),
    );
    until("running", || {
        let status = node.script.status(2);
        status.filter(|(at, status)| *at == generation && status.state == WorkloadState::Running)
    })
    .await;
    // The times of all of them are over.
    node.clock.sleep(Duration::from_secs(2)).await;
    let request = Request::Exec {
        item: ItemKey::workload(workload(2)),
        generation: Generation(generation),
        call: ExecCall::Start {
            key: "k".into(),
            spec: timed("waits"),
        },
    };
    within(node.script.open(&request)).await.unwrap();
    until("TERM", || {
        let signals = node.world.programs.of("k", |p| p.signals.len());
        signals.filter(|signals| *signals == 1)
    })
    .await;
    let hung = node.world.programs.of("h-0", |p| p.signals.len());
    assert_eq!(hung, Some(0), "it is still asked how it is");
    node.stop().await;
}
