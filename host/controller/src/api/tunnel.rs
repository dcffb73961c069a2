//! A client's WebSocket and a node's stream, joined: binary messages are the bytes of the connection,
//! and an empty one ends its direction, as an empty frame does on the stream ([`fleet_protocol::port`]).
//!
//! Each direction reads only as fast as its far end takes, and neither waits for the other.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use bytes::Bytes;
use fleet_protocol::bulk::{BulkSink, BulkSource, BulkStream};
use fleet_seam::Clock;
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use tokio_util::sync::CancellationToken;

use super::streams::StreamPlace;

/// The largest message taken from a client, in bytes.
pub(super) const MOST_BYTES: usize = 1024 * 1024;

/// What a connection may buffer in each direction, in bytes. The library's own 128 KiB are taken for
/// each connection, used or not.
const BUFFER_BYTES: usize = 16 * 1024;

/// How often a client is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// How long a client may take to read the end.
const PARTING: Duration = Duration::from_secs(2);

/// The same, with small buffers.
pub(super) fn sized(upgrade: WebSocketUpgrade) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(BUFFER_BYTES)
        .write_buffer_size(BUFFER_BYTES)
        .max_message_size(MOST_BYTES)
        .max_frame_size(MOST_BYTES)
}

/// How it ended before both directions had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Early {
    /// The client went away.
    Gone,
    /// The connection to the port broke off.
    Broken,
    /// The client said something that is not of this protocol.
    Unreadable,
    /// The host stops.
    Stopping,
}

impl Early {
    /// What the client is told.
    fn close(self) -> Option<CloseFrame> {
        let (code, reason) = match self {
            Self::Gone => return None,
            Self::Broken => (close_code::ERROR, "the connection to the port broke off"),
            Self::Unreadable => (
                close_code::UNSUPPORTED,
                "send binary messages, and none after an empty one",
            ),
            Self::Stopping => (close_code::AWAY, "the host is stopping"),
        };
        Some(CloseFrame {
            code,
            reason: reason.into(),
        })
    }
}

/// A connection at the node, waiting for its client.
pub(super) struct Tunnel {
    pub(super) stream: BulkStream,
    /// Kept until it has ended.
    pub(super) place: StreamPlace,
    pub(super) clock: Arc<dyn Clock>,
    /// Cancelled when the host stops.
    pub(super) closing: CancellationToken,
}

impl Tunnel {
    /// Carries bytes until both directions have ended or one of the sides is gone.
    pub(super) async fn run(self, socket: WebSocket) {
        let _place = self.place;
        let (sink, source) = self.stream.split();
        let (mut say, mut hear) = socket.split();
        let has_ended = CancellationToken::new();
        let both = async {
            tokio::try_join!(
                outward(source, &mut say, &*self.clock, &has_ended),
                inward(&mut hear, sink, &has_ended),
            )
        };
        let close = tokio::select! {
            done = both => match done {
                Ok(((), sink)) => {
                    // Both ends have said all they had to say.
                    let _ = sink.finish().await;
                    Some(CloseFrame { code: close_code::NORMAL, reason: "".into() })
                }
                Err(early) => early.close(),
            },
            () = self.closing.cancelled() => Early::Stopping.close(),
        };
        if close.is_some() {
            let parting = part(&mut say, &mut hear, close);
            tokio::select! {
                () = parting => {}
                () = self.clock.sleep(PARTING) => {}
            }
        }
    }
}

/// From the port to the client.
async fn outward(
    mut source: BulkSource,
    say: &mut SplitSink<WebSocket, Message>,
    clock: &dyn Clock,
    has_ended: &CancellationToken,
) -> Result<(), Early> {
    loop {
        let mut next = tokio::select! {
            frame = source.receive() => Some(frame),
            () = clock.sleep(PING) => {
                say.send(Message::Ping(Bytes::new())).await.map_err(|_| Early::Gone)?;
                None
            }
        };
        // What is ready goes out together; what is not is not waited for.
        while let Some(frame) = next {
            let Some(Ok(frame)) = frame else {
                return Err(Early::Broken);
            };
            let is_end = frame.is_empty();
            say.feed(Message::Binary(frame))
                .await
                .map_err(|_| Early::Gone)?;
            if is_end {
                say.flush().await.map_err(|_| Early::Gone)?;
                has_ended.cancel();
                return Ok(());
            }
            next = source.receive().now_or_never();
        }
        say.flush().await.map_err(|_| Early::Gone)?;
    }
}

/// From the client to the port. After the client's own end it listens on for the client's going away, until
/// the other direction has ended.
async fn inward(
    hear: &mut SplitStream<WebSocket>,
    mut sink: BulkSink,
    has_ended: &CancellationToken,
) -> Result<BulkSink, Early> {
    let mut is_ended = false;
    loop {
        let message = tokio::select! {
            message = hear.next() => message,
            () = has_ended.cancelled(), if is_ended => return Ok(sink),
        };
        match message {
            Some(Ok(Message::Binary(bytes))) if !is_ended => {
                is_ended = bytes.is_empty();
                if sink.send(bytes).await.is_err() {
                    // The program takes nothing more; how this ends is for what it still says.
                    has_ended.cancelled().await;
                    return Ok(sink);
                }
            }
            Some(Ok(Message::Binary(_) | Message::Text(_))) => return Err(Early::Unreadable),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Early::Gone),
        }
    }
}

/// Says why it ends, and waits until the client has read that: what a client had still sent would
/// otherwise break the connection off before.
async fn part(
    say: &mut SplitSink<WebSocket, Message>,
    hear: &mut SplitStream<WebSocket>,
    close: Option<CloseFrame>,
) {
    if say.send(Message::Close(close)).await.is_ok() {
        while let Some(Ok(_)) = hear.next().await {}
    }
}
