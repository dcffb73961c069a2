//! Connections to ports, from a client's WebSocket to a program and back.

use bytes::Bytes;
use fleet_model::Error;
use futures::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::served::{Behind, Served, Socket, text};
use super::support::{until, within};

const PATH: &str = "/api/v1/workloads/web/ports/http/connect";

/// A program that accepts connections and does nothing with them.
async fn program() -> (TcpListener, Behind) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    (listener, Behind::Program(address))
}

async fn connected(served: &Served, program: &TcpListener) -> (Socket, TcpStream) {
    let (socket, accepted) = tokio::join!(served.websocket(PATH), within(program.accept()));
    (socket.unwrap(), accepted.unwrap().0)
}

/// The code with which the host closes, and what came before.
async fn closed(socket: &mut Socket) -> (Option<u16>, Vec<u8>) {
    let mut bytes = Vec::new();
    loop {
        match within(socket.next()).await {
            Some(Ok(Message::Binary(part))) => bytes.extend_from_slice(&part),
            Some(Ok(Message::Close(close))) => {
                return (close.map(|close| close.code.into()), bytes);
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (None, bytes),
        }
    }
}

#[tokio::test]
async fn bytes_go_both_ways_and_each_direction_ends_by_itself() {
    let (listener, behind) = program().await;
    let served = Served::with(behind).await;
    let (mut socket, mut program) = connected(&served, &listener).await;
    let sent: Vec<u8> = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let say = async {
        for part in sent.chunks(100_000) {
            socket
                .send(Message::Binary(Bytes::copy_from_slice(part)))
                .await
                .unwrap();
        }
        socket.send(Message::Binary(Bytes::new())).await.unwrap();
    };
    let hear = async {
        let mut heard = Vec::new();
        program.read_to_end(&mut heard).await.unwrap();
        heard
    };
    let ((), heard) = within(async { tokio::join!(say, hear) }).await;
    assert!(heard == sent);
    // The answer comes after the end of what was asked.
    program.write_all(&sent).await.unwrap();
    drop(program);
    let (code, answer) = closed(&mut socket).await;
    assert_eq!(code, Some(1000));
    assert!(answer == sent);
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_programs_connection() {
    let (listener, behind) = program().await;
    let served = Served::with(behind).await;
    for ends_first in [true, false] {
        let (mut socket, mut program) = connected(&served, &listener).await;
        if ends_first {
            socket.send(Message::Binary(Bytes::new())).await.unwrap();
            assert_eq!(within(program.read(&mut [0])).await.unwrap(), 0);
        }
        drop(socket);
        // Writing finds out at the latest.
        let gone = async { while program.write_all(&[0; 1024]).await.is_ok() {} };
        within(gone).await;
    }
}

#[tokio::test]
async fn how_it_ended_is_in_the_close() {
    let served = Served::with(Behind::Broken).await;
    let mut socket = served.websocket(PATH).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, Some(1011));

    let (listener, behind) = program().await;
    let served = Served::with(behind).await;
    let (mut socket, _program) = connected(&served, &listener).await;
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, Some(1003));

    let (mut socket, mut program) = connected(&served, &listener).await;
    program.write_all(b"partial").await.unwrap();
    served.bench.stop.cancel();
    // Whichever is heard of first, the host's end or its session's.
    let (code, _) = closed(&mut socket).await;
    assert!(matches!(code, Some(1001 | 1011)), "{code:?}");
}

#[tokio::test]
async fn what_cannot_be_connected_is_refused_before_there_is_a_websocket() {
    let deaf = Error::unavailable("nobody-listens", "nobody listens on the port http");
    let served = Served::with(Behind::Nobody(deaf)).await;
    let Err(WsError::Http(refused)) = served.websocket(PATH).await else {
        panic!("not refused")
    };
    assert_eq!(refused.status(), 503);

    let plain = Served::request("GET", PATH).body(axum::body::Body::empty());
    let answer = served.ask(plain.unwrap()).await;
    assert_eq!(answer.status(), 400);
    let problem = text(answer).await;
    assert!(
        problem.contains("no-websocket") && problem.contains("port-forward"),
        "{problem}"
    );
    let unknown = "/api/v1/workloads/none/ports/http/connect";
    let Err(WsError::Http(refused)) = served.websocket(unknown).await else {
        panic!("not refused")
    };
    assert_eq!(refused.status(), 404);

    let mut served = served;
    served.leave().await;
    let Err(WsError::Http(refused)) = served.websocket(PATH).await else {
        panic!("not refused")
    };
    assert_eq!(refused.status(), 503);
}

#[tokio::test]
async fn a_connection_counts_as_long_as_it_stands() {
    let (listener, behind) = program().await;
    let served = Served::with(behind).await;
    let (mut socket, program) = connected(&served, &listener).await;
    let (other, mut still) = connected(&served, &listener).await;
    let kept = || served.kept();
    assert_eq!(kept(), (2, 2));
    socket.send(Message::Binary(Bytes::new())).await.unwrap();
    drop(program);
    assert_eq!(closed(&mut socket).await.0, Some(1000));
    drop((socket, other));
    let gone = async { while still.write_all(&[0; 1024]).await.is_ok() {} };
    within(gone).await;
    until(|| kept() == (0, 0)).await;
}
