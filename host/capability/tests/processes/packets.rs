//! Packets: what a program emits is numbered, kept once, and found by whichever host comes.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleet_capability::{LocalSpools, Options, PacketLimits, PacketSpools, SpooledPacket};
use fleet_model::StoreId;
use fleet_seam::SystemClock;

use crate::harness::{Host, Run, lives, until, within};

/// Tells where its socket is, and stays.
const STAY: &str = "echo $FLEET_PACKET_SOCKET > socket; exec sleep 60";

impl Host {
    pub(crate) fn spools(&self) -> LocalSpools {
        LocalSpools::open(self.processes.workspaces(), Arc::new(SystemClock)).unwrap()
    }
}

impl Run<'_> {
    pub(crate) async fn packets(&self, spools: &LocalSpools) -> Vec<SpooledPacket> {
        let mut all: Vec<SpooledPacket> = Vec::new();
        loop {
            let after = all.last().map_or(0, |packet| packet.seq);
            let part = spools.read(self.request.workload, after, 10_000).await;
            let part = part.unwrap().map_or_else(Vec::new, |part| part.packets);
            if part.is_empty() {
                return all;
            }
            all.extend(part);
        }
    }

    async fn socket(&self) -> PathBuf {
        self.file("socket").await.into()
    }

    async fn connect(&self) -> Client {
        let stream = UnixStream::connect(self.socket().await).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        Client {
            lines: BufReader::new(stream),
        }
    }
}

/// A connection of a test.
struct Client {
    lines: BufReader<UnixStream>,
}

