//! The HTTP of a workload's port, below a path of the API.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderMap, Response, StatusCode};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use bytes::Bytes;
use fleet_model::Error;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use super::served::{Behind, Served, text};
use super::support::{until, within};

const PREFIX: &str = "/api/v1/workloads/web/preview/http";

/// A program that answers with what it was asked.
fn mirror() -> Router {
    Router::new().fallback(any(|request: Request| async move {
        let (parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let headers: Vec<(String, String)> = parts
            .headers
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        axum::Json(json!({
            "line": format!("{} {}", parts.method, parts.uri),
            "headers": headers, "body": String::from_utf8_lossy(&body),
        }))
    }))
}

fn header(seen: &Value, name: &str) -> Option<String> {
    let headers = seen["headers"].as_array().unwrap();
    let found = headers.iter().find(|pair| pair[0] == name)?;
    Some(found[1].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_request_reaches_the_program_as_it_is_and_without_the_hosts_token() {
    let served = Served::before(mirror()).await;
    for (method, below, body) in [
        ("GET", "/", ""),
        ("GET", "/a%2Fb/../c?x=1&y=%20", ""),
        ("POST", "/form", "a=1"),
        ("PUT", "/deep/er/", "text"),
        ("DELETE", "/x", ""),
        ("PATCH", "/x", "p"),
        ("OPTIONS", "/x", ""),
    ] {
        let request = Served::request(method, &format!("{PREFIX}{below}"))
            .header("x-own", "kept")
            .body(Body::from(body))
            .unwrap();
        let answer = served.ask(request).await;
        assert_eq!(answer.status(), 200, "{method} {below}");
        assert_eq!(answer.headers()["content-type"], "application/json");
        let seen: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!(seen["line"], format!("{method} {below}"));
        assert_eq!(seen["body"], body);
        assert_eq!(header(&seen, "x-own").as_deref(), Some("kept"));
        assert_eq!(header(&seen, "x-forwarded-prefix").as_deref(), Some(PREFIX));
        assert_eq!(
            header(&seen, "x-forwarded-host").as_deref(),
            Some("fleet:7300")
        );
        assert_eq!(header(&seen, "host").as_deref(), Some("localhost"));
        assert_eq!(header(&seen, "authorization"), None);
        assert_eq!(header(&seen, "transfer-encoding"), None);
    }
}

#[tokio::test]
async fn bodies_of_any_size_are_streamed_both_ways() {
    // What comes in goes out, piece by piece.
    let program =
        Router::new().fallback(any(|request: Request| async move { request.into_body() }));
    let served = Served::before(program).await;
    let (pieces, body) = mpsc::channel::<Result<Bytes, std::io::Error>>(1);
    let body = futures::stream::unfold(body, |mut body| async {
        body.recv().await.map(|piece| (piece, body))
    });
    let request = Served::request("POST", &format!("{PREFIX}/echo"))
        .body(Body::from_stream(body))
        .unwrap();
    let answer = served.ask(request).await;
    assert_eq!(answer.status(), 200);
    let mut answer = Body::new(answer.into_body()).into_data_stream();
    // A piece comes back while the request goes on.
    pieces.send(Ok(Bytes::from_static(b"first"))).await.unwrap();
    let first = within(answer.next()).await.unwrap().unwrap();
    assert_eq!(first, b"first"[..]);
    const PIECES: usize = 200;
    let say = async {
        for _ in 0..PIECES {
            pieces.send(Ok(vec![7; 64 * 1024].into())).await.unwrap();
        }
        drop(pieces);
    };
    let hear = async {
        let mut total = 0;
        while let Some(piece) = answer.next().await {
            total += piece.unwrap().len();
        }
        total
    };
    let ((), total) = within(async { tokio::join!(say, hear) }).await;
    assert_eq!(total, PIECES * 64 * 1024, "more than the API's own limit");
}

#[tokio::test]
async fn a_reader_that_goes_away_ends_the_programs_connection() {
    struct Tells(mpsc::Sender<()>);
    impl Drop for Tells {
        fn drop(&mut self) {
            let _ = self.0.try_send(());
        }
    }
    let (ended, mut has_ended) = mpsc::channel::<()>(1);
    let program = Router::new().fallback(any(move || async move {
        let endless = futures::stream::unfold(Tells(ended), |tells| async {
            tokio::task::yield_now().await;
            Some((Ok::<_, std::io::Error>(Bytes::from(vec![1; 4096])), tells))
        });
        Body::from_stream(endless)
    }));
    let served = Served::before(program).await;
    let request = Served::request("GET", &format!("{PREFIX}/")).body(Body::empty());
    let answer = served.ask(request.unwrap()).await;
    let mut answer = Body::new(answer.into_body()).into_data_stream();
    within(answer.next()).await.unwrap().unwrap();
    assert_eq!(served.kept().0, 1);
    drop(answer);
    within(has_ended.recv()).await.unwrap();
    until(|| served.kept() == (0, 0)).await;
}

#[tokio::test]
async fn redirects_and_cookies_stay_below_the_path() {
    let program = Router::new().fallback(any(|| async {
        let mut headers = HeaderMap::new();
        headers.insert("location", "/login?next=/".parse().unwrap());
        headers.append("set-cookie", "s=1; Path=/".parse().unwrap());
        (StatusCode::FOUND, headers).into_response()
    }));
    let served = Served::before(program).await;
    let request = Served::request("GET", &format!("{PREFIX}/x")).body(Body::empty());
    let answer = served.ask(request.unwrap()).await;
    assert_eq!(answer.status(), 302);
    assert_eq!(
        answer.headers()["location"],
        format!("{PREFIX}/login?next=/")
    );
    assert_eq!(
        answer.headers()["set-cookie"],
        format!("s=1; Path={PREFIX}/")
    );
    let sandbox = answer.headers()["content-security-policy"]
        .to_str()
        .unwrap();
    assert!(sandbox.starts_with("sandbox"), "{sandbox}");

    let request = Served::request("GET", &format!("{PREFIX}?q=1")).body(Body::empty());
    let answer = served.ask(request.unwrap()).await;
    assert_eq!(answer.status(), 308);
    assert_eq!(answer.headers()["location"], format!("{PREFIX}/?q=1"));
}

#[tokio::test]
async fn a_websocket_is_passed_through() {
    use axum::extract::ws::Message as Inner;
    let program = Router::new().route(
        "/live",
        get(|upgrade: WebSocketUpgrade| async {
            upgrade.on_upgrade(|mut socket| async move {
                while let Some(Ok(Inner::Text(text))) = socket.recv().await {
                    let text = format!("you said {text}");
                    socket.send(Inner::Text(text.into())).await.unwrap();
                }
            })
        }),
    );
    let served = Served::before(program).await;
    let mut socket = served.websocket(&format!("{PREFIX}/live")).await.unwrap();
    for word in ["one", "two"] {
        socket.send(Message::text(word)).await.unwrap();
        let answer = within(socket.next()).await.unwrap().unwrap();
        assert_eq!(answer, Message::text(format!("you said {word}")));
    }
    assert_eq!(served.kept(), (1, 1));
    served.bench.stop.cancel();
    // The host's end is the connection's.
    while let Some(Ok(_)) = within(socket.next()).await {}
    until(|| served.kept() == (0, 0)).await;
}

/// A program that reads a little and answers with these bytes.
async fn raw(answer: &'static [u8]) -> Behind {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut program, _)) = listener.accept().await {
            let _ = program.read(&mut [0; 4096]).await;
            let _ = program.write_all(answer).await;
            let _ = program.shutdown().await;
        }
    });
    Behind::Program(address)
}

