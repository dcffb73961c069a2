//! Streams: lines with times, readers that come back, streams that are held.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fleet_capability::endpoint::Request;
use fleet_capability::{Frame, Source, Stream};
use fleet_model::{Error, Verb};
use futures::StreamExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use crate::harness::{A, PART, World, code, until};
use crate::server::{Heard, Reply};

const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const UPGRADED: &[u8] = b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n";

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let head = format!("{:x}\r\n", bytes.len());
    [head.as_bytes(), bytes, b"\r\n"].concat()
}

fn mux(stream: u8, text: &str) -> Vec<u8> {
    let length = u32::try_from(text.len()).unwrap().to_be_bytes();
    [&[stream, 0, 0, 0], &length[..], text.as_bytes()].concat()
}

fn made(heard: &Heard) -> Reply {
    let id = if heard.target.ends_with("/parts") {
        PART
    } else {
        A
    };
    Reply::Json(201, json!({"id": id}).to_string())
}

/// `n` entries, three of each time.
fn entries(n: usize) -> Vec<(String, String, String)> {
    let entry = |number: usize| {
        let nanos = 100 + number / 3;
        (
            format!("1700000000.{nanos:09}"),
            format!("2023-11-14T22:13:20.{nanos:09}Z"),
            format!("line {number}\n"),
        )
    };
    (0..n).map(entry).collect()
}

/// Gives the entries from the query's `since` on.
fn log(heard: &Heard) -> Reply {
    let Some((_, query)) = heard.target.split_once("/output") else {
        return made(heard);
    };
    let since = query.split("since=").nth(1).unwrap_or("0").to_owned();
    let mut bytes = CHUNKED.to_vec();
    for (number, (unix, stamp, line)) in entries(20).into_iter().enumerate() {
        if unix >= since {
            let stream = if number % 2 == 0 { 1 } else { 2 };
            // In two parts, so that a frame does not come at once.
            let frame = mux(stream, &format!("{stamp} {line}"));
            bytes.extend(chunk(&frame[..5]));
            bytes.extend(chunk(&frame[5..]));
        }
    }
    bytes.extend(b"0\r\n\r\n");
    Reply::Bytes(bytes)
}

async fn open(world: &World, cursor: Option<&str>) -> Result<Source, Error> {
    let mut request = Request::new("GET", &format!("/things/{A}/output"));
    if let Some(cursor) = cursor {
        request = request.attribute("cursor", cursor);
    }
    world.endpoints.open_stream(&world.look(), request).await
}

#[tokio::test]
async fn lines_have_their_time_and_stream_and_a_reader_goes_on_exactly() {
    let world = World::new();
    let server = world.serve(log);
    world.make().await.unwrap();
    let all: Vec<Frame> = open(&world, None)
        .await
        .unwrap()
        .output
        .map(Result::unwrap)
        .collect()
        .await;
    assert_eq!(all.len(), 20);
    assert_eq!(all[1].stream, Stream::Stderr);
    assert_eq!(all[4].bytes, "line 4");
    assert_eq!(all[4].time_us, Some(1_700_000_000_000_000));
    assert!(all.iter().all(|frame| frame.complete));
    for (number, frame) in all.iter().enumerate() {
        let source = open(&world, frame.cursor.as_deref()).await.unwrap();
        let rest: Vec<Bytes> = source
            .output
            .map(|frame| frame.unwrap().bytes)
            .collect()
            .await;
        let want: Vec<Bytes> = all[number + 1..]
            .iter()
            .map(|frame| frame.bytes.clone())
            .collect();
        assert_eq!(rest, want, "after {number}");
    }
    assert!(
        server.lines()[2].contains("/output?since=1699999998."),
        "{:?}",
        server.lines()
    );
    let tail = Request::new("GET", &format!("/things/{A}/output")).query("tail", "1");
    let cursor = all[9].cursor.clone().unwrap();
    let tail = tail.attribute("cursor", &cursor);
    let opened = world.endpoints.open_stream(&world.look(), tail).await;
    assert_eq!(opened.unwrap().output.count().await, 10);
    assert!(!server.lines().last().unwrap().contains("tail"));
    assert_eq!(code(open(&world, Some("x")).await), "bad-cursor");
    let request = Request::new("GET", &format!("/things/{A}/output")).attribute("framing", "other");
    let opened = world.endpoints.open_stream(&world.look(), request).await;
    assert_eq!(code(opened), "bad-framing");
}