impl Client {
    fn say(&mut self, text: &str) {
        self.lines.get_mut().write_all(text.as_bytes()).unwrap();
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

fn numbers(packets: &[SpooledPacket]) -> Vec<u64> {
    packets.iter().map(|packet| packet.seq).collect()
}

fn texts(packets: &[SpooledPacket]) -> Vec<&str> {
    packets.iter().map(|packet| packet.json.as_str()).collect()
}

#[tokio::test]
async fn ten_thousand_packets_of_eight_connections_are_each_kept_once() {
    let host = Host::new();
    let spools = host.spools();
    let script = r#"
import json, os, socket, threading
def emit(thread):
    line = socket.socket(socket.AF_UNIX)
    line.connect(os.environ["FLEET_PACKET_SOCKET"])
    answers = line.makefile()
    for batch in range(25):
        line.sendall(b"".join(b'{"of":%d,"n":%d}\n' % (thread, batch * 50 + n) for n in range(50)))
        numbers = [json.loads(answers.readline())["seq"] for _ in range(50)]
        assert numbers == sorted(numbers), numbers
threads = [threading.Thread(target=emit, args=(n,)) for n in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
"#;
    let run = host.command(&["python3", "-c", script]).await;
    let exit = run.run().await;
    assert_eq!(exit.code, 0, "{:?}", run.output(Default::default()).await);
    let changed = within(spools.changed()).await;
    assert_eq!(changed, [run.request.workload]);
    let packets = run.packets(&spools).await;
    assert_eq!(numbers(&packets), (1..=10_000).collect::<Vec<u64>>());
    let different: BTreeSet<&str> = texts(&packets).into_iter().collect();
    assert_eq!(different.len(), 10_000);
    assert!(
        packets
            .iter()
            .all(|packet| packet.at_ms <= exit.at_ms.unwrap() + 5_000)
    );
    // Of one connection they are in order.
    let of_three = texts(&packets)
        .into_iter()
        .filter(|text| text.contains("\"of\":3,"));
    let expected = (0..1_250).map(|n| format!("{{\"of\":3,\"n\":{n}}}"));
    assert!(of_three.eq(expected));
}

#[tokio::test]
async fn each_line_is_answered_and_what_is_refused_says_why_and_is_logged() {
    let host = Host::new();
    let run = host.script(STAY).await;
    run.start().await;
    let mut client = run.connect().await;
    let fits = format!("\"{}\"", "x".repeat(64 * 1024 - 2));
    client.say(&format!("{{\"a\": 1}}\r\n{fits}\nnope\n{fits}x\n"));
    client.say("[1,\n\n2\n");
    assert_eq!(client.hear(), "{\"seq\":1}");
    assert_eq!(client.hear(), "{\"seq\":2}");
    for why in [
        "not JSON",
        "larger than 65536 bytes",
        "not JSON: EOF",
        "an empty line",
    ] {
        let answer = client.hear();
        assert!(
            answer.starts_with("{\"error\":\"") && answer.contains(why),
            "{answer}"
        );
    }
    assert_eq!(client.hear(), "{\"seq\":3}");
    // A last line needs no line feed, and whoever closes one way still hears the answer.
    client.say("4");
    client
        .lines
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    assert_eq!(client.hear(), "{\"seq\":4}");
    assert_eq!(client.hear(), "");

    let packets = run.packets(&host.spools()).await;
    assert_eq!(texts(&packets), ["{\"a\": 1}", &fits, "2", "4"]);
    assert_eq!(run.events().await.len(), 1, "they are not said one by one");
    run.kill().await;
    run.exit().await;
    let events = run.events().await;
    assert!(
        events.iter().all(|event| event.contains("refused")),
        "{events:?}"
    );
    let count: u64 = events
        .iter()
        .map(|event| event.split(' ').next().unwrap().parse::<u64>().unwrap_or(1))
        .sum();
    assert_eq!(count, 4, "{events:?}");
}

#[tokio::test]
async fn packets_that_cannot_be_kept_are_refused_and_the_next_are_not() {
    let host = Host::new();
    let run = host.script(STAY).await;
    run.start().await;
    // A file where the spool belongs.
    let folder = run.workload_folder().join("packets");
    fs::write(&folder, "").unwrap();
    let mut client = run.connect().await;
    client.say("1\n2\n");
    for _ in 0..2 {
        let answer = client.hear();
        assert!(answer.contains("it cannot be kept now: "), "{answer}");
    }
    fs::remove_file(&folder).unwrap();
    client.say("3\n");
    assert_eq!(client.hear(), "{\"seq\":1}");
    assert_eq!(texts(&run.packets(&host.spools()).await), ["3"]);
}

#[tokio::test]
async fn what_was_said_before_the_end_is_there_when_the_exit_is() {
    let host = Host::new();
    // 40 connections at once, none of which reads its answers, and an end in the same moment.
    let script = r#"
import os, socket
lines = []
for n in range(40):
    line = socket.socket(socket.AF_UNIX)
    line.connect(os.environ["FLEET_PACKET_SOCKET"])
    lines.append(line)
for line in lines:
    for n in range(50):
        line.sendall(b'{"n":%d}\n' % n)
    line.sendall(b'"last"')
os._exit(0)
"#;
    let run = host.command(&["python3", "-c", script]).await;
    run.run().await;
    let packets = run.packets(&host.spools()).await;
    assert_eq!(packets.len(), 40 * 51);
    assert_eq!(numbers(&packets), (1..=40 * 51).collect::<Vec<u64>>());
    let last = texts(&packets)
        .into_iter()
        .filter(|text| *text == "\"last\"");
    assert_eq!(last.count(), 40);
}

#[tokio::test]
async fn a_client_that_never_reads_and_a_hundred_that_are_silent_hold_up_nobody() {
    let host = Host::new();
    let run = host.script(STAY).await;
    run.start().await;
    let mut deaf = run.connect().await;
    // More answers than its connection and the keeper together hold.
    let many = "1\n".repeat(50_000);
    let writing = std::thread::spawn(move || {
        deaf.say(&many);
        deaf
    });
    until(|| writing.is_finished().then_some(())).await;
    let mut deaf = writing.join().unwrap();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(run.connect().await);
    }
    let spools = host.spools();
    within(async {
        while run.packets(&spools).await.len() < 50_000 {
            spools.changed().await;
        }
    })
    .await;
    // All places are taken by the first of them; it serves those, and the others when they go.
    silent[0].say("\"early\"\n");
    assert_eq!(silent[0].hear(), "{\"seq\":50001}");
    let mut late = silent.pop().unwrap();
    late.say("\"late\"\n");
    silent.clear();
    assert_eq!(late.hear(), "{\"seq\":50002}");
    // What it does hear are whole lines, in order.
    deaf.say("\"end\"\n");
    deaf.lines
        .get_ref()
        .shutdown(std::net::Shutdown::Write)
        .unwrap();
    let mut heard = String::new();
    deaf.lines.read_to_string(&mut heard).unwrap();
    let heard: Vec<u64> = heard
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"]
                .as_u64()
                .unwrap()
        })
        .collect();
    assert!(heard.is_sorted() && heard.len() < 50_001, "{}", heard.len());
}

