//! The bulk connection: many streams over one connection, each with its own credit, so that a
//! slow reader holds back its own writer and nobody else.
//!
//! The controller opens, the node answers. A stream begins with one [`Request`] and one answer
//! (`Ok` or an [`Error`]), both as one length-prefixed JSON frame; what follows is the request's
//! own, in frames of the same kind.

use std::io;
use std::task::Poll;

use bytes::Bytes as Frame;
use fleet_model::exec::{ExecId, ExecSpec};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::stats::Sample;
use fleet_model::{Error, ErrorKind};
use futures::stream::{SplitSink, SplitStream};
use futures::{FutureExt, SinkExt, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio_util::codec::{Framed, LengthDelimitedCodec};
use tokio_util::compat::TokioAsyncReadCompatExt;

use crate::file::FileCall;
use crate::pingless::Pingless;
use crate::places::{MAX_STREAMS, MOST_ANSWERED, MOST_OPENED, Place, Placed, Places};
use crate::plugin::PluginCall;
use crate::transport::Bytes;

/// The largest frame of a stream, in bytes: the largest command, 1 MiB, fits in base64.
pub const MAX_FRAME_BYTES: usize = 2 * 1024 * 1024;

/// What may be under way on a stream that was just opened, in bytes: yamux's own figure.
const FIRST_WINDOW_BYTES: usize = 256 * 1024;

/// What may be under way beyond that on all streams of a session together, in bytes: given to those that
/// are read fast over a slow way.
const MORE_WINDOW_BYTES: usize = 64 * 1024 * 1024;

/// What a stream is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "type")]
pub enum Request {
    /// What a workload printed: then [`crate::log`] frames from the node.
    Logs {
        /// Which workload.
        item: ItemKey,
        /// The intent the asker knows: a node that has seen a later one refuses.
        generation: Generation,
        /// What part.
        options: LogOptions,
    },
    /// A command for a workload's input: the answer to the request is the whole answer. It is `Ok`
    /// when the command cannot get lost any more.
    Send {
        /// Which workload.
        item: ItemKey,
        /// The intent the asker knows.
        generation: Generation,
        /// The client's key: the same again is not sent twice.
        call: String,
        /// The command's bytes, in base64.
        base64: String,
    },
    /// A program beside a workload.
    Exec {
        /// Which workload.
        item: ItemKey,
        /// The intent the asker knows.
        generation: Generation,
        /// What about it.
        #[serde(flatten)]
        call: ExecCall,
    },
    /// Files of a workload: see [`crate::file`].
    File {
        /// Which workload.
        item: ItemKey,
        /// The intent the asker knows.
        generation: Generation,
        /// What about them.
        #[serde(flatten)]
        call: FileCall,
    },
    /// A signal for a workload's program: the answer to the request is the whole answer.
    Signal {
        /// Which workload.
        item: ItemKey,
        /// The intent the asker knows.
        generation: Generation,
        /// The client's key: the same again is not sent twice.
        key: String,
        /// Its name without `SIG`.
        signal: String,
    },
    /// What workloads use: frames of JSON [`UsageOf`] from the node.
    Stats {
        /// Which workload; absent: all of the node, one frame each.
        item: Option<ItemKey>,
        /// Whether to begin with what was seen in the last hour, else with the last look alone.
        #[serde(default)]
        history: bool,
        /// Go on with every new look.
        #[serde(default)]
        follow: bool,
    },
    /// Plugins of the node: see [`crate::plugin`].
    Plugins {
        /// What about them.
        #[serde(flatten)]
        call: PluginCall,
    },
    /// A connection to a port of a workload. Frames of bytes both ways; an empty one ends its
    /// direction.
    Port {
        /// Which workload.
        item: ItemKey,
        /// The intent the asker knows.
        generation: Generation,
        /// The port's name, or its number inside or at the node.
        port: String,
    },
}

/// What to do about a program beside a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "call")]
pub enum ExecCall {
    /// Begin one: then one frame, JSON [`fleet_model::exec::Exec`].
    Start {
        /// The client's key: the same again begins nothing.
        key: String,
        /// What to run.
        spec: ExecSpec,
    },
    /// All that are known: one frame, a JSON list of [`fleet_model::exec::Exec`].
    List,
    /// One: one frame, JSON [`fleet_model::exec::Exec`].
    Show {
        /// Which.
        exec: ExecId,
    },
    /// Attach to one: then frames of [`crate::exec`] both ways. Whoever was attached before is
    /// told so and let go.
    Attach {
        /// Which.
        exec: ExecId,
        /// Output up to this offset is known.
        after: u64,
    },
    /// Send one a signal: the answer to the request is the whole answer.
    Signal {
        /// Which.
        exec: ExecId,
        /// The client's key.
        key: String,
        /// Its name without `SIG`.
        signal: String,
    },
    /// End one and forget it: the answer to the request is the whole answer.
    Remove {
        /// Which.
        exec: ExecId,
    },
}

/// A look at what one workload uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageOf {
    /// Which workload.
    pub item: ItemKey,
    /// Absent where it does not run or was not looked at yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample: Option<Sample>,
}

