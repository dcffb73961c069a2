//! The bytes of a program beside a process: in and out, whoever comes and goes.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use fleet_capability::{Processes, Stdin};
use fleet_model::ErrorKind;
use futures::StreamExt;
use sha2::{Digest, Sha256};

use crate::exec_harness::{Seen, script, stands_still, words};
use crate::harness::{Host, Run, caller, until, within};

const MIB: usize = 1024 * 1024;

async fn host_of(host: &Host) -> Run<'_> {
    let run = host.script("echo ready > ready; exec sleep 100").await;
    run.start().await;
    run.file("ready").await;
    run
}

/// Bytes that are nowhere the same.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test]
async fn what_goes_in_comes_out() {
    let host = Host::new();
    let run = host_of(&host).await;
    let exec = run.exec("cat", words(&["cat"])).await;
    let source = exec.attach(0).await;
    let (mut output, mut input) = (source.output, source.input.unwrap());
    let bytes = noise(3 * MIB + 3);
    let given = async {
        for part in bytes.chunks(100_000) {
            input.give(part.to_vec().into()).await.unwrap();
        }
        input.end().await.unwrap();
        assert_eq!(input.taken(), bytes.len() as u64);
        let late = input.give("late".into()).await.unwrap_err();
        assert_eq!(
            (late.kind, late.code.as_str()),
            (ErrorKind::Conflict, "input-closed")
        );
        input.end().await.unwrap();
        // Nobody says what was seen from now on: what was read counts.
        drop(input);
    };
    let read = async {
        let mut seen = Seen::default();
        while let Some(frame) = output.next().await {
            seen.add(&frame.unwrap());
        }
        seen
    };
    let (_, seen) = within(futures::future::join(given, read)).await;
    assert!(seen.stdout == bytes);
    assert_eq!(exec.exit().await.code, 0);
}

#[tokio::test]
async fn an_input_of_nothing_ends_at_once() {
    let host = Host::new();
    let run = host_of(&host).await;
    let mut request = script("cat; echo done");
    request.stdin = Stdin::Null;
    let exec = run.exec("null", request).await;
    let mut source = exec.attach(0).await;
    let given = source.input.as_mut().unwrap().give("x".into()).await;
    assert_eq!(given.unwrap_err().code, "input-closed");
    assert_eq!(exec.output(0).await.text(), "done\n");
    // A program that reads no more is told apart from one that is slow.
    let exec = run
        .exec("deaf", script("exec <&-; echo deaf; sleep 60"))
        .await;
    let mut source = exec.attach(0).await;
    exec.reads(&mut source, &mut Seen::default(), "deaf\n")
        .await;
    let input = source.input.as_mut().unwrap();
    let given = within(async {
        loop {
            if let Err(error) = input.give("x".into()).await {
                return error;
            }
        }
    });
    assert_eq!(given.await.code, "input-closed");
}

#[tokio::test]
async fn a_reader_who_comes_back_misses_nothing_and_so_does_one_after_a_restart() {
    let host = Host::new();
    let run = host_of(&host).await;
    let text = "i=0; while [ $i -lt 3000 ]; do echo line $i; echo err $i >&2; i=$((i+1)); done; read line; exit 5";
    let exec = run.exec("count", script(text)).await;
    let mut seen = Seen::default();
    let mut reads = 0;
    while seen.stdout.len() < 5_000 {
        let mut source = exec.attach(seen.offset).await;
        for _ in 0..3 {
            let frame = within(source.output.next()).await.unwrap().unwrap();
            seen.add(&frame);
        }
        reads += 1;
    }
    assert!(reads > 0 && seen.gaps.is_empty());
    // Another host on the same folder, as after a restart. Its runtime is this one; what the first
    // held is gone with it.
    let second = host.again();
    let process = second.find(&run);
    let exec = exec.through(&second);
    let mut source = exec.attach(seen.offset).await;
    exec.reads(&mut source, &mut seen, "line 2999\n").await;
    source
        .input
        .as_mut()
        .unwrap()
        .give("go\n".into())
        .await
        .unwrap();
    while let Some(frame) = within(source.output.next()).await {
        seen.add(&frame.unwrap());
    }
    let lines = |word: &str| -> String { (0..3000).map(|i| format!("{word} {i}\n")).collect() };
    assert_eq!(seen.text(), lines("line"));
    assert_eq!(String::from_utf8(seen.stderr).unwrap(), lines("err"));
    assert_eq!(exec.exit().await.code, 5);
    // It stays for who asks for the same again.
    drop(source);
    assert_eq!(exec.output(0).await.text(), lines("line"));
    assert_eq!(process.inspect().await.pid, run.inspect().await.pid);
}