#[tokio::test]
async fn a_stream_that_is_refused_or_cut_short_says_so() {
    let world = World::new();
    let status = Arc::new(Mutex::new(404));
    let now = status.clone();
    let _server = world.serve(move |heard| {
        if !heard.target.contains("/output") {
            return made(heard);
        }
        match *now.lock().unwrap() {
            200 => Reply::Bytes(
                [
                    CHUNKED,
                    &chunk(&mux(1, "2023-11-14T22:13:20Z a\n")),
                    &chunk(&mux(1, "half")[..10]),
                ]
                .concat(),
            ),
            status => Reply::Json(status, json!({"message": "not so"}).to_string()),
        }
    });
    world.make().await.unwrap();
    for (answer, kind) in [
        (404, "NotFound"),
        (409, "Conflict"),
        (500, "Unavailable"),
        (400, "Invalid"),
    ] {
        *status.lock().unwrap() = answer;
        let error = open(&world, None).await.unwrap_err();
        assert_eq!(
            (format!("{:?}", error.kind).as_str(), error.code.as_str()),
            (kind, "service-refused")
        );
        assert!(error.message.contains("not so") && error.details["status"] == answer.to_string());
    }
    *status.lock().unwrap() = 200;
    let items: Vec<_> = open(&world, None).await.unwrap().output.collect().await;
    assert_eq!(items[0].as_ref().unwrap().bytes, "a");
    assert_eq!(
        items.last().unwrap().as_ref().unwrap_err().code,
        "cut-short"
    );
}

#[tokio::test]
async fn events_wake_as_they_come_and_streams_are_counted() {
    let world = World::new();
    let (tell, mut opened) = mpsc::unbounded_channel::<mpsc::UnboundedSender<Vec<u8>>>();
    let _server = world.serve(move |_| {
        let (say, mut said) = mpsc::unbounded_channel::<Vec<u8>>();
        tell.send(say).unwrap();
        Reply::Then(
            CHUNKED.to_vec(),
            Box::new(move |mut stream: UnixStream| {
                tokio::spawn(async move {
                    while let Some(bytes) = said.recv().await {
                        let _ = stream.write_all(&bytes).await;
                    }
                })
            }),
        )
    });
    let events = async || {
        let request = Request::new("GET", "/events");
        world.endpoints.open_stream(&world.look(), request).await
    };
    let mut sources = vec![events().await.unwrap()];
    let say = opened.recv().await.unwrap();
    assert!(futures::poll!(sources[0].output.next()).is_pending());
    say.send(chunk(b"{\"a\":1}\n")).unwrap();
    assert_eq!(
        sources[0].output.next().await.unwrap().unwrap().bytes,
        "{\"a\":1}"
    );
    for _ in 1..4 {
        sources.push(events().await.unwrap());
    }
    assert_eq!(code(events().await), "endpoint-busy");
    drop(sources);
    until("their places are free again", async || {
        events().await.is_ok()
    })
    .await;
}

/// A program: says what it hears on stdout, and its length on stderr.
fn echo(heard: &Heard) -> Reply {
    if !heard.target.ends_with("/start") {
        return made(heard);
    }
    assert_eq!(heard.headers["upgrade"], "tcp");
    Reply::Then(
        UPGRADED.to_vec(),
        Box::new(|mut stream: UnixStream| {
            tokio::spawn(async move {
                let mut buffer = vec![0; 1_024];
                while let Ok(count) = stream.read(&mut buffer).await {
                    if count == 0 {
                        let _ = stream.write_all(&mux(1, "bye")).await;
                        return;
                    }
                    let text = String::from_utf8(buffer[..count].to_vec()).unwrap();
                    stream.write_all(&mux(1, &text)).await.unwrap();
                    stream.write_all(&mux(2, &count.to_string())).await.unwrap();
                }
            })
        }),
    )
}

async fn part(world: &World) -> fleet_capability::endpoint::Call {
    world.make().await.unwrap();
    let exec = world.effect(1, 1, Verb::Exec);
    let make = Request::new("POST", &format!("/things/{A}/parts"));
    world.endpoints.send(&exec, make).await.unwrap();
    exec
}

fn start() -> Request {
    Request::new("POST", &format!("/parts/{PART}/start"))
}

async fn read(source: &mut Source, bytes: usize) -> Vec<(Stream, Bytes)> {
    let (mut found, mut count) = (Vec::new(), 0);
    while count < bytes {
        let frame = source.output.next().await.unwrap().unwrap();
        count += frame.bytes.len();
        found.push((frame.stream, frame.bytes));
    }
    found
}

