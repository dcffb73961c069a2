//! Files, from a client to a node that keeps them in memory, and back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::Request as HttpRequest;
use bytes::Bytes;
use fleet_model::file::{FileEntry, FileKind};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::{Acceptor, BulkStream, Pending, Request};
use fleet_protocol::file::{FileCall, Reply};
use futures::StreamExt;
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tower::ServiceExt;

use super::scripted::Scripted;
use super::support::{Answer, Bench, TOKEN, answer, until, within};

const FILES: &str = "/api/v1/workloads/web/files";

/// What the node has, and what it was asked.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    arrived: BTreeMap<String, Vec<u8>>,
    calls: Vec<FileCall>,
    refusal: Option<Error>,
    /// What it says in the middle of a write.
    failure: Option<Error>,
    /// What lets a move be answered, where moves wait.
    moves: Option<Arc<Semaphore>>,
    /// It sends so many bytes fewer than it said.
    missing: usize,
}

type Shared = Arc<Mutex<Disk>>;

/// A bench with a workload `web`, whose node keeps files.
struct Desk {
    bench: Bench,
    disk: Shared,
    _node: Scripted,
}

impl Desk {
    async fn new() -> Self {
        let bench = Bench::new().await;
        let mut node = bench.node().await;
        bench.create("web").await;
        let disk = Shared::default();
        let (mut acceptor, drive) = Acceptor::over(node.bulk.take().unwrap());
        tokio::spawn(drive);
        let shared = disk.clone();
        tokio::spawn(async move {
            while let Some(pending) = acceptor.accept().await {
                tokio::spawn(serve(shared.clone(), pending));
            }
        });
        Self {
            bench,
            disk,
            _node: node,
        }
    }

    fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        look(&mut self.disk.lock().unwrap())
    }

    fn file(&self, path: &str, bytes: &[u8]) {
        self.disk(|disk| disk.files.insert(path.into(), bytes.to_vec()));
    }

    async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Answer {
        let path = format!("{FILES}{path}");
        self.bench.send(method, &path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], Vec::new()).await
    }

    fn last_call(&self) -> FileCall {
        self.disk(|disk| disk.calls.last().cloned().unwrap())
    }
}

async fn serve(disk: Shared, mut pending: Pending) {
    let Ok(Request::File { call, .. }) = pending.request().await else {
        panic!("another request")
    };
    let refusal = {
        let mut disk = disk.lock().unwrap();
        disk.calls.push(call.clone());
        disk.refusal.take()
    };
    if let Some(error) = refusal {
        return pending.refuse(error).await.unwrap();
    }
    let mut stream = pending.accept().await.unwrap();
    let reply = match call {
        FileCall::Read {
            path,
            offset,
            length,
        } => return read(&disk, stream, &path, offset, length).await,
        FileCall::Write(upload) => {
            let Some(reply) = write(&disk, &mut stream, upload).await else {
                return;
            };
            reply
        }
        FileCall::List { .. } => Reply::Entries {
            entries: vec![entry("a", 3)],
            next: Some("a".into()),
        },
        FileCall::Stat { path, .. } => Reply::Entry(entry(&path, 3)),
        FileCall::Uploaded { key } => Reply::Upload {
            arrived: disk.lock().unwrap().arrived.get(&key).map_or(0, Vec::len) as u64,
            sha256: None,
        },
        FileCall::Move { from, .. } => {
            let moves = disk.lock().unwrap().moves.clone();
            let Some(moves) = moves else {
                stream.send_json(&Reply::Done).await.unwrap();
                return;
            };
            moves.acquire().await.unwrap().forget();
            match disk.lock().unwrap().files.remove(&from) {
                Some(_) => Reply::Done,
                None => Reply::Failed(Error::not_found("no-such-file", "moved away")),
            }
        }
        _ => Reply::Done,
    };
    stream.send_json(&reply).await.unwrap();
    let _ = stream.finish().await;
}

fn entry(name: &str, size: usize) -> FileEntry {
    FileEntry {
        name: name.into(),
        kind: FileKind::File,
        size: size as u64,
        mode: 0o640,
        modified_ms: 784_111_777_000,
        target: None,
        sha256: None,
    }
}

async fn read(disk: &Shared, mut stream: BulkStream, path: &str, offset: u64, length: Option<u64>) {
    let (bytes, missing) = {
        let disk = disk.lock().unwrap();
        (Bytes::from(disk.files[path].clone()), disk.missing)
    };
    let reply = Reply::Entry(entry(path, bytes.len()));
    stream.send_json(&reply).await.unwrap();
    let from = usize::try_from(offset).unwrap();
    let most = length.map_or(usize::MAX, |length| usize::try_from(length).unwrap());
    let part = bytes.slice(from..bytes.len().min(from.saturating_add(most)) - missing);
    for piece in part.chunks(100_000) {
        if stream.send(Bytes::copy_from_slice(piece)).await.is_err() {
            return;
        }
    }
    let _ = stream.finish().await;
}

