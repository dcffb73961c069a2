//! Files against a host that keeps them in memory and breaks connections where a test says so.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::{Method, Response};
use futures::StreamExt as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;

use super::cut;
use crate::files::{Piece, Verdict};
use crate::{Client, ClientError, ClientOptions, FileError};

/// What goes wrong with a request for bytes, in order; then nothing does.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    None,
    /// The connection breaks after so many bytes.
    After(usize),
    /// The request is done, and its answer is lost.
    Unanswered,
    /// Another connection still sends.
    Busy,
    /// The disk is full after so many bytes.
    Full(usize),
    /// The bytes arrive damaged, or are sent so.
    Damaged,
}

#[derive(Default)]
struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    uploads: BTreeMap<String, Vec<u8>>,
    troubles: Vec<Trouble>,
    lines: Vec<String>,
    writes: u64,
}

#[derive(Clone, Default)]
struct Fake(Arc<Mutex<Disk>>);

impl Fake {
    async fn start(troubles: &[Trouble]) -> (Self, Client) {
        let fake = Self::default();
        fake.disk(|disk| {
            disk.troubles = troubles.iter().rev().copied().collect();
            disk.writes = 1;
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(fake.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (fake, Client::new(ClientOptions::new(url)).unwrap())
    }

    fn disk<T>(&self, look: impl FnOnce(&mut Disk) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    fn has(&self, path: &str) -> Vec<u8> {
        self.disk(|disk| disk.files[path].clone())
    }

    fn write(&self, path: &str, bytes: &[u8]) {
        self.disk(|disk| {
            disk.writes += 1;
            disk.files.insert(path.into(), bytes.to_vec());
        });
    }

    fn lines(&self) -> Vec<String> {
        self.disk(|disk| disk.lines.clone())
    }
}

async fn answer(
    State(fake): State<Fake>,
    Query(query): Query<BTreeMap<String, String>>,
    request: Request,
) -> Response<Body> {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let part = path.strip_prefix("/api/v1/workloads/web/files").unwrap();
    let line = format!("{method} {part} {}", query.get("offset").map_or("", |o| o));
    fake.disk(|disk| disk.lines.push(line.trim_end().to_owned()));
    match (method, part) {
        (Method::PUT, "") => put(&fake, &query, request).await,
        (Method::GET, "") => get(&fake, &query["path"], &request),
        (Method::GET, "/uploads") => {
            let arrived = fake.disk(|disk| disk.uploads.get(&query["key"]).map_or(0, Vec::len));
            json_answer(200, &json!({"arrived": arrived}))
        }
        (Method::GET, "/stat") => match fake.disk(|disk| entry(disk, &query["path"])) {
            Some(entry) => json_answer(200, &entry),
            None => problem(404, "not-found", "no-such-file", json!({})),
        },
        other => panic!("{other:?}"),
    }
}

fn entry(disk: &Disk, path: &str) -> Option<Value> {
    let bytes = disk.files.get(path)?;
    Some(json!({
        "name": path, "kind": "file", "size": bytes.len(), "mode": "0644",
        "modified_ms": disk.writes, "sha256": hex(bytes),
    }))
}

async fn put(fake: &Fake, query: &BTreeMap<String, String>, request: Request) -> Response<Body> {
    let key = request.headers()["idempotency-key"]
        .to_str()
        .unwrap()
        .to_owned();
    let number = |name: &str| query[name].parse::<usize>().unwrap();
    let (offset, size) = (number("offset"), number("size"));
    let arrived = fake.disk(|disk| disk.uploads.get(&key).map_or(0, Vec::len));
    let mut body = request.into_body().into_data_stream();
    if offset != arrived {
        while body.next().await.is_some() {}
        let details = json!({"arrived": arrived.to_string()});
        return problem(409, "conflict", "upload-offset", details);
    }
    let trouble = match fake.disk(|disk| disk.troubles.pop()) {
        Some(trouble) => trouble,
        None => Trouble::None,
    };
    if matches!(trouble, Trouble::Busy) {
        while body.next().await.is_some() {}
        return problem(503, "unavailable", "upload-busy", json!({}));
    }
    while let Some(Ok(piece)) = body.next().await {
        let now = fake.disk(|disk| {
            let bytes = disk.uploads.entry(key.clone()).or_default();
            bytes.extend_from_slice(&piece);
            // Another byte each time: the same one twice would be whole again.
            if let (Trouble::Damaged, Some(last)) = (trouble, bytes.last_mut()) {
                *last ^= 1;
            }
            bytes.len()
        });
        match trouble {
            Trouble::After(most) if now > most => std::panic::panic_any("cut on purpose"),
            Trouble::Full(most) if now > most => {
                while body.next().await.is_some() {}
                return problem(507, "exhausted", "disk-full", json!({}));
            }
            _ => {}
        }
    }
    let now = fake.disk(|disk| disk.uploads.get(&key).map_or(0, Vec::len));
    if now < size {
        return json_answer(202, &json!({"arrived": now}));
    }
    let bytes = fake
        .disk(|disk| disk.uploads.remove(&key))
        .unwrap_or_default();
    let digest = hex(&bytes);
    if query.get("sha256").is_some_and(|told| *told != digest) {
        return problem(422, "invalid", "upload-digest", json!({}));
    }
    fake.write(&query["path"], &bytes);
    if matches!(trouble, Trouble::Unanswered) {
        std::panic::panic_any("lost on purpose");
    }
    json_answer(200, &json!({"arrived": size, "sha256": digest}))
}

fn get(fake: &Fake, path: &str, request: &Request) -> Response<Body> {
    let Some(mut bytes) = fake.disk(|disk| disk.files.get(path).cloned()) else {
        return problem(404, "not-found", "no-such-file", json!({}));
    };
    let range = request.headers().get("range");
    let from = range.map_or(0, |range| {
        let text = range.to_str().unwrap();
        text.strip_prefix("bytes=")
            .unwrap()
            .strip_suffix('-')
            .unwrap()
            .parse()
            .unwrap()
    });
    if from > 0 && from >= bytes.len() {
        return problem(416, "invalid", "beyond-end", json!({}));
    }
    let (size, writes) = (bytes.len(), fake.disk(|disk| disk.writes));
    let trouble = fake.disk(|disk| disk.troubles.pop());
    if matches!(trouble, Some(Trouble::Damaged)) {
        bytes[0] ^= 1;
    }
    let rest = Bytes::from(bytes.split_off(from));
    let response = Response::builder()
        .status(if range.is_some() { 206 } else { 200 })
        .header("content-type", "application/octet-stream")
        .header("content-length", rest.len())
        .header("etag", format!("W/\"{writes:x}-{size:x}\""));
    let body = match trouble {
        Some(Trouble::After(most)) => cut(rest.slice(..most.min(rest.len()))),
        _ => Body::from(rest),
    };
    response.body(body).unwrap()
}

fn json_answer(status: u16, value: &Value) -> Response<Body> {
    Response::builder()
        .status(status)
        .header("content-type", "application/json")
        .body(Body::from(value.to_string()))
        .unwrap()
}

fn problem(status: u16, kind: &str, code: &str, details: Value) -> Response<Body> {
    let problem =
        json!({"status": status, "kind": kind, "code": code, "detail": "no", "details": details});
    json_answer(status, &problem)
}

fn hex(bytes: &[u8]) -> String {
    crate::files::hex(&Sha256::digest(bytes))
}

fn content(count: usize) -> Vec<u8> {
    (0..count).map(|n| (n * 31 + n / 253) as u8).collect()
}

fn local(bytes: &[u8]) -> std::fs::File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

async fn send(client: &Client, bytes: &[u8]) -> Result<crate::Sent, FileError> {
    let upload = client.write_file("web", "a", local(bytes)).unwrap();
    upload.mode(0o640).send().await
}

/// All that came, and how often it began anew.
async fn read(client: &Client) -> Result<(Vec<u8>, u32, crate::Checked), ClientError> {
    let mut download = client.read_file("web", "a");
    let (mut all, mut anew) = (Vec::new(), 0);
    while let Some(piece) = download.next().await? {
        match piece {
            Piece::Bytes(bytes) => all.extend_from_slice(&bytes),
            Piece::Again => {
                all.clear();
                anew += 1;
            }
        }
    }
    let checked = download.check().await?;
    Ok((all, anew, checked))
}

#[tokio::test]
async fn a_small_file_is_one_request_and_a_large_one_asks_first_and_ends_with_its_digest() {
    let (fake, client) = Fake::start(&[]).await;
    for (bytes, lines) in [
        (content(0), vec!["PUT  0"]),
        (content(1 << 20), vec!["PUT  0"]),
        (content(3 << 20), vec!["PUT  0", "PUT  0", "PUT  3080192"]),
    ] {
        fake.disk(|disk| disk.lines.clear());
        let sent = send(&client, &bytes).await.unwrap();
        assert_eq!((sent.size, sent.sha256), (bytes.len() as u64, hex(&bytes)));
        assert!(fake.has("a") == bytes);
        assert_eq!(fake.lines(), lines);
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_whatever_breaks() {
    use Trouble::{After, Busy, None, Unanswered};
    let large = content(5 << 20);
    for troubles in [
        vec![None, After(1_000_000)],
        vec![
            None,
            After(1_000_000),
            After(2_000_000),
            Busy,
            After(4_900_000),
        ],
        vec![None, None, After(0)],
        vec![None, None, Busy, Busy],
        vec![None, None, Unanswered],
        vec![None, After(1), Unanswered],
    ] {
        let (fake, client) = Fake::start(&troubles).await;
        let sent = send(&client, &large).await.unwrap();
        assert_eq!(sent.sha256, hex(&large), "{troubles:?}");
        assert!(fake.has("a") == large, "{troubles:?}");
        assert!(fake.disk(|disk| disk.troubles.is_empty()), "{troubles:?}");
        let writes = fake.disk(|disk| disk.writes);
        assert_eq!(writes, 2, "it was put in its place once: {troubles:?}");
    }
    for trouble in [Unanswered, After(0), Busy] {
        let (fake, client) = Fake::start(&[trouble]).await;
        let small = content(100);
        send(&client, &small).await.unwrap();
        assert!(fake.has("a") == small, "{trouble:?}");
        assert!(fake.disk(|disk| disk.troubles.is_empty()));
    }
}

#[tokio::test]
async fn what_cannot_pass_ends_an_upload_at_once() {
    let large = content(3 << 20);
    let (fake, client) = Fake::start(&[Trouble::None, Trouble::Full(1_000_000)]).await;
    match send(&client, &large).await.unwrap_err() {
        FileError::Client(ClientError::Api { status: 507, error }) => {
            assert_eq!(error.code, "disk-full");
        }
        other => panic!("{other}"),
    }
    assert_eq!(fake.lines().len(), 2);
    let (fake, client) = Fake::start(&[Trouble::None, Trouble::Damaged]).await;
    match send(&client, &large).await.unwrap_err() {
        FileError::Client(ClientError::Api { error, .. }) => {
            assert_eq!(error.code, "upload-digest");
        }
        other => panic!("{other}"),
    }
    assert!(fake.disk(|disk| disk.files.is_empty()));
}

#[tokio::test]
async fn a_local_file_that_becomes_shorter_is_not_sent() {
    let (fake, client) = Fake::start(&[]).await;
    let file = local(&content(3 << 20));
    let shorter = file.try_clone().unwrap();
    let upload = client.write_file("web", "a", file).unwrap();
    shorter.set_len(1 << 20).unwrap();
    let error = upload.send().await.unwrap_err();
    assert!(matches!(error, FileError::Shrunk), "{error}");
    assert!(fake.disk(|disk| disk.files.is_empty()));
}

#[tokio::test]
async fn a_download_goes_on_where_it_was_and_is_checked() {
    use Trouble::After;
    let bytes = content(3 << 20);
    for troubles in [
        vec![],
        vec![After(1_000)],
        vec![After(1_000_000), After(0), After(500_000)],
    ] {
        let (fake, client) = Fake::start(&troubles).await;
        fake.write("a", &bytes);
        let (came, anew, checked) = read(&client).await.unwrap();
        assert!(came == bytes && anew == 0, "{troubles:?}");
        assert_eq!(
            (checked.verdict, checked.sha256),
            (Verdict::Same, hex(&bytes))
        );
        assert!(fake.disk(|disk| disk.troubles.is_empty()), "{troubles:?}");
    }
    let (fake, client) = Fake::start(&[]).await;
    fake.write("a", b"");
    let (came, _, checked) = read(&client).await.unwrap();
    assert_eq!((came.len(), checked.verdict), (0, Verdict::Same));
}

#[tokio::test]
async fn a_file_that_changes_under_a_broken_download_begins_anew() {
    for new in [content(2_000), content(100)] {
        let (fake, client) = Fake::start(&[Trouble::After(1_000)]).await;
        fake.write("a", &[7; 5_000]);
        let mut download = client.read_file("web", "a");
        let mut came = Vec::new();
        while came.len() < 1_000 {
            match download.next().await.unwrap().unwrap() {
                Piece::Bytes(bytes) => came.extend_from_slice(&bytes),
                Piece::Again => panic!("too early"),
            }
        }
        fake.write("a", &new);
        let mut again = false;
        while let Some(piece) = download.next().await.unwrap() {
            match piece {
                Piece::Bytes(bytes) => came.extend_from_slice(&bytes),
                Piece::Again => {
                    came.clear();
                    again = true;
                }
            }
        }
        assert!(again && came == new);
        assert_eq!(download.check().await.unwrap().verdict, Verdict::Same);
    }
}

#[tokio::test]
async fn what_was_damaged_or_changed_since_is_told_apart() {
    let (fake, client) = Fake::start(&[Trouble::Damaged]).await;
    fake.write("a", b"content");
    let (_, _, checked) = read(&client).await.unwrap();
    assert_eq!(checked.verdict, Verdict::Another);
    let mut download = client.read_file("web", "a");
    while download.next().await.unwrap().is_some() {}
    fake.write("a", b"changed");
    assert_eq!(download.check().await.unwrap().verdict, Verdict::Changed);
    fake.disk(|disk| disk.files.clear());
    assert_eq!(download.check().await.unwrap().verdict, Verdict::Changed);
    let error = client.read_file("web", "a").next().await.unwrap_err();
    assert!(error.is_not_found());
}