#[tokio::test]
async fn a_stream_that_is_held_goes_on_without_a_reader() {
    let world = World::new();
    let server = world.serve(echo);
    let exec = part(&world).await;
    assert_eq!(
        code(world.endpoints.open_stream(&world.look(), start()).await),
        "no-stream"
    );
    let mut first = world.endpoints.open_stream(&exec, start()).await.unwrap();
    let mut input = first.input.take().unwrap();
    input.give(Bytes::from("hello")).await.unwrap();
    assert_eq!(
        read(&mut first, 6).await,
        [
            (Stream::Stdout, Bytes::from("hello")),
            (Stream::Stderr, Bytes::from("5"))
        ]
    );
    input.give(Bytes::from("more")).await.unwrap();
    drop((first, input));
    // The same op again begins nothing.
    drop(world.endpoints.open_stream(&exec, start()).await.unwrap());
    let again = start().attribute("cursor", "6");
    let mut second = world
        .endpoints
        .open_stream(&world.look(), again)
        .await
        .unwrap();
    assert_eq!(read(&mut second, 5).await[0].1, "more");
    let mut input = second.input.take().unwrap();
    assert_eq!(input.taken(), 9);
    input.end().await.unwrap();
    assert_eq!(read(&mut second, 3).await[0].1, "bye");
    assert!(second.output.next().await.is_none());
    let late = world
        .endpoints
        .open_stream(&world.look(), start())
        .await
        .unwrap();
    let all: Vec<u8> = late
        .output
        .map(|frame| frame.unwrap().bytes.to_vec())
        .concat()
        .await;
    assert_eq!(all, b"hello5more4bye");
    let starts = server
        .lines()
        .iter()
        .filter(|line| line.ends_with("/start"))
        .count();
    assert_eq!(starts, 1);
    // The stranger has none of it.
    let mut stranger = world.look();
    stranger.plugin = "q".parse().unwrap();
    assert_eq!(
        code(world.endpoints.open_stream(&stranger, start()).await),
        "refused-by-rule"
    );
}

#[tokio::test]
async fn what_a_host_held_is_gone_with_it_and_is_not_begun_twice() {
    let mut world = World::new();
    let server = world.serve(echo);
    let exec = part(&world).await;
    drop(world.endpoints.open_stream(&exec, start()).await.unwrap());
    world.restart();
    assert_eq!(
        code(world.endpoints.open_stream(&exec, start()).await),
        "stream-begun"
    );
    assert_eq!(
        code(world.endpoints.open_stream(&world.look(), start()).await),
        "no-stream"
    );
    let forget = Request::new("DELETE", &format!("/parts/{PART}"));
    assert_eq!(
        world.endpoints.send(&exec, forget).await.unwrap().status,
        204
    );
    assert_eq!(
        code(world.endpoints.open_stream(&exec, start()).await),
        "refused-by-rule"
    );
    assert!(
        server
            .lines()
            .iter()
            .all(|line| !line.starts_with("DELETE")),
        "nothing is sent for it"
    );
}

#[tokio::test]
async fn a_stream_that_was_surely_not_begun_may_be_begun_again() {
    let world = World::new();
    let server = world.serve(|heard| {
        if heard.target.ends_with("/start") {
            return Reply::Json(409, json!({"message": "not running"}).to_string());
        }
        made(heard)
    });
    let exec = part(&world).await;
    assert_eq!(
        code(world.endpoints.open_stream(&exec, start()).await),
        "service-refused"
    );
    drop(server);
    std::fs::remove_file(world.socket()).unwrap();
    assert_eq!(
        code(world.endpoints.open_stream(&exec, start()).await),
        "no-endpoint"
    );
    let _server = world.serve(echo);
    world.endpoints.open_stream(&exec, start()).await.unwrap();
    // Forgotten, it is closed and its name is free.
    let forget = Request::new("DELETE", &format!("/parts/{PART}"));
    world.endpoints.send(&exec, forget).await.unwrap();
    assert_eq!(
        code(world.endpoints.open_stream(&world.look(), start()).await),
        "refused-by-rule"
    );
}

#[tokio::test]
async fn what_is_released_while_its_stream_is_begun_is_not_held() {
    let world = World::new();
    let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
    let (tell, mut closed) = mpsc::unbounded_channel();
    let _server = world.serve(move |heard| {
        if !heard.target.ends_with("/start") {
            return made(heard);
        }
        let (go, gone) = oneshot::channel();
        ask.send(go).unwrap();
        let tell = tell.clone();
        Reply::Then(
            Vec::new(),
            Box::new(move |mut stream: UnixStream| {
                tokio::spawn(async move {
                    gone.await.unwrap();
                    stream.write_all(UPGRADED).await.unwrap();
                    let heard = stream.read_to_end(&mut Vec::new()).await;
                    tell.send(heard.is_ok()).unwrap();
                })
            }),
        )
    });
    let exec = part(&world).await;
    let (endpoints, call) = (world.endpoints.clone(), exec.clone());
    let opening = tokio::spawn(async move { endpoints.open_stream(&call, start()).await });
    let go = asked.recv().await.unwrap();
    let forget = Request::new("DELETE", &format!("/parts/{PART}"));
    world.endpoints.send(&exec, forget).await.unwrap();
    go.send(()).unwrap();
    assert_eq!(code(opening.await.unwrap()), "gone");
    assert!(closed.recv().await.unwrap(), "its connection is closed");
}