#[test]
fn a_program_outlives_its_host_and_is_found_again_by_name() {
    let host = Host::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (process, name, slot) = runtime.block_on(async {
        let run = host_of(&host).await;
        let text = "echo one; while [ ! -e next ]; do sleep 0.01; done; echo two; exit 4";
        let exec = run.exec("a", script(text)).await;
        let mut source = exec.attach(0).await;
        exec.reads(&mut source, &mut Seen::default(), "one\n").await;
        (run.reference.clone(), exec.name.clone(), run.workspace())
    });
    // With its runtime goes every task of the host, and every connection.
    drop(runtime);
    fs::write(slot.join("next"), "").unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let next = host.again();
        let exec = crate::exec_harness::Beside {
            host: &next,
            process,
            name,
            slot,
        };
        let seen = exec.output(4).await;
        assert_eq!((seen.text().as_str(), exec.exit().await.code), ("two\n", 4));
    });
}

#[tokio::test]
async fn a_reader_who_stops_holds_the_program_back_and_loses_nothing() {
    let host = Host::new();
    let run = host_of(&host).await;
    // 64 MiB, and after each a note of how far it came.
    let text =
        "i=0; while [ $i -lt 64 ]; do head -c 1048576 source; i=$((i+1)); echo $i > progress; done";
    let part = noise(MIB);
    fs::write(run.workspace().join("source"), &part).unwrap();
    let exec = run.exec("large", script(text)).await;
    let mut source = exec.attach(0).await;
    let mut seen = 0;
    let mut hash = Sha256::new();
    let progress = run.workspace().join("progress");
    let look = || fs::read_to_string(&progress).map_or(0, |text| text.trim().parse().unwrap_or(0));
    let written = stands_still(look).await;
    // 4 MiB are kept, and a pipe holds a part of the next.
    assert!((3..=4).contains(&written), "{written} MiB");
    while let Some(frame) = within(source.output.next()).await {
        let frame = frame.unwrap();
        assert_eq!(frame.stream, fleet_capability::Stream::Stdout);
        hash.update(&frame.bytes);
        seen += frame.bytes.len();
        let offset = crate::exec_harness::offset(&frame);
        source.input.as_mut().unwrap().seen(offset).await.unwrap();
    }
    assert_eq!(seen, 64 * MIB);
    let mut wanted = Sha256::new();
    (0..64).for_each(|_| wanted.update(&part));
    assert!(hash.finalize() == wanted.finalize());
    assert_eq!(exec.exit().await.code, 0);
}

#[tokio::test]
async fn what_is_in_the_pipes_at_the_end_is_kept_for_a_reader_who_stopped() {
    let host = Host::new();
    let run = host_of(&host).await;
    let bytes = noise(4 * MIB + 50_000);
    fs::write(run.workspace().join("source"), &bytes).unwrap();
    let exec = run.exec("large", script("cat source; exit 6")).await;
    let mut source = exec.attach(0).await;
    // It is told how it ended though nobody reads.
    assert_eq!(exec.exit().await.code, 6);
    let mut seen = Seen::default();
    while let Some(frame) = within(source.output.next()).await {
        seen.add(&frame.unwrap());
    }
    assert!(seen.gaps.is_empty() && seen.stdout == bytes);
}

#[tokio::test]
async fn what_nobody_reads_is_dropped_and_that_is_told() {
    let host = Host::new();
    let run = host_of(&host).await;
    let bytes = noise(10 * MIB + 5);
    fs::write(run.workspace().join("source"), &bytes).unwrap();
    let exec = run
        .exec("large", script("cat source; echo done > done"))
        .await;
    run.file("done").await;
    let seen = exec.output(0).await;
    let [gap] = seen.gaps[..] else {
        panic!("{:?}", seen.gaps)
    };
    assert_eq!(seen.offset, bytes.len() as u64);
    let from = usize::try_from(gap).unwrap();
    assert!(seen.stdout == bytes[from..]);
    let kept = bytes.len() - from;
    assert!((4 * MIB - 64 * 1024..5 * MIB).contains(&kept), "{kept}");
}

#[tokio::test]
async fn many_small_pieces_of_both_streams_keep_their_order() {
    let host = Host::new();
    let run = host_of(&host).await;
    let text = "i=0; while [ $i -lt 20000 ]; do echo x; echo y >&2; i=$((i+1)); done";
    let exec = run.exec("small", script(text)).await;
    let seen = exec.output(0).await;
    assert!(seen.gaps.is_empty());
    assert_eq!((seen.stdout.len(), seen.stderr.len()), (40_000, 40_000));
}