/// What part of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LogOptions {
    /// Go on as more is written.
    #[serde(default)]
    pub follow: bool,
    /// Only lines at or after this Unix time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Only the last lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tail: Option<u64>,
    /// Go on after this place, as an earlier read gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// One stream, framed. Dropping it tells the other side that nobody reads any more.
#[derive(Debug)]
pub struct BulkStream(Framed<Placed, LengthDelimitedCodec>);

impl BulkStream {
    fn over(stream: Placed) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME_BYTES)
            .new_codec();
        Self(Framed::new(stream, codec))
    }

    /// Sends one frame; waits while the reader has given no credit.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.0.send(frame).await
    }

    /// Puts one frame into the buffer, to be sent with the next [`Self::send`] or [`Self::flush`].
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn feed(&mut self, frame: Frame) -> io::Result<()> {
        self.0.feed(frame).await
    }

    /// Sends what is in the buffer.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        SinkExt::<Frame>::flush(&mut self.0).await
    }

    /// The next frame; `None` at the stream's end.
    pub async fn receive(&mut self) -> Option<io::Result<Frame>> {
        self.0.next().await.map(|frame| frame.map(Into::into))
    }

    /// Sends a value as one frame of JSON.
    ///
    /// # Errors
    /// When the reader is gone, or the value is larger than a frame.
    pub async fn send_json<T: Serialize + Sync>(&mut self, value: &T) -> io::Result<()> {
        send_json(self, value).await
    }

    /// The next frame, read as JSON; `None` at the stream's end.
    pub async fn receive_json<T: serde::de::DeserializeOwned>(&mut self) -> Option<io::Result<T>> {
        let frame = match self.receive().await? {
            Ok(frame) => frame,
            Err(error) => return Some(Err(error)),
        };
        let read = serde_json::from_slice(&frame);
        Some(read.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error)))
    }

    /// Both directions apart: what is sent, and what comes.
    #[must_use]
    pub fn split(self) -> (BulkSink, BulkSource) {
        let (sink, source) = self.0.split();
        (BulkSink(sink), BulkSource(source))
    }

    /// Returns when the reader is gone; for a writer that has nothing to say for long.
    pub async fn closed(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Ends the stream in order.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn finish(mut self) -> io::Result<()> {
        SinkExt::<Frame>::close(&mut self.0).await
    }
}

/// What is sent on a stream.
#[derive(Debug)]
pub struct BulkSink(SplitSink<Framed<Placed, LengthDelimitedCodec>, Frame>);

