//! The floor of what flows out of a workload: the same bytes over a bare WebSocket.
//!
//! No token is asked for, nothing is framed, kept or gone on with.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::routing::get;
use futures::StreamExt as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: fleet-bench-floor-websocket \
                     serve PROGRAM [ARGUMENT...] | serve-file FILE | read ADDRESS";
/// What one message holds: as much as a pipe.
const MESSAGE: usize = 64 << 10;

/// What every connection is sent.
enum Served {
    /// What a program prints that is started for it.
    Program(Vec<String>),
    /// What is in a file.
    File(String),
}

fn main() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let (what, rest) = (words.next(), words.collect::<Vec<_>>());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match (what.as_deref(), rest.as_slice()) {
        (Some("serve"), [_, ..]) => runtime.block_on(serve(Served::Program(rest))),
        (Some("serve-file"), [file]) => runtime.block_on(serve(Served::File(file.clone()))),
        (Some("read"), [address]) => runtime.block_on(read(address)),
        _ => Err(USAGE.into()),
    }
}

async fn serve(served: Served) -> Result<(), Failure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let mut stdout = tokio::io::stdout();
    stdout
        .write_all(format!("{}\n", listener.local_addr()?).as_bytes())
        .await?;
    stdout.flush().await?;
    let router = Router::new()
        .route("/", get(upgrade))
        .with_state(Arc::new(served));
    Ok(axum::serve(listener, router).await?)
}

async fn upgrade(State(served): State<Arc<Served>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| {
        // Who reads sees that it ends early.
        let _ = answer(&served, socket).await;
    })
}

async fn answer(served: &Served, socket: WebSocket) -> Result<(), Failure> {
    match served {
        Served::File(file) => send(tokio::fs::File::open(file).await?, socket).await,
        Served::Program(words) => {
            let (program, arguments) = words.split_first().ok_or(USAGE)?;
            let mut child = tokio::process::Command::new(program)
                .args(arguments)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .kill_on_drop(true)
                .spawn()?;
            let output = child.stdout.take().ok_or("it has no output")?;
            send(output, socket).await?;
            child.wait().await?;
            Ok(())
        }
    }
}

async fn send(mut source: impl AsyncRead + Unpin, mut socket: WebSocket) -> Result<(), Failure> {
    loop {
        let mut bytes = Vec::with_capacity(MESSAGE);
        if source.read_buf(&mut bytes).await? == 0 {
            return Ok(socket.send(Message::Close(None)).await?);
        }
        socket.send(Message::Binary(Bytes::from(bytes))).await?;
    }
}

/// Writes what comes to stdout.
async fn read(address: &str) -> Result<(), Failure> {
    let stream = TcpStream::connect(address).await?;
    let (mut socket, _) =
        tokio_tungstenite::client_async(format!("ws://{address}/"), stream).await?;
    let mut stdout = tokio::io::stdout();
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_close() {
            break;
        }
        stdout.write_all(&message.into_data()).await?;
    }
    Ok(stdout.flush().await?)
}
