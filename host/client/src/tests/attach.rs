//! Attached to a program through connections that break.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use fleet_model::exec::{ExecId, ExecState, TerminalSize};
use fleet_model::{Error, ErrorKind, WorkloadId};
use fleet_protocol::exec::{Attached, Inward, Outward};
use serde_json::json;
use tokio::net::TcpListener;

use crate::{Attachment, Client, ClientError, ClientOptions, ExecStream, Happening};

/// What a connection is answered with.
enum Turn {
    /// No WebSocket, but this problem.
    Problem(u16, &'static str),
    /// These frames after what `Attached` says, then a break.
    Cut(u64, Vec<Outward>),
    /// Waits until so much input was heard, then breaks without acknowledging it.
    Swallow(u64, usize),
    /// Takes all input, acknowledges and echoes it, and ends with its end.
    Echo(u64),
}

/// What was heard, connection by connection.
#[derive(Debug, Default, Clone)]
struct Heard {
    asked: String,
    authorization: String,
    said: Vec<Inward>,
}

#[derive(Clone)]
struct Host {
    turns: Arc<Mutex<VecDeque<Turn>>>,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Host {
    async fn start(turns: impl IntoIterator<Item = Turn>) -> (Self, Client) {
        let host = Self {
            turns: Arc::new(Mutex::new(turns.into_iter().collect())),
            heard: Arc::default(),
        };
        let app = Router::new()
            .route("/api/v1/execs/{id}/attach", get(answer))
            .with_state(host.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut options = ClientOptions::new(format!("http://{}", listener.local_addr().unwrap()));
        options.token = Some("secret".to_owned());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (host, Client::new(options).unwrap())
    }

    fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    fn hear(&self, frame: Inward) {
        self.heard
            .lock()
            .unwrap()
            .last_mut()
            .unwrap()
            .said
            .push(frame);
    }
}

async fn answer(
    State(host): State<Host>,
    upgrade: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
    request: Request,
) -> Response {
    host.heard.lock().unwrap().push(Heard {
        asked: request.uri().to_string(),
        authorization: request.headers()["authorization"]
            .to_str()
            .unwrap()
            .to_owned(),
        said: Vec::new(),
    });
    let turn = host.turns.lock().unwrap().pop_front();
    match turn {
        Some(Turn::Problem(status, code)) => (
            StatusCode::from_u16(status).unwrap(),
            json!({"status": status, "code": code, "detail": "no"}).to_string(),
        )
            .into_response(),
        Some(turn) => upgrade
            .unwrap()
            .on_upgrade(move |socket| talk(host, socket, turn)),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn say(socket: &mut WebSocket, frame: Outward) {
    let _ = socket.send(Message::Binary(frame.encode())).await;
}

async fn talk(host: Host, mut socket: WebSocket, turn: Turn) {
    let (Turn::Cut(taken, _) | Turn::Swallow(taken, _) | Turn::Echo(taken)) = &turn else {
        unreachable!("no WebSocket")
    };
    let mut taken = *taken;
    let attached = Attached {
        after: 0,
        taken,
        terminal: false,
    };
    say(&mut socket, Outward::Attached(attached)).await;
    match turn {
        Turn::Problem(..) => {}
        Turn::Cut(_, frames) => {
            for frame in frames {
                say(&mut socket, frame).await;
            }
        }
        Turn::Swallow(_, mut left) => {
            while left > 0 {
                let Some(Ok(Message::Binary(frame))) = socket.recv().await else {
                    return;
                };
                let frame = Inward::decode(frame).unwrap();
                if let Inward::Input(_, bytes) = &frame {
                    left = left.saturating_sub(bytes.len());
                }
                host.hear(frame);
            }
        }
        Turn::Echo(_) => {
            // What was taken before has been printed before.
            let mut printed = taken;
            while let Some(Ok(message)) = socket.recv().await {
                let Message::Binary(frame) = message else {
                    continue;
                };
                let frame = Inward::decode(frame).unwrap();
                host.hear(frame.clone());
                match frame {
                    Inward::Input(at, bytes) => {
                        assert_eq!(at, taken, "sent from where the program has it");
                        taken += bytes.len() as u64;
                        printed += bytes.len() as u64;
                        say(&mut socket, Outward::Taken(taken)).await;
                        say(&mut socket, Outward::Stdout(printed, bytes)).await;
                    }
                    Inward::InputEnd => say(&mut socket, Outward::Ended(exited(7))).await,
                    _ => {}
                }
            }
        }
    }
}

fn exited(code: i32) -> ExecState {
    let state = json!({"state": "exited", "code": code});
    serde_json::from_value(state).unwrap()
}

fn id() -> ExecId {
    ExecId {
        workload: WorkloadId::new(1, 1),
        key: 0xab,
    }
}

fn out(to: u64, text: &'static str) -> Outward {
    Outward::Stdout(to, Bytes::from_static(text.as_bytes()))
}

/// All that happens, as text, saying at once that it was seen.
async fn all(attachment: &mut Attachment) -> Result<Vec<String>, ClientError> {
    let mut all = Vec::new();
    while let Some(happening) = attachment.next().await? {
        all.push(match happening {
            Happening::Output { stream, to, bytes } => {
                attachment.seen(to);
                let text = String::from_utf8(bytes.to_vec()).unwrap();
                match stream {
                    ExecStream::Stdout => text,
                    ExecStream::Stderr => format!("!{text}"),
                }
            }
            Happening::Gap { from, to } => format!("gap {from}-{to}"),
            Happening::Room => continue,
            Happening::Ended(state) => format!("{state:?}"),
        });
    }
    Ok(all)
}

fn ended(code: i32) -> String {
    format!("{:?}", exited(code))
}

#[tokio::test]
async fn output_goes_on_after_the_last_byte_however_the_connection_ends() {
    let err = Outward::Stderr(6, Bytes::from_static(b"b"));
    let (host, client) = Host::start([
        Turn::Cut(0, vec![out(3, "abc"), out(5, "de")]),
        Turn::Problem(503, "node-away"),
        // More than was asked for, and a part of it again.
        Turn::Cut(0, vec![out(5, "cde"), err, out(7, "f")]),
        Turn::Cut(
            0,
            vec![Outward::Failed(Error::unavailable("host-stopping", "bye"))],
        ),
        Turn::Cut(
            0,
            vec![Outward::Gap(7, 9), out(10, "z"), Outward::Ended(exited(3))],
        ),
    ])
    .await;
    let mut attachment = client.attach(id(), 0);
    let seen = all(&mut attachment).await.unwrap();
    assert_eq!(
        seen,
        ["abc", "de", "!b", "f", "gap 7-9", "z", ended(3).as_str()]
    );
    assert_eq!(attachment.after(), 10);
    assert_eq!(attachment.next().await.unwrap(), None);
    let asked: Vec<_> = host
        .heard()
        .into_iter()
        .map(|heard| {
            assert_eq!(heard.authorization, "Bearer secret");
            heard.asked.split_once("after=").unwrap().1.to_owned()
        })
        .collect();
    assert_eq!(asked, ["0", "5", "5", "7", "7"]);
}

#[tokio::test]
async fn input_that_was_not_acknowledged_is_sent_again_and_arrives_once() {
    // The first connection swallows 100 bytes; the program had 40 of them.
    let (host, client) = Host::start([Turn::Swallow(0, 100), Turn::Echo(40)]).await;
    let mut attachment = client.attach(id(), 40);
    let input: Vec<u8> = (0..200_u32).map(|n| b'a' + (n % 26) as u8).collect();
    attachment.input(&input);
    attachment.end_input();
    assert!(!attachment.wants_input());
    let mut seen = all(&mut attachment).await.unwrap();
    assert_eq!(seen.pop().unwrap(), ended(7));
    let echoed = seen.concat();
    assert_eq!(echoed.as_bytes(), &input[40..]);
    attachment.close().await;
    // What was seen is said when it leaves, so that nothing more need be kept.
    let last = host.heard().pop().unwrap().said.pop();
    assert_eq!(last, Some(Inward::Seen(200)));
}

#[tokio::test]
async fn the_size_is_told_on_each_connection_and_a_signal_once() {
    let size = TerminalSize {
        columns: 132,
        rows: 50,
    };
    let (host, client) = Host::start([Turn::Swallow(0, 1), Turn::Echo(1)]).await;
    let mut attachment = client.attach(id(), 1);
    attachment.resize(size);
    attachment.signal("INT");
    attachment.input(b"x");
    attachment.end_input();
    assert_eq!(all(&mut attachment).await.unwrap(), [ended(7)]);
    let heard = host.heard();
    assert_eq!(
        heard[0].said[..2],
        [Inward::Resize(size), Inward::Signal("INT".into())]
    );
    assert_eq!(heard[1].said, [Inward::Resize(size), Inward::InputEnd]);
}

#[tokio::test]
async fn who_was_sent_away_stays_away_and_a_refusal_is_an_error_at_once() {
    let elsewhere = Error::conflict("attached-elsewhere", "taken");
    let (host, client) = Host::start([
        Turn::Cut(0, vec![out(1, "a"), Outward::Failed(elsewhere)]),
        Turn::Problem(404, "no-such-exec"),
        Turn::Problem(503, "node-away"),
    ])
    .await;
    let mut attachment = client.attach(id(), 0);
    assert!(attachment.next().await.unwrap().is_some());
    let error = attachment.next().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Api { error, .. } if error.code == "attached-elsewhere"),
        "{error:?}"
    );
    assert_eq!(host.heard().len(), 1);
    let missing = client.attach(id(), 0).next().await.unwrap_err();
    assert!(missing.is_not_found(), "{missing:?}");
    // The first connection of one that was never spoken to is tried once.
    let away = client.attach(id(), 0).next().await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
    assert_eq!(host.heard().len(), 3);
}

#[tokio::test]
async fn patience_begins_before_the_first_connection_where_it_is_asked_for_and_ends() {
    let (host, client) = Host::start([
        Turn::Problem(503, "node-away"),
        Turn::Cut(0, vec![Outward::Ended(exited(0))]),
    ])
    .await;
    let mut attachment = client.attach(id(), 0).patient();
    assert_eq!(all(&mut attachment).await.unwrap(), [ended(0)]);
    assert_eq!(host.heard().len(), 2);

    // A host that agrees each time and gives nothing does not get all the time there is.
    let cut = || Turn::Cut(0, Vec::new());
    let (_host, client) = Host::start(std::iter::repeat_with(cut).take(200)).await;
    let mut options = ClientOptions::new(client.server());
    options.patience = Duration::from_millis(300);
    options.token = Some("secret".into());
    let mut attachment = Client::new(options).unwrap().attach(id(), 0);
    let error = tokio::time::timeout(Duration::from_secs(10), attachment.next())
        .await
        .expect("it gives up")
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
