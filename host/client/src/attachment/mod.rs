//! Attached to a program beside a workload: its output comes, input goes, over one WebSocket after
//! the other. See docs/exec.md for what is said on it.

mod output;
mod window;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fleet_model::exec::{ExecState, TerminalSize};
use fleet_protocol::exec::{Inward, Outward};
use futures::future::BoxFuture;
use futures::{Sink, SinkExt, Stream};
use tokio_tungstenite::tungstenite::Message;

use crate::backoff::Outage;
use crate::client::Client;
use crate::error::ClientError;
use crate::request::{Ask, streamed};
use crate::websocket::{self, Socket};
pub use output::ExecStream;
use output::Output;
use window::Window;

/// How long the host may take to agree that it is over.
const PARTING: Duration = Duration::from_secs(2);

/// What an attachment tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Happening {
    /// The program printed.
    Output {
        /// Where.
        stream: ExecStream,
        /// The place after these bytes in all it printed: what to say when they were seen.
        to: u64,
        /// What.
        bytes: Bytes,
    },
    /// Some of what it printed is not kept any more.
    Gap {
        /// The place before the first byte that is missing.
        from: u64,
        /// The place after the last.
        to: u64,
    },
    /// More input may be given, where there was no room for any before.
    Room,
    /// It has ended, and all it printed was told.
    Ended(ExecState),
}

/// Somebody attached to a program. Each byte of its output comes once and each byte of input arrives
/// once, also when the connection breaks or the host restarts in between.
///
/// All that is said goes out while [`next`](Self::next) is waited for.
pub struct Attachment {
    client: Client,
    path: String,
    outage: Outage,
    line: Line,
    output: Output,
    input: Window,
    size: Option<TerminalSize>,
    is_size_told: bool,
    signals: VecDeque<String>,
    is_over: bool,
}

/// The connection, as far as there is one.
enum Line {
    Closed,
    Opening(BoxFuture<'static, Result<Socket, ClientError>>),
    Open(Box<Open>),
}

struct Open {
    socket: Socket,
    /// Whether the first frame has come: before, nothing may be said.
    is_attached: bool,
    is_flushed: bool,
}

impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attachment")
            .field("path", &self.path)
            .field("after", &self.output.come())
            .finish_non_exhaustive()
    }
}

impl Attachment {
    pub(crate) fn new(client: Client, path: String, after: u64) -> Self {
        Self {
            client,
            path,
            outage: Outage::new(),
            line: Line::Closed,
            output: Output::new(after),
            input: Window::default(),
            size: None,
            is_size_told: true,
            signals: VecDeque::new(),
            is_over: false,
        }
    }

    /// The same, patient from the first connection on: for a host that has been spoken to before.
    #[must_use]
    pub fn patient(self) -> Self {
        let outage = Outage::patient(&self.client, self.client.patience());
        Self { outage, ..self }
    }

    /// What happens next; nothing after the program's end. May be dropped and called again: nothing is
    /// lost.
    ///
    /// # Errors
    /// The first connection fails, the host refuses, somebody else attached (`attached-elsewhere`), or
    /// nobody answered for [`patience`](crate::ClientOptions::patience).
    pub async fn next(&mut self) -> Result<Option<Happening>, ClientError> {
        loop {
            if let Some(next) = self.output.next() {
                return Ok(Some(next));
            }
            if self.is_over {
                return Ok(None);
            }
            let failure = match self.step().await {
                Ok(None) => continue,
                Ok(Some(happening)) => {
                    self.is_over = matches!(happening, Happening::Ended(_));
                    return Ok(Some(happening));
                }
                Err(failure) => failure,
            };
            self.line = Line::Closed;
            if !failure.may_pass() {
                return Err(failure);
            }
            match self.outage.pause(&self.client) {
                Some(pause) => self.open(pause),
                None => return Err(failure),
            }
        }
    }

    /// Says what there is to say, and hears nothing: for a caller that can take no more output now. Never
    /// returns; may be dropped at any time.
    pub async fn speak(&mut self) -> Infallible {
        std::future::poll_fn(|cx| {
            // A connection that is gone is noticed where it is heard.
            let _ = self.poll_say(cx);
            Poll::Pending
        })
        .await
    }