impl BulkSink {
    /// Sends one frame; waits while the reader has given no credit.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        self.0.send(frame).await
    }

    /// Puts one frame into the buffer, to be sent with the next [`Self::send`] or [`Self::flush`].
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn feed(&mut self, frame: Frame) -> io::Result<()> {
        self.0.feed(frame).await
    }

    /// Sends what is in the buffer.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn flush(&mut self) -> io::Result<()> {
        self.0.flush().await
    }

    /// Ends the stream in order.
    ///
    /// # Errors
    /// When the reader is gone.
    pub async fn finish(mut self) -> io::Result<()> {
        self.0.close().await
    }
}

/// What comes on a stream.
#[derive(Debug)]
pub struct BulkSource(SplitStream<Framed<Placed, LengthDelimitedCodec>>);

impl BulkSource {
    /// The next frame; `None` at the stream's end.
    pub async fn receive(&mut self) -> Option<io::Result<Frame>> {
        self.0.next().await.map(|frame| frame.map(Into::into))
    }
}

/// The controller's end of a bulk connection. Cheap to clone; the connection lives as long as one
/// clone or one stream does.
#[derive(Debug, Clone)]
pub struct Opener {
    places: Places,
    wanted: mpsc::Sender<oneshot::Sender<Result<yamux::Stream, yamux::ConnectionError>>>,
}

impl Opener {
    /// Takes the controller's end. The returned future drives the connection: spawn it.
    pub fn over(io: Box<dyn Bytes>) -> (Self, impl Future<Output = ()> + Send) {
        let (wanted, requests) = mpsc::channel(16);
        let places = Places::new(MOST_OPENED);
        (Self { places, wanted }, drive_opener(io, requests))
    }

    /// Opens a stream, sends the request, and waits for the node's answer.
    ///
    /// # Errors
    /// The node's own error; `exhausted` (`too-many-streams`) where as many are open as may be;
    /// `unavailable` when the session is gone.
    pub async fn open(&self, request: &Request) -> Result<BulkStream, Error> {
        let place = self.places.take()?;
        let (give, opened) = oneshot::channel();
        self.wanted.send(give).await.map_err(|_| gone())?;
        let stream = opened.await.map_err(|_| gone())?.map_err(|_| gone())?;
        let mut stream = BulkStream::over(Placed::new(stream, place));
        match send_json(&mut stream, request).await {
            // A node that refuses at once does not read all of it: what counts is its answer.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WriteZero => {}
            Err(_) => return Err(gone()),
        }
        match stream.receive().await {
            Some(Ok(frame)) => match serde_json::from_slice::<Result<(), Error>>(&frame) {
                Ok(Ok(())) => Ok(stream),
                Ok(Err(error)) => Err(error),
                Err(_) => Err(Error::internal(
                    "bulk-answer",
                    "the node answered a stream with something else than an answer",
                )),
            },
            _ => Err(gone()),
        }
    }
}

/// The node's end: requests as they come.
#[derive(Debug)]
pub struct Acceptor {
    incoming: mpsc::Receiver<Placed>,
}

impl Acceptor {
    /// Takes the node's end. The returned future drives the connection: spawn it.
    pub fn over(io: Box<dyn Bytes>) -> (Self, impl Future<Output = ()> + Send) {
        let (found, incoming) = mpsc::channel(MOST_ANSWERED);
        (Self { incoming }, drive_acceptor(io, found))
    }

    /// The next stream and what it asks for; `None` when the session is gone. A stream that does
    /// not begin with a request is dropped.
    pub async fn accept(&mut self) -> Option<Pending> {
        self.incoming.recv().await.map(|stream| Pending {
            stream: BulkStream::over(stream),
        })
    }
}

/// A stream that was opened and not yet answered.
#[derive(Debug)]
pub struct Pending {
    stream: BulkStream,
}