#[tokio::test]
async fn no_more_is_held_than_the_policy_says() {
    let world = World::new();
    let other = "b".repeat(32);
    let second = other.clone();
    let parts = Mutex::new(0);
    let _server = world.serve(move |heard| {
        if !heard.target.ends_with("/parts") {
            return echo(heard);
        }
        let mut parts = parts.lock().unwrap();
        *parts += 1;
        let id = if *parts == 1 { PART } else { &second };
        Reply::Json(201, json!({"id": id}).to_string())
    });
    let exec = part(&world).await;
    let next = world.effect(1, 2, Verb::Exec);
    let make = Request::new("POST", &format!("/things/{A}/parts"));
    world.endpoints.send(&next, make).await.unwrap();
    drop(world.endpoints.open_stream(&exec, start()).await.unwrap());
    let more = || Request::new("POST", &format!("/parts/{other}/start"));
    assert_eq!(
        code(world.endpoints.open_stream(&next, more()).await),
        "endpoint-busy"
    );
    let forget = Request::new("DELETE", &format!("/parts/{PART}"));
    world.endpoints.send(&exec, forget).await.unwrap();
    world.endpoints.open_stream(&next, more()).await.unwrap();
}

#[tokio::test]
async fn a_stream_of_one_direction_takes_nothing_in() {
    let world = World::new();
    let (tell, mut heard) = mpsc::unbounded_channel();
    let _server = world.serve(move |_| {
        let tell = tell.clone();
        Reply::Then(
            [UPGRADED, b"hello"].concat(),
            Box::new(move |mut stream: UnixStream| {
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    stream.read_to_end(&mut bytes).await.unwrap();
                    tell.send(bytes).unwrap();
                })
            }),
        )
    });
    let request = Request::new("POST", "/peek");
    let opened = world.endpoints.open_stream(&world.look(), request).await;
    let mut source = opened.unwrap();
    assert_eq!(read(&mut source, 5).await[0].1, "hello");
    if let Some(input) = &mut source.input {
        assert_eq!(code(input.give(Bytes::from("x")).await), "input-closed");
    }
    drop(source);
    assert_eq!(heard.recv().await.unwrap(), b"");
}

#[tokio::test]
async fn what_is_no_frame_or_too_long_ends_the_stream() {
    let world = World::new();
    let bytes = Arc::new(Mutex::new(Vec::new()));
    let next = bytes.clone();
    let _server = world.serve(move |heard| {
        if !heard.target.contains("/output") {
            return made(heard);
        }
        Reply::Bytes([CHUNKED, &chunk(&next.lock().unwrap()), b"0\r\n\r\n"].concat())
    });
    world.make().await.unwrap();
    let good = mux(1, "2023-11-14T22:13:20Z a\n");
    for bad in [
        &[1, 0, 0, 0, 255, 255, 255, 255, b'x'][..],
        &[1, 0, 0, 0, 0, 16, 0, 1, b'x'],
        &[9, 0, 0, 0, 0, 0, 0, 1, b'x'],
    ] {
        *bytes.lock().unwrap() = [&good, bad].concat();
        let items: Vec<_> = open(&world, None).await.unwrap().output.collect().await;
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].as_ref().unwrap().bytes, "a");
        assert_eq!(items[1].as_ref().unwrap_err().code, "odd-answer");
    }
}

#[tokio::test]
async fn a_service_says_no_more_than_its_reader_takes() {
    const ALL: usize = 16 << 20;
    let world = World::new();
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let _server = world.serve(move |_| {
        let count = count.clone();
        Reply::Then(
            CHUNKED.to_vec(),
            Box::new(move |mut stream: UnixStream| {
                tokio::spawn(async move {
                    let line = [&b"x".repeat(1_023)[..], b"\n"].concat();
                    for _ in 0..ALL / line.len() {
                        stream.write_all(&chunk(&line)).await.unwrap();
                        count.fetch_add(line.len(), Ordering::SeqCst);
                    }
                    stream.write_all(b"0\r\n\r\n").await.unwrap();
                })
            }),
        )
    });
    let request = Request::new("GET", "/events");
    let opened = world.endpoints.open_stream(&world.look(), request).await;
    let mut output = opened.unwrap().output;
    let mut taken = 0;
    while let Some(frame) = output.next().await {
        taken += frame.unwrap().bytes.len() + 1;
        let ahead = written.load(Ordering::SeqCst).saturating_sub(taken);
        assert!(ahead <= 2 << 20, "{ahead} bytes wait for the reader");
        tokio::task::yield_now().await;
    }
    assert_eq!(taken, ALL);
}