#[tokio::test]
async fn numbers_path_and_spool_stay_over_tries_generations_and_hosts() {
    let first = Host::new();
    let run = first.script(STAY).await;
    run.start().await;
    let socket = run.socket().await;
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let spools = first.spools();
    assert!(
        spools
            .read(run.request.workload, 0, 100)
            .await
            .unwrap()
            .is_none()
    );
    let mut client = run.connect().await;
    client.say("\"one\"\n");
    assert_eq!(client.hear(), "{\"seq\":1}");
    assert_eq!(within(spools.changed()).await, [run.request.workload]);
    let spool = spools
        .read(run.request.workload, 0, 100)
        .await
        .unwrap()
        .unwrap()
        .spool;

    let host = first.again();
    let run = host.find(&run);
    drop(first);
    client.say("\"two\"\n");
    assert_eq!(client.hear(), "{\"seq\":2}");
    drop(client);
    run.kill().await;
    run.exit().await;
    assert!(!socket.exists());
    fs::remove_file(run.workspace().join("socket")).unwrap();
    let next = run.next(2, 1).await;
    next.start().await;
    assert_eq!(next.socket().await, socket);
    let mut client = next.connect().await;
    client.say("\"three\"\n");
    assert_eq!(client.hear(), "{\"seq\":3}");

    // A host that comes is told of all that is there, and once.
    let spools = host.spools();
    assert_eq!(within(spools.changed()).await, [run.request.workload]);
    let packets = run.packets(&spools).await;
    assert_eq!(texts(&packets), ["\"one\"", "\"two\"", "\"three\""]);
    let two = spools
        .read(run.request.workload, 0, 9)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((two.spool, two.packets.len()), (spool, 1));
    assert_eq!(
        spools
            .read(run.request.workload, 0, 10)
            .await
            .unwrap()
            .unwrap()
            .packets
            .len(),
        2
    );

    // What is stored elsewhere is not told again, by no host; another spool's mark is not taken.
    spools
        .trim(run.request.workload, StoreId::new(1, 1), 3)
        .await
        .unwrap();
    spools.trim(run.request.workload, spool, 2).await.unwrap();
    assert_eq!(texts(&run.packets(&spools).await), ["\"three\""]);
    spools.trim(run.request.workload, spool, 1).await.unwrap();
    assert_eq!(texts(&run.packets(&host.spools()).await), ["\"three\""]);
    spools.trim(run.request.workload, spool, 3).await.unwrap();
    let spools = host.spools();
    let mut quiet = std::pin::pin!(spools.changed());
    assert!(
        tokio::time::timeout(Duration::from_millis(200), &mut quiet)
            .await
            .is_err()
    );
    client.say("\"four\"\n");
    assert_eq!(client.hear(), "{\"seq\":4}");
    assert_eq!(within(quiet).await, [run.request.workload]);
}

#[tokio::test]
async fn at_the_cap_the_oldest_go_and_the_numbers_show_it() {
    let host = Host::with(Options {
        packets: PacketLimits {
            segment_bytes: 4_000,
            total_bytes: 20_000,
        },
        ..Options::default()
    });
    let run = host.script(STAY).await;
    run.start().await;
    let mut client = run.connect().await;
    for number in 1..=1_000 {
        client.say(&format!("{number}\n"));
    }
    for number in 1..=1_000 {
        assert_eq!(client.hear(), format!("{{\"seq\":{number}}}"));
    }
    let packets = run.packets(&host.spools()).await;
    let first = packets[0].seq;
    assert!(first > 1);
    assert_eq!(numbers(&packets), (first..=1_000).collect::<Vec<u64>>());
    assert!(
        packets
            .iter()
            .all(|packet| packet.json == packet.seq.to_string())
    );
    let size: u64 = fs::read_dir(run.workload_folder().join("packets"))
        .unwrap()
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum();
    assert!(size < 20_200, "{size}");
}

#[tokio::test]
async fn a_spool_torn_by_a_power_loss_goes_on_behind_what_is_whole() {
    let host = Host::new();
    let run = host.script(STAY).await;
    run.start().await;
    let mut client = run.connect().await;
    client.say("1\n2\n");
    client.hear();
    assert_eq!(client.hear(), "{\"seq\":2}");
    drop(client);
    run.kill().await;
    run.exit().await;
    let segment = run
        .workload_folder()
        .join("packets/00000000000000000001.jsonl");
    let mut text = fs::read(&segment).unwrap();
    text.extend_from_slice(b"{\"seq\":3,\"at_ms\":1,\"pac");
    fs::write(&segment, &text).unwrap();
    assert_eq!(numbers(&run.packets(&host.spools()).await), [1, 2]);
    fs::remove_file(run.workspace().join("socket")).unwrap();
    let next = run.next(1, 2).await;
    next.start().await;
    let mut client = next.connect().await;
    client.say("\"new\"\n");
    assert_eq!(client.hear(), "{\"seq\":3}");
    assert_eq!(numbers(&run.packets(&host.spools()).await), [1, 2, 3]);
}

#[tokio::test]
async fn a_long_path_has_a_short_socket_that_goes_with_the_workload() {
    let folder = tempfile::Builder::new()
        .prefix(&"x".repeat(120))
        .tempdir()
        .unwrap();
    let host = Host::in_folder(folder, Options::default());
    let run = host.script(STAY).await;
    run.start().await;
    let socket = run.socket().await;
    assert!(socket.as_os_str().len() <= 107, "{socket:?}");
    let folder = fs::metadata(socket.parent().unwrap()).unwrap();
    assert_eq!(folder.permissions().mode() & 0o777, 0o700);
    let mut client = run.connect().await;
    client.say("1\n");
    assert_eq!(client.hear(), "{\"seq\":1}");
    // A keeper that is killed leaves it there.
    let shim = crate::harness::shim_of(&run);
    crate::harness::kill_9(shim);
    until(|| (!lives(shim)).then_some(())).await;
    assert!(socket.exists());
    assert_eq!(client.hear(), "");
    run.remove().await;
    host.processes
        .workspaces()
        .remove(run.request.workload)
        .unwrap();
    assert!(!socket.exists());
}