impl Pending {
    /// Reads what the stream is for.
    ///
    /// # Errors
    /// When the stream ends first or begins with something else.
    pub async fn request(&mut self) -> io::Result<Request> {
        match self.stream.receive().await {
            Some(Ok(frame)) => serde_json::from_slice(&frame)
                .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e)),
            Some(Err(error)) => Err(error),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Agrees, and hands out the stream.
    ///
    /// # Errors
    /// When the asker is gone.
    pub async fn accept(mut self) -> io::Result<BulkStream> {
        send_json(&mut self.stream, &Ok::<(), Error>(())).await?;
        Ok(self.stream)
    }

    /// Refuses.
    ///
    /// # Errors
    /// When the asker is gone.
    pub async fn refuse(mut self, error: Error) -> io::Result<()> {
        send_json(&mut self.stream, &Err::<(), _>(error)).await?;
        self.stream.finish().await
    }
}

async fn send_json<T: Serialize>(stream: &mut BulkStream, value: &T) -> io::Result<()> {
    let frame = serde_json::to_vec(value)?;
    stream.send(frame.into()).await
}

fn gone() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "node-gone",
        "the node's session ended; try again when the node is back",
    )
}

fn config() -> yamux::Config {
    let mut config = yamux::Config::default();
    let first = MAX_STREAMS * FIRST_WINDOW_BYTES;
    config.set_max_connection_receive_window(Some(first + MORE_WINDOW_BYTES));
    config.set_max_num_streams(MAX_STREAMS);
    config
}

/// Opens streams as they are asked for until nobody can ask any more or the connection breaks.
async fn drive_opener(
    io: Box<dyn Bytes>,
    mut requests: mpsc::Receiver<oneshot::Sender<Result<yamux::Stream, yamux::ConnectionError>>>,
) {
    let mut connection = yamux::Connection::new(io.compat(), config(), yamux::Mode::Client);
    let mut waiting = None;
    std::future::poll_fn(|cx| {
        loop {
            if waiting.is_none()
                && let Poll::Ready(request) = requests.poll_recv(cx)
            {
                match request {
                    Some(request) => waiting = Some(request),
                    // Streams may still be open: the connection goes on until its far end closes.
                    None => return connection.poll_next_inbound(cx).map(|_| ()),
                }
            }
            if let Some(request) = waiting.take() {
                match connection.poll_new_outbound(cx) {
                    Poll::Ready(stream) => {
                        // Whoever asked may be gone; the stream is then dropped, which resets it.
                        let _ = request.send(stream);
                        continue;
                    }
                    Poll::Pending => waiting = Some(request),
                }
            }
            // A node opens no streams; polling is what moves the bytes of all others.
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(uninvited))) => drop(uninvited),
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Passes opened streams on until the connection breaks. Each is heard at once, however long its answer
/// takes: yamux opens no more than 256 that the other end has not heard of. Those for which there is no
/// place are refused.
async fn drive_acceptor(io: Box<dyn Bytes>, found: mpsc::Sender<Placed>) {
    let places = Places::new(MOST_ANSWERED);
    let mut connection =
        yamux::Connection::new(Pingless::new(io).compat(), config(), yamux::Mode::Server);
    let inbound = |connection: &mut yamux::Connection<_>, cx: &mut std::task::Context<'_>| {
        connection.poll_next_inbound(cx)
    };
    while let Some(Ok(mut stream)) = std::future::poll_fn(|cx| inbound(&mut connection, cx)).await {
        // Nothing waits: a new stream has room for these few frames.
        match places.take() {
            Ok(place) => {
                // No bytes at all make a frame, and a stream's first says that it was heard.
                let _ = futures::AsyncWriteExt::write(&mut stream, &[]).now_or_never();
                // There is room for as many as have a place.
                let _ = found.try_send(Placed::new(stream, place));
            }
            Err(error) => {
                let mut refused = BulkStream::over(Placed::new(stream, Place::default()));
                // Then it is dropped, which tells an asker who is still sending to end.
                let _ = send_json(&mut refused, &Err::<(), _>(error)).now_or_never();
            }
        }
    }
}

#[cfg(test)]
mod tests;