#[tokio::test]
async fn a_newcomer_takes_the_place_of_who_is_attached() {
    let host = Host::new();
    let run = host_of(&host).await;
    let exec = run.exec("a", words(&["cat"])).await;
    let mut first = exec.attach(0).await;
    first
        .input
        .as_mut()
        .unwrap()
        .give("one\n".into())
        .await
        .unwrap();
    exec.reads(&mut first, &mut Seen::default(), "one\n").await;
    let mut second = exec.attach(0).await;
    let error = within(first.output.next()).await.unwrap().unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Conflict, "attached-elsewhere")
    );
    assert!(within(first.output.next()).await.is_none());
    assert!(
        first
            .input
            .as_mut()
            .unwrap()
            .give("lost\n".into())
            .await
            .is_err()
    );
    let input = second.input.as_mut().unwrap();
    assert_eq!(input.taken(), 4);
    input.give("two\n".into()).await.unwrap();
    exec.reads(&mut second, &mut Seen::default(), "one\ntwo\n")
        .await;
    let beyond = exec.try_attach(9).await.err().unwrap();
    assert_eq!(
        (beyond.kind, beyond.code.as_str()),
        (ErrorKind::Invalid, "bad-cursor")
    );
}

/// One frame as the host sends it.
fn input(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut frame = vec![17];
    frame.extend_from_slice(&u32::try_from(bytes.len() + 8).unwrap().to_be_bytes());
    frame.extend_from_slice(&offset.to_be_bytes());
    frame.extend_from_slice(bytes);
    frame
}

#[tokio::test]
async fn input_of_the_same_offset_arrives_once() {
    let host = Host::new();
    let run = host_of(&host).await;
    let exec = run.exec("a", script("cat > kept; echo > done")).await;
    let attach = || {
        let mut line = UnixStream::connect(exec.slot.join("control")).unwrap();
        line.write_all(b"{\"attach\":{\"after\":0}}\n").unwrap();
        let mut begin = [0; 22];
        line.read_exact(&mut begin).unwrap();
        assert_eq!(begin[0], 1);
        let taken = u64::from_be_bytes(begin[5..13].try_into().unwrap());
        (line, taken)
    };
    let (mut line, taken) = attach();
    assert_eq!(taken, 0);
    for (offset, bytes) in [
        (0, &b"abc"[..]),
        (0, b"abc"),
        (1, b"bcd"),
        (4, b""),
        (3, b"de"),
    ] {
        line.write_all(&input(offset, bytes)).unwrap();
    }
    // Who was cut off says again what was not answered.
    let taken = loop {
        let (mut again, taken) = attach();
        again.write_all(&input(0, b"abcdef")).unwrap();
        if taken == 6 {
            again.write_all(&[18, 0, 0, 0, 0]).unwrap();
            // Held until it is over.
            until(|| run.workspace().join("done").exists().then_some(())).await;
            break taken;
        }
    };
    assert_eq!(taken, 6);
    assert_eq!(
        fs::read_to_string(run.workspace().join("kept")).unwrap(),
        "abcdef"
    );
    // What leaves a hole is not taken.
    let exec = run.exec("b", words(&["cat"])).await;
    let mut line = UnixStream::connect(exec.slot.join("control")).unwrap();
    line.write_all(b"{\"attach\":{\"after\":0}}\n").unwrap();
    line.read_exact(&mut [0; 22]).unwrap();
    line.write_all(&input(5, b"hole")).unwrap();
    assert_eq!(line.read(&mut [0; 1]).unwrap(), 0);
    let state = host
        .processes
        .inspect_exec(&caller(), &exec.name)
        .await
        .unwrap();
    assert_eq!(state, fleet_model::exec::ExecState::Running);
}

#[tokio::test]
async fn neither_way_waits_for_the_other() {
    let host = Host::new();
    let run = host_of(&host).await;
    // It says much before it reads anything, and it reads all that is sent meanwhile.
    let text = "head -c 1048576 /dev/zero; cat > kept; echo done > done";
    let exec = run.exec("a", script(text)).await;
    let source = exec.attach(0).await;
    let (mut output, mut input) = (source.output, source.input.unwrap());
    let bytes = noise(3 * MIB);
    within(input.give(bytes.clone().into())).await.unwrap();
    within(input.end()).await.unwrap();
    run.file("done").await;
    assert!(fs::read(run.workspace().join("kept")).unwrap() == bytes);
    let mut seen = Seen::default();
    while let Some(frame) = within(output.next()).await {
        seen.add(&frame.unwrap());
    }
    assert_eq!(seen.stdout.len(), MIB);
    assert_eq!(exec.exit().await.code, 0);
}
