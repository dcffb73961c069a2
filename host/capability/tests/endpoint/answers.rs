//! What goes over the wire, what of an answer passes, and services that answer badly.

use std::sync::Mutex;
use std::time::Duration;

use fleet_capability::endpoint::Request;
use fleet_model::{ErrorKind, Verb};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::harness::{A, World, code, text};
use crate::server::{Heard, Reply, json as whole};

fn things(heard: &Heard) -> Reply {
    match (heard.method.as_str(), heard.target.as_str()) {
        ("POST", "/things") => Reply::Json(201, json!({"id": A, "secret": "s"}).to_string()),
        ("GET", "/ping") => Reply::Json(200, "OK".to_owned()),
        ("GET", target) if target.starts_with("/things/") => Reply::Json(
            200,
            json!({"id": A, "state": {"x": 1}, "env": ["PASSWORD"]}).to_string(),
        ),
        _ => Reply::Json(
            404,
            json!({"message": "no such thing", "stack": "internals"}).to_string(),
        ),
    }
}

#[tokio::test]
async fn the_service_hears_the_hosts_words_and_the_plugin_what_the_policy_keeps() {
    let world = World::new();
    let server = world.serve(things);
    let call = world.effect(1, 1, Verb::Create);
    let body = "{ \"env\" : [\"A=<1>\"],\n\"note\":\"<1>\" }";
    let made = world
        .endpoints
        .send(&call, Request::new("POST", "/things").body(body))
        .await
        .unwrap();
    assert_eq!(
        (made.status, text(&made)),
        (201, json!({"id": A}).to_string().as_str())
    );

    let heard = server.heard.lock().unwrap()[0].clone();
    let sent: Value = serde_json::from_str(&heard.body).unwrap();
    assert_eq!(
        sent["env"],
        json!(["A=hunter22\""]),
        "the value stands where the policy lets it"
    );
    assert_eq!(sent["note"], json!("<1>"), "and nowhere else");
    assert_eq!(sent["labels"]["host"], json!(world.endpoints.host()));
    assert_eq!(sent["labels"]["nonce"].as_str().unwrap().len(), 32);
    let folder = sent["folder"].as_str().unwrap();
    assert!(folder.ends_with("/workspace") && std::path::Path::new(folder).is_dir());
    assert_eq!(
        heard.body,
        sent.to_string(),
        "nothing of how it was written is left"
    );
    assert_eq!(heard.headers["host"], "localhost");
    assert_eq!(heard.headers["content-type"], "application/json");
    assert!(!heard.headers.contains_key("transfer-encoding"));

    let seen = world.get(&format!("/things/{A}")).await.unwrap();
    assert_eq!(text(&seen), json!({"id": A, "state": {"x": 1}}).to_string());
    assert_eq!(seen.headers, [("api-version".to_owned(), "7".to_owned())]);
    let ping = world.get("/ping").await.unwrap();
    assert_eq!(text(&ping), "OK");
    assert_eq!(
        *server.connections.lock().unwrap(),
        1,
        "one connection does"
    );

    let trace = std::fs::read_to_string(world.root.path().join("trace")).unwrap();
    assert_eq!(trace.lines().count(), 3);
    assert!(trace.contains("\"rule\":\"make\"") && !trace.contains("hunter"));
}

#[tokio::test]
async fn what_is_refused_is_not_sent_but_counted_and_traced() {
    let world = World::new();
    let server = world.serve(things);
    assert_eq!(
        code(world.get(&format!("/things/{A}")).await),
        "refused-by-rule"
    );
    assert_eq!(code(world.get("/things/../things").await), "no-rule");
    let call = world.effect(1, 1, Verb::Create);
    let bad = Request::new("POST", "/things").body(json!({"privileged": true}));
    let error = world.endpoints.send(&call, bad).await.unwrap_err();
    assert_eq!(
        (error.kind, error.details["rule"].as_str()),
        (ErrorKind::Denied, "make")
    );
    assert!(server.lines().is_empty());
    let counts: Vec<_> = world
        .endpoints
        .verdicts()
        .into_iter()
        .map(|((_, _, rule, verdict), count)| (rule, verdict, count))
        .collect();
    let row = |rule: &str, verdict| (rule.to_owned(), verdict, 1);
    assert_eq!(
        counts,
        [
            row("-", "no-rule"),
            row("look", "refused-by-rule"),
            row("make", "refused-by-rule")
        ]
    );
    let trace = std::fs::read_to_string(world.root.path().join("trace")).unwrap();
    let lines: Vec<Value> = trace
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 3);
    assert!(
        lines.iter().all(|line| line["allowed"].is_string()),
        "{trace}"
    );
    // Nothing was written down for what never went out.
    assert!(
        !world
            .root
            .path()
            .join("e/service/nonces")
            .join("x")
            .exists()
    );
    assert_eq!(
        std::fs::read_dir(world.root.path().join("e/service/nonces"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn a_failure_of_the_service_is_a_response_with_what_the_policy_keeps_of_it() {
    let world = World::new();
    let _server = world.serve(|heard| match heard.target.as_str() {
        "/things" => Reply::Bytes(whole(400, "client version is too old\u{7}")),
        "/poke" => Reply::Bytes(b"HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n".to_vec()),
        _ => things(heard),
    });
    let refused = world.make().await.unwrap();
    assert_eq!(
        (refused.status, text(&refused)),
        (400, "client version is too old")
    );
    let gone = world.get("/ping").await.unwrap();
    assert_eq!(gone.status, 200);
    let poked = world
        .endpoints
        .send(
            &world.effect(1, 1, Verb::Start),
            Request::new("POST", "/poke"),
        )
        .await
        .unwrap();
    assert_eq!((poked.status, text(&poked)), (500, ""));
    drop(_server);
    let _server =
        world.serve(|_| Reply::Json(404, json!({"message": "gone", "stack": "x"}).to_string()));
    let missing = world.make().await.unwrap();
    assert_eq!(
        (missing.status, text(&missing)),
        (404, "{\"message\":\"gone\"}")
    );
}

#[tokio::test]
async fn a_service_that_is_not_there_slow_wrong_or_cut_short_is_told_apart() {
    let world = World::new();
    let error = world.get("/ping").await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Unavailable, "no-endpoint")
    );
    assert!(
        !error.message.contains(world.root.path().to_str().unwrap()),
        "{error}"
    );

    let answers: Vec<(&[u8], &str)> = vec![
        (b"", "cut-short"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{\"a\"",
            "cut-short",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "cut-short"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "odd-answer"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nno js",
            "odd-answer",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n",
            "odd-answer",
        ),
        (
            b"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}",
            "odd-answer",
        ),
        (
            b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n",
            "odd-answer",
        ),
        (
            b"HTTP/1.1 201 Created\r\nContent-Length: 10\r\n\r\n{\"id\":\"a\"}",
            "odd-answer",
        ),
    ];
    for (bytes, want) in answers {
        let reply = bytes.to_vec();
        let _server = world.serve(move |_| Reply::Bytes(reply.clone()));
        let got = world.make().await;
        assert_eq!(code(got), want, "{}", String::from_utf8_lossy(bytes));
    }
    let _server = world.serve(|_| Reply::Hang);
    let error = world.get("/slow").await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Deadline, "endpoint-slow")
    );
    drop(_server);
    let large = format!("\"{}\"", "x".repeat(5_000));
    let _server = world.serve(move |_| Reply::Json(200, large.clone()));
    assert_eq!(code(world.get("/slow").await), "odd-answer");
    drop(_server);
    let deep = format!("{}{}", "[".repeat(40), "]".repeat(40));
    let _server = world.serve(move |_| Reply::Json(200, deep.clone()));
    assert_eq!(code(world.get("/slow").await), "odd-answer");
}