async fn get_it(behind: Behind) -> Response<hyper::body::Incoming> {
    let served = Served::with(behind).await;
    let request = Served::request("GET", &format!("{PREFIX}/")).body(Body::empty());
    served.ask(request.unwrap()).await
}

#[tokio::test]
async fn a_program_that_does_not_answer_is_a_bad_gateway() {
    let deaf = Error::unavailable("nobody-listens", "nobody listens on the port http");
    for (behind, code) in [
        (Behind::Nobody(deaf), "nobody-listens"),
        (Behind::Broken, "no-answer"),
        (raw(b"").await, "no-answer"),
        (raw(b"SSH-2.0-OpenSSH\r\n").await, "no-answer"),
        (
            raw(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
                .await,
            "no-answer",
        ),
    ] {
        let answer = get_it(behind).await;
        assert_eq!(
            (answer.status(), &answer.headers()["content-type"]),
            (
                StatusCode::BAD_GATEWAY,
                &"application/problem+json".parse().unwrap()
            )
        );
        let problem: Value = serde_json::from_str(&text(answer).await).unwrap();
        assert_eq!(problem["code"], code, "{problem}");
    }
    let refused = get_it(Behind::Nobody(Error::not_found("no-such-port", "none"))).await;
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_answer_that_broke_off_does_not_look_whole() {
    // Its length is only told by its end.
    let whole = get_it(raw(b"HTTP/1.1 200 OK\r\n\r\nall of it").await).await;
    assert_eq!(text(whole).await, "all of it");
    let short =
        get_it(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nsome of it").await).await;
    let body = axum::body::to_bytes(Body::new(short.into_body()), 1_000);
    assert!(within(body).await.is_err());

    // The node's session breaks in the middle of an answer without a length.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut served = Served::with(Behind::Program(address)).await;
    let request = Served::request("GET", &format!("{PREFIX}/")).body(Body::empty());
    let speak = async {
        let (mut program, _) = listener.accept().await.unwrap();
        let _ = program.read(&mut [0; 4096]).await;
        let begun = b"HTTP/1.1 200 OK\r\n\r\nbegun";
        program.write_all(begun).await.unwrap();
        program
    };
    let (answer, _program) = tokio::join!(served.ask(request.unwrap()), speak);
    let mut body = Body::new(answer.into_body()).into_data_stream();
    assert_eq!(within(body.next()).await.unwrap().unwrap(), b"begun"[..]);
    served.leave().await;
    let rest = within(body.next()).await;
    assert!(matches!(rest, Some(Err(_))), "{rest:?}");
}
