//! Every byte a program writes, in order, as often as somebody asks, and no more.

use std::fs;
use std::io::Write;

use fleet_capability::{Frame, Open, OutputOptions, Processes, Stream};
use fleet_model::ErrorKind;
use futures::StreamExt;

use crate::harness::{Host, caller, joined, stdout, within};

fn all() -> OutputOptions {
    OutputOptions::default()
}

fn after(cursor: &str) -> OutputOptions {
    OutputOptions {
        cursor: Some(cursor.to_owned()),
        ..all()
    }
}

#[tokio::test]
async fn streams_keep_their_order_and_lines_their_time() {
    let host = Host::new();
    let run = host
        .script("echo one; echo two; printf 'no end'; echo oops >&2")
        .await;
    run.run().await;
    let frames = run.output(all()).await;
    assert_eq!(stdout(&frames), "one\ntwo\nno end");
    assert_eq!(joined(&frames, Stream::Stderr), b"oops\n");
    let times: Vec<u64> = frames.iter().map(|frame| frame.time_us.unwrap()).collect();
    assert!(times.is_sorted());
    let status = run.inspect().await;
    assert!(times[0] >= status.started_at_ms.unwrap() * 1_000);
}

#[tokio::test]
async fn binary_output_and_long_lines_come_back_byte_for_byte() {
    let host = Host::new();
    let run = host.script("cat data; printf tail").await;
    let mut state = 7_u32;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let mut data: Vec<u8> = (0..300_000).map(|_| random()).collect();
    data.extend_from_slice(&vec![b'x'; 200_000]);
    data.extend_from_slice(b"\n\n\r\n\0\n");
    fs::write(run.workspace().join("data"), &data).unwrap();
    run.run().await;
    data.extend_from_slice(b"tail");
    let frames = run.output(all()).await;
    assert!(joined(&frames, Stream::Stdout) == data);
    assert!(frames.iter().all(|frame| frame.bytes.len() <= 16 * 1024));
}

#[tokio::test]
async fn a_program_that_closes_its_output_runs_on() {
    let host = Host::new();
    let run = host
        .script("echo last; exec >&- 2>&-; sleep 0.2; exit 8")
        .await;
    assert_eq!(run.run().await.code, 8);
    assert_eq!(stdout(&run.output(all()).await), "last\n");
}

#[tokio::test]
async fn a_prompt_is_shown_before_its_line_ends() {
    let host = Host::new();
    let run = host.script("printf 'name? '; read line < go; echo").await;
    assert!(
        std::process::Command::new("mkfifo")
            .arg(run.workspace().join("go"))
            .status()
            .unwrap()
            .success()
    );
    run.start().await;
    let follow = OutputOptions {
        follow: true,
        ..all()
    };
    let mut source = host
        .processes
        .open(&caller(), &run.reference, Open::Output(follow))
        .await
        .unwrap()
        .output;
    let prompt = within(source.next()).await.unwrap().unwrap();
    assert_eq!(
        (prompt.bytes.as_ref(), prompt.complete),
        (&b"name? "[..], false)
    );
    fs::write(run.workspace().join("go"), "x\n").unwrap();
    let end = within(source.next()).await.unwrap().unwrap();
    assert_eq!((end.bytes.as_ref(), end.complete), (&b""[..], true));
}

#[tokio::test]
async fn ten_thousand_lines_tail_since_and_any_cursor() {
    let host = Host::new();
    let run = host
        .script("i=1; while [ $i -le 10000 ]; do echo $i; i=$((i+1)); done")
        .await;
    run.run().await;
    let frames = run.output(all()).await;
    let expected: Vec<String> = (1..=10_000).map(|n| n.to_string()).collect();
    let texts = |frames: &[Frame]| -> Vec<String> {
        frames
            .iter()
            .map(|frame| String::from_utf8(frame.bytes.to_vec()).unwrap())
            .collect()
    };
    assert_eq!(texts(&frames), expected);

    for at in [0, 1, 4_321, 9_998, 9_999] {
        let rest = run.output(after(frames[at].cursor.as_ref().unwrap())).await;
        assert_eq!(texts(&rest), expected[at + 1..]);
    }
    for count in [0, 1, 2, 3_000, 10_000, 20_000] {
        let tail = run
            .output(OutputOptions {
                tail: Some(count),
                ..all()
            })
            .await;
        let from = 10_000_usize.saturating_sub(usize::try_from(count).unwrap());
        assert_eq!(texts(&tail), expected[from..], "{count}");
    }
    let middle = frames[5_000].time_us.unwrap().div_ceil(1_000);
    let late = run
        .output(OutputOptions {
            since_ms: Some(middle),
            ..all()
        })
        .await;
    let wanted = frames
        .iter()
        .filter(|frame| frame.time_us.unwrap() >= middle * 1_000)
        .count();
    assert_eq!(late.len(), wanted);
}

#[tokio::test]
async fn a_tail_counts_lines_not_parts() {
    let host = Host::new();
    let run = host
        .script("echo first; head -c 40000 /dev/zero | tr '\\0' y; echo; printf part")
        .await;
    run.run().await;
    let tail = |count| {
        run.output(OutputOptions {
            tail: Some(count),
            ..all()
        })
    };
    assert_eq!(stdout(&tail(1).await), "part");
    assert_eq!(
        stdout(&tail(2).await),
        format!("{}\npart", "y".repeat(40_000))
    );
    assert!(stdout(&tail(3).await).starts_with("first\n"));
}