    /// Whether more input may be given now. Where it may not, [`Happening::Room`] tells when it may.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.input.has_room()
    }

    /// Gives it bytes to read.
    pub fn input(&mut self, bytes: &[u8]) {
        self.input.put(bytes);
    }

    /// It gets nothing more to read.
    pub fn end_input(&mut self) {
        self.input.end();
    }

    /// Its terminal has this size now.
    pub fn resize(&mut self, size: TerminalSize) {
        (self.size, self.is_size_told) = (Some(size), false);
    }

    /// Sends it a signal, by its name. One that is on its way when the connection breaks may get lost:
    /// [`Client::exec_signal`] sends those that must not.
    pub fn signal(&mut self, name: impl Into<String>) {
        self.signals.push_back(name.into());
    }

    /// What it printed up to here was seen and need not be kept. Without this, a program waits when
    /// [`KEPT_BYTES`](fleet_protocol::exec::KEPT_BYTES) were not seen.
    pub fn seen(&mut self, offset: u64) {
        self.output.see(offset);
    }

    /// The place after all it printed so far, for whoever attaches later.
    #[must_use]
    pub fn after(&self) -> u64 {
        self.output.come()
    }

    /// Leaves it. The program goes on, if it has not ended.
    pub async fn close(mut self) {
        let Line::Open(open) = &mut self.line else {
            return;
        };
        let news = self.output.last_news().filter(|_| open.is_attached);
        let parting = async {
            if let Some(seen) = news {
                let frame = Inward::Seen(seen).encode();
                open.socket.send(Message::Binary(frame)).await.ok()?;
            }
            open.socket.close(None).await.ok()?;
            while let Some(Ok(_)) = futures::StreamExt::next(&mut open.socket).await {}
            Some(())
        };
        // Whether the host agrees or not, it is over.
        tokio::select! {
            _ = parting => {}
            () = self.client.clock().sleep(PARTING) => {}
        }
    }

    /// Begins to connect, after a pause.
    fn open(&mut self, pause: Duration) {
        let after = vec![("after", self.output.come().to_string())];
        let (client, ask) = (self.client.clone(), Ask::get(self.path.clone()).with(after));
        self.line = Line::Opening(Box::pin(async move {
            if !pause.is_zero() {
                client.clock().sleep(pause).await;
            }
            websocket::open(&client, &ask).await
        }));
    }

    /// One step on: connects, or hears one frame while all there is to say is said.
    async fn step(&mut self) -> Result<Option<Happening>, ClientError> {
        match &mut self.line {
            Line::Closed => self.open(Duration::ZERO),
            Line::Opening(opening) => {
                let socket = opening.await?;
                self.outage.connected(&self.client);
                self.line = Line::Open(Box::new(Open {
                    socket,
                    is_attached: false,
                    is_flushed: true,
                }));
            }
            Line::Open(_) => {
                let frame = std::future::poll_fn(|cx| self.poll_open(cx)).await?;
                return self.hear(frame);
            }
        }
        Ok(None)
    }

    /// Says what there is to say, as far as the connection takes it, and hears the next frame.
    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, ClientError>> {
        if let Err(error) = self.poll_say(cx) {
            return Poll::Ready(Err(self.broken(error)));
        }
        loop {
            let Line::Open(open) = &mut self.line else {
                return Poll::Pending;
            };
            return match Pin::new(&mut open.socket).poll_next(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Ok(Message::Binary(frame)))) => Poll::Ready(Ok(frame)),
                Poll::Ready(Some(Ok(Message::Close(_))) | None) => {
                    Poll::Ready(Err(self.broken("the host went away".into())))
                }
                Poll::Ready(Some(Ok(_))) => continue,
                Poll::Ready(Some(Err(error))) => Poll::Ready(Err(self.broken(error.into()))),
            };
        }
    }

    fn poll_say(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        let Line::Open(open) = &mut self.line else {
            return Ok(());
        };
        let mut socket = Pin::new(&mut open.socket);
        while open.is_attached {
            match socket.as_mut().poll_ready(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Err(error.into()),
                Poll::Pending => break,
            }
            let word = if !self.is_size_told {
                self.is_size_told = true;
                self.size.map(Inward::Resize)
            } else if let Some(signal) = self.signals.pop_front() {
                Some(Inward::Signal(signal))
            } else if let Some(seen) = self.output.news() {
                Some(Inward::Seen(seen))
            } else {
                self.input.next()
            };
            let Some(word) = word else { break };
            socket.as_mut().start_send(Message::Binary(word.encode()))?;
            open.is_flushed = false;
        }
        if !open.is_flushed
            && let Poll::Ready(flushed) = socket.as_mut().poll_flush(cx)
        {
            flushed?;
            open.is_flushed = true;
        }
        Ok(())
    }

    fn hear(&mut self, frame: Bytes) -> Result<Option<Happening>, ClientError> {
        let said = Outward::decode(frame)
            .map_err(|error| self.client.foreign(&self.path, error.to_string()))?;
        if !matches!(said, Outward::Attached(_) | Outward::Failed(_)) {
            self.outage.received();
        }
        let had_room = self.input.has_room();
        match said {
            Outward::Attached(attached) => {
                self.input.attached(attached.taken).map_err(streamed)?;
                self.output.attached();
                self.is_size_told = self.size.is_none();
                if let Line::Open(open) = &mut self.line {
                    open.is_attached = true;
                }
            }
            Outward::Stdout(to, bytes) => self.output.bytes(ExecStream::Stdout, to, bytes),
            Outward::Stderr(to, bytes) => self.output.bytes(ExecStream::Stderr, to, bytes),
            Outward::Gap(_, to) => self.output.gap(to),
            Outward::Taken(taken) => self.input.taken(taken),
            Outward::Ended(state) => return Ok(Some(Happening::Ended(state))),
            Outward::Failed(error) => return Err(streamed(error)),
        }
        let has_room = self.input.has_room() && !had_room;
        Ok(has_room.then_some(Happening::Room))
    }

    fn broken(&self, source: Box<dyn std::error::Error + Send + Sync>) -> ClientError {
        ClientError::Broken {
            server: self.client.server().to_owned(),
            source,
        }
    }
}
