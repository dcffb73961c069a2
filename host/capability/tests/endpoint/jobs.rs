//! Work of the service that goes on in the background.

use fleet_capability::endpoint::Request;
use fleet_model::Verb;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::harness::{World, code, text, until};
use crate::server::Reply;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

fn chunk(text: &str) -> Vec<u8> {
    format!("{:x}\r\n{text}\r\n", text.len()).into_bytes()
}

/// A service that pulls as it is told, over a channel per pull.
fn pulling() -> (
    mpsc::UnboundedReceiver<mpsc::UnboundedSender<Vec<u8>>>,
    impl Fn(&crate::server::Heard) -> Reply + Send + Sync + 'static,
) {
    let (tell, pulls) = mpsc::unbounded_channel();
    let answers = move |_: &crate::server::Heard| {
        let (say, mut said) = mpsc::unbounded_channel::<Vec<u8>>();
        tell.send(say).unwrap();
        Reply::Then(
            HEAD.to_vec(),
            Box::new(move |mut stream: UnixStream| {
                tokio::spawn(async move {
                    while let Some(bytes) = said.recv().await {
                        stream.write_all(&bytes).await.unwrap();
                    }
                })
            }),
        )
    };
    (pulls, answers)
}

fn lines(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_job_is_told_of_at_once_and_begun_once() {
    let world = World::new();
    let (mut pulls, answers) = pulling();
    let server = world.serve(answers);
    let call = world.effect(1, 1, Verb::Create);
    let pull = || {
        world
            .endpoints
            .send(&call, Request::new("POST", "/pull").query("name", "box"))
    };
    let first = pull().await.unwrap();
    assert_eq!(
        (first.status, first.attributes["job"].as_str(), text(&first)),
        (202, "running", "")
    );
    let say = pulls.recv().await.unwrap();
    for line in [
        json!({"id": "a", "step": 1, "host": "secret"}),
        json!({"id": "b", "step": 1}),
        json!({"id": "a", "step": 2}),
        json!({"id": "c", "step": 1}),
        json!({"id": "d", "step": 1}),
    ] {
        say.send(chunk(&format!("{line}\r\n"))).unwrap();
    }
    until("the lines have come", async || {
        text(&pull().await.unwrap()).contains("\"d\"")
    })
    .await;
    let answer = pull().await.unwrap();
    assert_eq!(answer.status, 202);
    assert_eq!(
        lines(text(&answer)),
        [
            json!({"id": "a", "step": 2}),
            json!({"id": "c", "step": 1}),
            json!({"id": "d", "step": 1})
        ]
    );
    say.send(chunk("{\"step\":\"last\"}")).unwrap();
    say.send(b"0\r\n\r\n".to_vec()).unwrap();
    let mut over = pull().await.unwrap();
    until("it is over", async || {
        over = pull().await.unwrap();
        over.status == 200
    })
    .await;
    assert_eq!(over.attributes["job"], "done");
    assert_eq!(lines(text(&over)).last().unwrap(), &json!({"step": "last"}));
    // Another op is told the same.
    let second = world.effect(2, 1, Verb::Create);
    let request = || Request::new("POST", "/pull").query("name", "box");
    let told = world.endpoints.send(&second, request()).await.unwrap();
    assert_eq!(told, over);
    assert_eq!(server.lines(), ["POST /pull?name=box"]);
    // One that was told and asks again misses what was made.
    assert_eq!(pull().await.unwrap().status, 202);
    pulls.recv().await.unwrap();
    assert_eq!(server.lines().len(), 2);
    let other = Request::new("POST", "/pull").query("name", "other");
    assert_eq!(
        world.endpoints.send(&call, other).await.unwrap().status,
        202
    );
    pulls.recv().await.unwrap();
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_job_that_says_in_its_stream_that_it_failed_is_told_once_and_begun_anew() {
    let world = World::new();
    let (mut pulls, answers) = pulling();
    let server = world.serve(answers);
    let call = world.effect(1, 1, Verb::Create);
    let pull = || {
        world
            .endpoints
            .send(&call, Request::new("POST", "/pull").query("name", "box"))
    };
    pull().await.unwrap();
    let say = pulls.recv().await.unwrap();
    for line in [
        json!({"id": "a", "step": 1}),
        json!({"error": "no space: secret"}),
        json!({"step": 2, "error": null}),
    ] {
        say.send(chunk(&format!("{line}\n"))).unwrap();
    }
    say.send(b"0\r\n\r\n".to_vec()).unwrap();
    let mut over = pull().await.unwrap();
    until("it is over", async || {
        if over.status == 202 {
            over = pull().await.unwrap();
        }
        over.status == 200
    })
    .await;
    assert_eq!(over.attributes["job"], "failed");
    assert_eq!(
        lines(text(&over)),
        [json!({"id": "a", "step": 1}), json!({}), json!({"step": 2})],
        "of why only that it is so"
    );
    assert_eq!(server.lines().len(), 1);
    // Another op is not told of what is over: it may go well by now.
    let second = world.effect(2, 1, Verb::Create);
    let request = Request::new("POST", "/pull").query("name", "box");
    let begun = world.endpoints.send(&second, request).await.unwrap();
    assert_eq!(begun.status, 202);
    pulls.recv().await.unwrap();
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_job_that_fails_says_so_and_is_begun_anew() {
    let world = World::new();
    let call = world.effect(1, 1, Verb::Create);
    let pull = || {
        world
            .endpoints
            .send(&call, Request::new("POST", "/pull").query("name", "box"))
    };
    assert_eq!(pull().await.unwrap().status, 202);
    until("nothing listens", async || {
        pull().await.is_err_and(|error| error.code == "no-endpoint")
    })
    .await;

    let server = world.serve(|_| Reply::Json(404, json!({"message": "no such image"}).to_string()));
    until("it is refused", async || match pull().await {
        Ok(answer) if answer.status == 404 => {
            assert_eq!(text(&answer), "{\"message\":\"no such image\"}");
            true
        }
        _ => false,
    })
    .await;
    drop(server);

    let (mut pulls, answers) = pulling();
    let _server = world.serve(answers);
    until("it has begun again", async || {
        let _ = pull().await;
        match pulls.try_recv() {
            Ok(say) => {
                say.send(chunk("{\"id\":\"a\"}\n")).unwrap();
                true
            }
            Err(_) => false,
        }
    })
    .await;
    until("it is cut short", async || {
        pull()
            .await
            .is_ok_and(|answer| answer.attributes["job"] == "cut-short")
    })
    .await;
    assert_eq!(
        code(
            world
                .endpoints
                .get(&world.look(), Request::new("POST", "/pull"))
                .await
        ),
        "refused-by-rule"
    );
}