#[tokio::test]
async fn a_reader_that_resumes_across_rotation_misses_nothing_and_repeats_nothing() {
    let host = Host::logging(20_000, 1_000);
    // Pauses make many writes, so that there is something to rotate between.
    let run = host.script("i=1; while [ $i -le 5000 ]; do echo line $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.01; done").await;
    run.start().await;
    let (mut cursor, mut seen) = (None, Vec::new());
    while seen.len() < 5_000 {
        let options = OutputOptions {
            follow: true,
            cursor: cursor.clone(),
            ..all()
        };
        let source = host
            .processes
            .open(&caller(), &run.reference, Open::Output(options))
            .await
            .unwrap();
        let part: Vec<Frame> = within(
            source
                .output
                .take(333.min(5_000 - seen.len()))
                .map(Result::unwrap)
                .collect(),
        )
        .await;
        cursor = part.last().unwrap().cursor.clone();
        seen.extend(
            part.into_iter()
                .map(|frame| String::from_utf8(frame.bytes.to_vec()).unwrap()),
        );
    }
    run.exit().await;
    let expected: Vec<String> = (1..=5_000).map(|n| format!("line {n}")).collect();
    assert_eq!(seen, expected);
    assert!(
        fs::read_dir(run.workload_folder().join("logs"))
            .unwrap()
            .count()
            > 5
    );
    assert_eq!(run.output(after(cursor.as_ref().unwrap())).await, []);
    assert_eq!(run.output(all()).await.len(), 5_000);
}

#[tokio::test]
async fn what_rotation_took_is_said() {
    let host = Host::logging(10_000, 2);
    let run = host.script("echo first; read line < go; i=1; while [ $i -le 2000 ]; do echo line $i; i=$((i+1)); [ $((i % 50)) = 0 ] && sleep 0.005; done").await;
    assert!(
        std::process::Command::new("mkfifo")
            .arg(run.workspace().join("go"))
            .status()
            .unwrap()
            .success()
    );
    run.start().await;
    let follow = OutputOptions {
        follow: true,
        ..all()
    };
    let source = host
        .processes
        .open(&caller(), &run.reference, Open::Output(follow))
        .await
        .unwrap();
    let first = within({ source.output }.next()).await.unwrap().unwrap();
    fs::write(run.workspace().join("go"), "x\n").unwrap();
    run.exit().await;

    let rest = run.output(after(first.cursor.as_ref().unwrap())).await;
    assert_eq!(rest[0].stream, Stream::Event);
    assert!(
        String::from_utf8_lossy(&rest[0].bytes).contains("segments of the log are gone"),
        "{:?}",
        rest[0]
    );
    assert_eq!(
        rest.iter()
            .filter(|frame| frame.stream == Stream::Event)
            .count(),
        1
    );
    assert_eq!(rest.last().unwrap().bytes, "line 2000");
    assert_eq!(
        fs::read_dir(run.workload_folder().join("logs"))
            .unwrap()
            .count(),
        2
    );
    let resumed = run.output(after(rest[0].cursor.as_ref().unwrap())).await;
    assert_eq!(resumed, rest[1..]);
}

#[tokio::test]
async fn a_torn_line_is_left_behind() {
    let host = Host::new();
    let run = host.script("echo whole").await;
    let logs = run.workload_folder().join("logs");
    fs::write(
        logs.join("00000001.log"),
        "2026-01-31T12:00:00.000000000Z stdout F old\n2026-01-31T12:00:00.000000000Z stdout F to",
    )
    .unwrap();
    assert_eq!(stdout(&run.output(all()).await), "old\n");
    run.run().await;
    assert_eq!(stdout(&run.output(all()).await), "old\nwhole\n");
    assert_eq!(
        stdout(
            &run.output(OutputOptions {
                tail: Some(2),
                ..all()
            })
            .await
        ),
        "old\nwhole\n"
    );
}

#[tokio::test]
async fn a_follower_ends_when_the_log_is_removed() {
    let host = Host::new();
    let run = host.script("echo hello").await;
    run.run().await;
    let follow = OutputOptions {
        follow: true,
        ..all()
    };
    let mut source = host
        .processes
        .open(&caller(), &run.reference, Open::Output(follow))
        .await
        .unwrap()
        .output;
    assert_eq!(within(source.next()).await.unwrap().unwrap().bytes, "hello");
    run.remove().await;
    host.processes
        .workspaces()
        .remove(run.request.workload)
        .unwrap();
    assert_eq!(within(source.next()).await, None);
}

#[tokio::test]
async fn a_cursor_that_is_none_is_refused() {
    let host = Host::new();
    let run = host.script("echo hello").await;
    run.run().await;
    for bad in ["", "1", "1.3", "01.0", "9.0", "0.0", "1.99999", "../1.0"] {
        let error = host
            .processes
            .open(&caller(), &run.reference, Open::Output(after(bad)))
            .await
            .expect_err(bad);
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Invalid, "bad-cursor"),
            "{bad}"
        );
    }
}

#[tokio::test]
async fn followers_see_what_others_see() {
    let host = Host::new();
    let run = host
        .script("read line < go; i=1; while [ $i -le 500 ]; do echo $i; i=$((i+1)); done")
        .await;
    assert!(
        std::process::Command::new("mkfifo")
            .arg(run.workspace().join("go"))
            .status()
            .unwrap()
            .success()
    );
    run.start().await;
    let mut followers = Vec::new();
    for _ in 0..20 {
        let follow = OutputOptions {
            follow: true,
            ..all()
        };
        followers.push(
            host.processes
                .open(&caller(), &run.reference, Open::Output(follow))
                .await
                .unwrap()
                .output,
        );
    }
    let mut go = fs::OpenOptions::new()
        .write(true)
        .open(run.workspace().join("go"))
        .unwrap();
    go.write_all(b"x\n").unwrap();
    for follower in followers {
        let lines: Vec<Frame> = within(follower.take(500).map(Result::unwrap).collect()).await;
        assert_eq!(lines.last().unwrap().bytes, "500");
    }
}