#[tokio::test]
async fn a_connection_that_the_service_has_closed_is_no_failure() {
    let world = World::new();
    // Answers once per connection, and says nothing of it.
    let server = world.serve(|_| Reply::Bytes(whole(200, "OK")));
    for _ in 0..5 {
        assert_eq!(text(&world.get("/ping").await.unwrap()), "OK");
    }
    assert_eq!(server.lines().len(), 5);
}

#[tokio::test]
async fn a_write_is_never_sent_twice_by_itself() {
    let world = World::new();
    let count = Mutex::new(0);
    let server = world.serve(move |_| {
        let mut count = count.lock().unwrap();
        *count += 1;
        if *count == 1 {
            Reply::Json(204, String::new())
        } else {
            Reply::Close
        }
    });
    let call = world.effect(1, 1, Verb::Start);
    let poke = || world.endpoints.send(&call, Request::new("POST", "/poke"));
    assert_eq!(poke().await.unwrap().status, 204);
    assert_eq!(code(poke().await), "cut-short");
    assert_eq!(server.lines(), ["POST /poke", "POST /poke"]);
}

/// Says these bytes again and again until nobody hears them any more, and tells of that.
fn endless(head: &[u8], again: impl AsRef<[u8]>, tell: &mpsc::UnboundedSender<()>) -> Reply {
    let again = again.as_ref().to_vec();
    let tell = tell.clone();
    Reply::Then(
        head.to_vec(),
        Box::new(move |mut stream: UnixStream| {
            tokio::spawn(async move {
                let mut heard = [0; 1];
                loop {
                    let next = tokio::time::sleep(Duration::from_millis(2));
                    tokio::select! {
                        ended = stream.read(&mut heard) => match ended {
                            Ok(0) | Err(_) => break,
                            Ok(_) => {}
                        },
                        () = next => if stream.write_all(&again).await.is_err() {
                            break;
                        },
                    }
                }
                let _ = tell.send(());
            })
        }),
    )
}

#[tokio::test]
async fn a_service_that_is_never_done_costs_its_time_and_its_connection_is_closed() {
    let world = World::new();
    let (tell, mut closed) = mpsc::unbounded_channel();
    for (head, again) in [
        (&b""[..], &b""[..]),
        (b"HTTP/1.1 200 OK\r\n", b"A: b\r\n"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n", b" "),
        (
            b"HTTP/1.1 404 X\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"1\r\n \r\n",
        ),
    ] {
        let tell = tell.clone();
        let _server = world.serve(move |_| endless(head, again, &tell));
        let error = world.get("/slow").await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Deadline, "endpoint-slow")
        );
        closed.recv().await.unwrap();
        if head.starts_with(b"HTTP/1.1 200 OK\r\nC") {
            continue;
        }
        let events = Request::new("GET", "/slow-events");
        let opened = world.endpoints.open_stream(&world.look(), events).await;
        assert_eq!(code(opened), "endpoint-slow");
        closed.recv().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_without_an_end_is_read_as_far_as_the_rule_says() {
    let world = World::new();
    let (tell, mut closed) = mpsc::unbounded_channel();
    let _server = world.serve(move |_| {
        endless(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
            b"4\r\nxxxx\r\n".repeat(128),
            &tell,
        )
    });
    assert_eq!(code(world.get("/ping").await), "odd-answer");
    closed.recv().await.unwrap();
}