async fn write(
    disk: &Shared,
    stream: &mut BulkStream,
    upload: fleet_model::file::Upload,
) -> Option<Reply> {
    loop {
        if let Some(error) = disk.lock().unwrap().failure.take() {
            return Some(Reply::Failed(error));
        }
        let frame = stream.receive().await?.ok()?;
        let mut disk = disk.lock().unwrap();
        let arrived = disk.arrived.entry(upload.key.clone()).or_default();
        arrived.extend_from_slice(&frame);
        if !frame.is_empty() {
            continue;
        }
        let count = arrived.len() as u64;
        if count < upload.size {
            return Some(Reply::Upload {
                arrived: count,
                sha256: None,
            });
        }
        let bytes = disk.arrived.remove(&upload.key)?;
        disk.files.insert(upload.path, bytes);
        return Some(Reply::Upload {
            arrived: count,
            sha256: Some("ab".into()),
        });
    }
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| b'a' + (n % 23) as u8).collect()
}

#[tokio::test]
async fn a_file_comes_whole_or_in_part_with_what_it_is() {
    let desk = Desk::new().await;
    let content = bytes(1_000_000);
    desk.file("a b/ü", &content);
    let path = "?path=a%20b/%C3%BC";
    let whole = desk.get(path).await;
    assert_eq!(whole.status, 200);
    assert!(whole.text.as_bytes() == content);
    for (name, value) in [
        ("content-type", "application/octet-stream"),
        ("content-length", "1000000"),
        ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        ("etag", "W/\"b690b434e8-f4240\""),
        ("fleet-file-mode", "0640"),
        ("accept-ranges", "bytes"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(whole.headers[name], value, "{name}");
    }
    for (range, status, expected, told) in [
        (
            "bytes=999990-",
            206,
            &content[999_990..],
            "bytes 999990-999999/1000000",
        ),
        ("bytes=10-19", 206, &content[10..20], "bytes 10-19/1000000"),
        (
            "bytes=999990-2000000",
            206,
            &content[999_990..],
            "bytes 999990-999999/1000000",
        ),
        ("bytes=-5", 200, &content[..], ""),
    ] {
        let part = desk.ask("GET", path, &[("range", range)], Vec::new()).await;
        assert_eq!(part.status.as_u16(), status, "{range}");
        assert!(part.text.as_bytes() == expected, "{range}");
        assert_eq!(
            part.headers["content-length"],
            expected.len().to_string().as_str()
        );
        let says = part
            .headers
            .get("content-range")
            .map_or("", |v| v.to_str().unwrap());
        assert_eq!(says, told);
    }
    let beyond = desk
        .ask("GET", path, &[("range", "bytes=1000000-")], Vec::new())
        .await;
    beyond.problem(416, "beyond-end");
    assert_eq!(beyond.headers["content-range"], "bytes */1000000");
    let shorter = Error::invalid("beyond-end", "it is shorter").with("size", 7);
    desk.disk(|disk| disk.refusal = Some(shorter));
    let beyond = desk
        .ask("GET", path, &[("range", "bytes=9-")], Vec::new())
        .await;
    beyond.problem(416, "beyond-end");
    assert_eq!(beyond.headers["content-range"], "bytes */7");
    desk.file("empty", b"");
    let empty = desk
        .ask("GET", "?path=empty", &[("range", "bytes=0-")], Vec::new())
        .await;
    assert_eq!((empty.status.as_u16(), empty.text.as_str()), (200, ""));
}

#[tokio::test]
async fn a_file_that_becomes_shorter_breaks_its_answer_off() {
    let desk = Desk::new().await;
    desk.file("a", &bytes(1_000));
    desk.disk(|disk| disk.missing = 1);
    let request = HttpRequest::get(format!("{FILES}?path=a"))
        .header("authorization", format!("Bearer {TOKEN}"));
    let response = desk
        .bench
        .router()
        .oneshot(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-length"], "1000");
    let pieces: Vec<_> = response.into_body().into_data_stream().collect().await;
    assert!(pieces.last().unwrap().is_err(), "{pieces:?}");
}

#[tokio::test]
async fn a_file_larger_than_any_other_body_goes_to_its_node_piece_by_piece() {
    let desk = Desk::new().await;
    let content = bytes(9_000_000);
    let headers = [("idempotency-key", "k"), ("content-length", "9000000")];
    let query = "?path=conf/a&sha256=".to_owned() + &"ab".repeat(32) + "&mode=0600";
    let put = desk.ask("PUT", &query, &headers, content.clone()).await;
    assert_eq!(
        (put.status.as_u16(), put.json()),
        (200, json!({"arrived": 9_000_000, "sha256": "ab"}))
    );
    assert!(desk.disk(|disk| disk.files["conf/a"] == content));
    let FileCall::Write(upload) = desk.last_call() else {
        panic!("another call")
    };
    assert_eq!(
        (upload.key.as_str(), upload.offset, upload.size, upload.mode),
        ("k", 0, 9_000_000, Some(0o600))
    );
    assert_eq!(upload.sha256, Some("ab".repeat(32)));
}

#[tokio::test]
async fn parts_are_answered_with_what_has_arrived() {
    let desk = Desk::new().await;
    let headers = [("idempotency-key", "k")];
    let first = desk.ask("PUT", "?path=a&size=10", &headers, bytes(6)).await;
    assert_eq!(
        (first.status.as_u16(), first.json()),
        (202, json!({"arrived": 6}))
    );
    let arrived = desk.get("/uploads?key=k").await;
    assert_eq!(arrived.json(), json!({"arrived": 6}));
    let rest = desk
        .ask("PUT", "?path=a&size=10&offset=6", &headers, bytes(4))
        .await;
    assert_eq!(rest.status, 200);
}

#[tokio::test]
async fn what_cannot_be_an_upload_is_refused_before_its_node_is_asked() {
    let desk = Desk::new().await;
    let keyed = [("idempotency-key", "k"), ("content-length", "4")];
    for (query, status, code) in [
        ("", 422, "invalid-parameter"),
        ("?path=a&size=-1", 422, "invalid-parameter"),
        ("?path=a&offset=x", 422, "invalid-parameter"),
        ("?path=a&mode=4755", 422, "invalid-parameter"),
        ("?path=a&mode=rwx", 422, "invalid-parameter"),
        ("?path=a&sha256=ab", 422, "invalid-parameter"),
        ("?path=a&path=b", 422, "invalid-parameter"),
        ("?path=a&size=3", 422, "upload-too-long"),
        ("?path=a&offset=1&size=4", 422, "upload-too-long"),
        ("?path=a&what=x", 422, "unknown-parameter"),
    ] {
        let put = desk.ask("PUT", query, &keyed, bytes(4)).await;
        put.problem(status, code);
    }
    desk.ask("PUT", "?path=a", &[], Vec::new())
        .await
        .problem(411, "no-size");
    let unkeyed = [("content-length", "4")];
    desk.ask("PUT", "?path=a&offset=1", &unkeyed, bytes(4))
        .await
        .problem(422, "no-upload-key");
    desk.get("").await.problem(422, "invalid-parameter");
    desk.get("/uploads").await.problem(422, "invalid-parameter");
    desk.get("/list?limit=0")
        .await
        .problem(422, "invalid-parameter");
    assert!(desk.disk(|disk| disk.calls.is_empty()));
}

#[tokio::test]
async fn a_refusal_of_the_node_is_the_answer_also_in_the_middle() {
    let desk = Desk::new().await;
    let conflict = Error::conflict("upload-offset", "elsewhere").with("arrived", 7);
    desk.disk(|disk| disk.refusal = Some(conflict));
    let headers = [("idempotency-key", "k"), ("content-length", "4")];
    let put = desk.ask("PUT", "?path=a", &headers, bytes(4)).await;
    assert_eq!(put.problem(409, "upload-offset")["details"]["arrived"], "7");
    for code in ["disk-full", "disk-limit"] {
        let full = Error::new(ErrorKind::Exhausted, code, "full");
        desk.disk(|disk| disk.failure = Some(full));
        // Far more than the node has given credit for.
        let put = desk.ask(
            "PUT",
            "?path=a&size=50000000",
            &headers[..1],
            bytes(30_000_000),
        );
        within(put).await.problem(507, code);
    }
    let outside = Error::invalid("outside-workspace", "no");
    desk.disk(|disk| disk.refusal = Some(outside));
    desk.get("/list?path=..")
        .await
        .problem(422, "outside-workspace");
}

#[tokio::test]
async fn a_body_that_stops_leaves_what_arrived_at_the_node() {
    let desk = Desk::new().await;
    let pieces = futures::stream::iter([
        Ok(Bytes::from_static(b"12345")),
        Err(std::io::Error::other("the client is gone")),
    ]);
    let request = HttpRequest::put(format!("{FILES}?path=a&size=10"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("idempotency-key", "k")
        .body(Body::from_stream(pieces))
        .unwrap();
    answer(desk.bench.router(), request)
        .await
        .problem(408, "upload-cut");
    within(async {
        while desk.get("/uploads?key=k").await.json()["arrived"] != 5 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert!(desk.disk(|disk| disk.files.is_empty()));
}

#[tokio::test]
async fn other_calls_reach_the_node_as_they_were_asked() {
    let desk = Desk::new().await;
    let page = desk.get("/list?path=conf&after=x&limit=7").await.json();
    assert_eq!(
        (&page["next"], &page["items"][0]["mode"]),
        (&json!("a"), &json!("0640"))
    );
    let list = FileCall::List {
        path: "conf".into(),
        after: Some("x".into()),
        limit: 7,
    };
    assert_eq!(desk.last_call(), list);
    let stat = desk.get("/stat?path=a&sha256=true&follow").await.json();
    assert_eq!((&stat["kind"], &stat["size"]), (&json!("file"), &json!(3)));
    let stat = FileCall::Stat {
        path: "a".into(),
        digest: true,
        follow: true,
    };
    assert_eq!(desk.last_call(), stat);
    for (method, path, call, told) in [
        (
            "POST",
            "/folders?path=a/b",
            FileCall::MakeFolder { path: "a/b".into() },
            "a/b",
        ),
        (
            "POST",
            "/move?from=a&to=b&replace=true",
            FileCall::Move {
                from: "a".into(),
                to: "b".into(),
                replace: true,
            },
            "b",
        ),
        (
            "DELETE",
            "?path=a&recursive=true",
            FileCall::Remove {
                path: "a".into(),
                recursive: true,
            },
            "a",
        ),
    ] {
        let headers = [("idempotency-key", path)];
        let calls = desk.disk(|disk| disk.calls.len());
        for _ in 0..3 {
            let changed = desk.ask(method, path, &headers, Vec::new()).await;
            assert_eq!(
                (changed.status.as_u16(), changed.json()),
                (200, json!({"path": told}))
            );
        }
        assert_eq!(desk.last_call(), call);
        assert_eq!(
            desk.disk(|disk| disk.calls.len()),
            calls + 1,
            "once per key"
        );
    }
}

#[tokio::test]
async fn without_a_node_or_a_workload_there_are_no_files() {
    let bench = Bench::new().await;
    for (method, path) in [("GET", "?path=a"), ("GET", "/list"), ("DELETE", "?path=a")] {
        let path = format!("{FILES}{path}");
        let asked = bench.ask(method, &path, Value::Null).await;
        asked.problem(404, "workload-not-found");
    }
    let node = bench.node().await;
    bench.create("web").await;
    drop(node);
    bench.events("node.disconnected", 1).await;
    let headers = [("content-length", "4")];
    let path = format!("{FILES}?path=a");
    let put = bench.send("PUT", &path, &headers, "1234").await;
    put.problem(503, "node-away");
    bench.get(&path).await.problem(503, "node-away");
}

/// What moves `a`, under a key.
fn move_request() -> HttpRequest<Body> {
    HttpRequest::post(format!("{FILES}/move?from=a&to=b"))
        .header("authorization", format!("Bearer {TOKEN}"))
        .header("idempotency-key", "m")
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn of_two_requests_with_one_key_at_once_one_makes_the_change_and_both_are_told() {
    let desk = Desk::new().await;
    desk.file("a", b"x");
    let moves = Arc::new(Semaphore::new(0));
    desk.disk(|disk| disk.moves = Some(moves.clone()));
    let ask = || answer(desk.bench.router(), move_request());
    let release = async {
        until(|| desk.disk(|disk| !disk.calls.is_empty())).await;
        // Long enough for another call to have come.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        moves.add_permits(2);
    };
    let (one, other, ()) = within(async { tokio::join!(ask(), ask(), release) }).await;
    assert_eq!(
        (one.status.as_u16(), one.json()),
        (200, json!({"path": "b"}))
    );
    assert_eq!((other.status, other.text), (one.status, one.text));
    assert_eq!(desk.disk(|disk| disk.calls.len()), 1);
}

#[tokio::test]
async fn a_change_whose_asker_goes_away_is_answered_when_it_is_asked_for_again() {
    let desk = Desk::new().await;
    desk.file("a", b"x");
    let moves = Arc::new(Semaphore::new(0));
    desk.disk(|disk| disk.moves = Some(moves.clone()));
    let is_asked = until(|| desk.disk(|disk| !disk.calls.is_empty()));
    tokio::select! {
        _ = answer(desk.bench.router(), move_request()) => panic!("answered before its time"),
        () = is_asked => {}
    }
    moves.add_permits(1);
    let again = within(answer(desk.bench.router(), move_request())).await;
    assert_eq!(
        (again.status.as_u16(), again.json()),
        (200, json!({"path": "b"}))
    );
    assert_eq!(desk.disk(|disk| disk.calls.len()), 1);
}
