//! A stream of bytes that outlives its readers.
//!
//! The host reads it into a ring and holds its newest output. Who attaches says from which offset; a
//! newcomer takes the place of who was there. While somebody is attached nothing it has not seen is
//! dropped, and the service waits; while nobody is, the oldest goes.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::{Buf, Bytes};
use fleet_model::Error;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, OwnedSemaphorePermit, watch};
use tokio::task::AbortHandle;

use super::framing::{Framing, Piece, Reader};
use super::transport::Opened;
use crate::process::exec::limits::CHUNK_BYTES;
use crate::ring::{self, Ring};
use crate::source::{Frame, Input, Source, Stream};

/// A stream and what is held of it. Dropped, the connection is closed.
pub(crate) struct Kept {
    shared: Arc<Shared>,
    pump: AbortHandle,
    _place: OwnedSemaphorePermit,
}

struct Shared {
    state: Mutex<State>,
    /// Raised with every change a reader may wait for.
    news: watch::Sender<u64>,
    /// There may be room again.
    room: Notify,
    writer: tokio::sync::Mutex<Option<Writer>>,
    taken: AtomicU64,
    was_read: AtomicBool,
    framing: Framing,
}

#[derive(Default)]
struct State {
    ring: Ring,
    attached: Option<Attached>,
    /// How many have attached.
    count: u64,
    over: Option<Result<(), Error>>,
}

/// Who reads.
struct Attached {
    number: u64,
    next: u64,
    seen: u64,
    /// Nobody says what was seen: what was read counts.
    has_no_input: bool,
}

struct Writer {
    half: Box<dyn AsyncWrite + Send + Unpin>,
    /// What counts as taken and is not written yet.
    pending: Bytes,
}

impl Kept {
    /// Begins to hold a stream.
    pub(crate) fn new(opened: Opened, framing: Framing, place: OwnedSemaphorePermit) -> Arc<Self> {
        let writer = opened.write.map(|half| Writer {
            half,
            pending: Bytes::new(),
        });
        let shared = Arc::new(Shared {
            state: Mutex::default(),
            news: watch::Sender::new(0),
            room: Notify::new(),
            writer: tokio::sync::Mutex::new(writer),
            taken: AtomicU64::new(0),
            was_read: AtomicBool::new(false),
            framing,
        });
        let pump = tokio::spawn(pump(shared.clone(), opened.read)).abort_handle();
        Arc::new(Self {
            shared,
            pump,
            _place: place,
        })
    }

    /// Its output after an offset, and its input.
    ///
    /// # Errors
    /// `invalid` (`bad-cursor`) where the output has not come so far.
    pub(crate) fn attach(self: &Arc<Self>, after: u64) -> Result<Source, Error> {
        let news = self.shared.news.subscribe();
        let mut state = self.shared.lock();
        if after > state.ring.end() {
            return Err(Error::invalid(
                "bad-cursor",
                format!(
                    "the output has not come to {after}: it is {} bytes long",
                    state.ring.end()
                ),
            ));
        }
        state.count += 1;
        let number = state.count;
        state.attached = Some(Attached {
            number,
            next: after,
            seen: after,
            has_no_input: false,
        });
        drop(state);
        self.shared.tell();
        self.shared.room.notify_one();
        let reading = Reading {
            kept: self.clone(),
            number,
            next: after,
            news,
            is_done: false,
        };
        Ok(Source {
            output: reading.frames(),
            input: Some(Box::new(KeptInput {
                kept: self.clone(),
                number,
            })),
        })
    }

    /// Returns when somebody has read its end, or it is dropped. Does not hold it.
    pub(crate) fn read_to_its_end(&self) -> impl Future<Output = ()> + Send + use<> {
        let shared = self.shared.clone();
        let mut news = shared.news.subscribe();
        async move {
            while !shared.was_read.load(Ordering::Acquire) {
                if news.changed().await.is_err() {
                    return;
                }
            }
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.pump.abort();
        self.shared.was_read.store(true, Ordering::Release);
        self.shared.tell();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self) {
        self.news
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Changes what is known of a reader, if it is still the one.
    fn of_reader(&self, number: u64, change: impl FnOnce(&mut State)) -> Result<(), Error> {
        let mut state = self.lock();
        if state
            .attached
            .as_ref()
            .is_none_or(|attached| attached.number != number)
        {
            return Err(elsewhere());
        }
        change(&mut state);
        drop(state);
        self.room.notify_one();
        Ok(())
    }
}

impl State {
    /// From where on nothing may be dropped.
    fn floor(&self) -> u64 {
        self.attached.as_ref().map_or(u64::MAX, |attached| {
            if attached.has_no_input {
                attached.next
            } else {
                attached.seen
            }
        })
    }
}

/// Reads it, for ever or until its end.
async fn pump(shared: Arc<Shared>, mut read: Box<dyn AsyncRead + Send + Unpin>) {
    let mut reader = Reader::new(shared.framing.clone());
    let mut buffer = vec![0; CHUNK_BYTES];
    let over = loop {
        match reader.next() {
            Ok(Some(piece)) => hold(&shared, &piece).await,
            Err(error) => break Err(error),
            Ok(None) if reader.is_over() => break Ok(()),
            Ok(None) => match read.read(&mut buffer).await {
                Ok(0) => break reader.finish(),
                Ok(count) => reader.feed(buffer.get(..count).unwrap_or_default()),
                Err(error) => {
                    break Err(Error::unavailable(
                        "cut-short",
                        format!("the service's connection broke: {}", error.kind()),
                    ));
                }
            },
        }
    };
    shared.lock().over = Some(over);
    shared.tell();
    *shared.writer.lock().await = None;
}

async fn hold(shared: &Shared, piece: &Piece) {
    let mut rest = &piece.bytes[..];
    while !rest.is_empty() {
        let has_room = {
            let mut state = shared.lock();
            let floor = state.floor();
            let space = state.ring.space(ring::KEPT, floor);
            let count = space.len().min(rest.len());
            let (now, later) = rest.split_at(count);
            if let Some(space) = space.get_mut(..count) {
                space.copy_from_slice(now);
            }
            state.ring.filled(piece.stream, count);
            rest = later;
            count > 0
        };
        if has_room {
            shared.tell();
        } else {
            shared.room.notified().await;
        }
    }
}

/// One who reads.
struct Reading {
    kept: Arc<Kept>,
    number: u64,
    next: u64,
    news: watch::Receiver<u64>,
    is_done: bool,
}

impl Reading {
    fn frames(self) -> BoxStream<'static, Result<Frame, Error>> {
        stream::unfold(self, |mut reading| async move {
            let frame = reading.frame().await?;
            Some((frame, reading))
        })
        .boxed()
    }

    async fn frame(&mut self) -> Option<Result<Frame, Error>> {
        loop {
            if self.is_done {
                return None;
            }
            self.news.mark_unchanged();
            match self.look() {
                Look::Frame(frame) => return Some(Ok(frame)),
                Look::Over(over) => {
                    self.is_done = true;
                    self.kept.shared.was_read.store(true, Ordering::Release);
                    self.kept.shared.tell();
                    return over.err().map(Err);
                }
                Look::SentAway => {
                    self.is_done = true;
                    return Some(Err(elsewhere()));
                }
                Look::Nothing => self.news.changed().await.ok()?,
            }
        }
    }

    fn look(&mut self) -> Look {
        let shared = &self.kept.shared;
        let mut state = shared.lock();
        let is_ours = state
            .attached
            .as_ref()
            .is_some_and(|attached| attached.number == self.number);
        if !is_ours {
            return Look::SentAway;
        }
        let (stream, bytes) = if self.next < state.ring.first() {
            // What was dropped is a gap.
            self.next = state.ring.first();
            (Stream::Event, Bytes::new())
        } else if let Some((stream, piece)) = state.ring.piece(self.next) {
            let bytes = Bytes::copy_from_slice(piece);
            self.next += bytes.len() as u64;
            (stream, bytes)
        } else {
            return state.over.clone().map_or(Look::Nothing, Look::Over);
        };
        if let Some(attached) = &mut state.attached {
            attached.next = self.next;
        }
        drop(state);
        shared.room.notify_one();
        Look::Frame(Frame {
            stream,
            time_us: None,
            bytes,
            complete: false,
            cursor: Some(self.next.to_string()),
        })
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        // One who was sent away has nothing to let go of.
        let _ = self
            .kept
            .shared
            .of_reader(self.number, |state| state.attached = None);
    }
}

enum Look {
    Frame(Frame),
    /// The end, and how it came.
    Over(Result<(), Error>),
    /// Somebody else reads.
    SentAway,
    Nothing,
}

/// The way in, for one who is attached.
struct KeptInput {
    kept: Arc<Kept>,
    number: u64,
}

#[async_trait]
impl Input for KeptInput {
    fn taken(&self) -> u64 {
        self.kept.shared.taken.load(Ordering::Acquire)
    }

    async fn give(&mut self, bytes: Bytes) -> Result<(), Error> {
        let shared = &self.kept.shared;
        let mut place = shared.writer.lock().await;
        shared.of_reader(self.number, |_| {})?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let writer = place.as_mut().ok_or_else(closed)?;
            writer.flush().await.map_err(|_| closed())?;
            let now = rest.split_to(rest.len().min(CHUNK_BYTES));
            // From here on it is the stream's, also where this call is given up.
            shared.taken.fetch_add(now.len() as u64, Ordering::AcqRel);
            writer.pending = shared.framing.wrap(now);
            if writer.flush().await.is_err() {
                *place = None;
                return Err(closed());
            }
        }
        Ok(())
    }

    async fn end(&mut self) -> Result<(), Error> {
        let shared = &self.kept.shared;
        let mut place = shared.writer.lock().await;
        shared.of_reader(self.number, |_| {})?;
        if let Some(writer) = place.as_mut() {
            if writer.flush().await.is_ok() && shared.framing.tells_end() {
                writer.pending = shared.framing.wrap(Bytes::new());
                let _ = writer.flush().await;
            } else {
                let _ = writer.half.shutdown().await;
            }
        }
        *place = None;
        Ok(())
    }

    async fn seen(&mut self, offset: u64) -> Result<(), Error> {
        self.kept.shared.of_reader(self.number, |state| {
            if let Some(attached) = &mut state.attached {
                attached.seen = attached.seen.max(offset.min(attached.next));
            }
        })
    }
}

impl Drop for KeptInput {
    fn drop(&mut self) {
        let _ = self.kept.shared.of_reader(self.number, |state| {
            if let Some(attached) = &mut state.attached {
                attached.has_no_input = true;
            }
        });
    }
}

impl Writer {
    async fn flush(&mut self) -> std::io::Result<()> {
        while !self.pending.is_empty() {
            let count = self.half.write(&self.pending).await?;
            if count == 0 {
                return Err(std::io::ErrorKind::WriteZero.into());
            }
            self.pending.advance(count);
        }
        self.half.flush().await
    }
}

fn elsewhere() -> Error {
    Error::conflict(
        "attached-elsewhere",
        "somebody else has attached to it: attach again to have it back",
    )
}

fn closed() -> Error {
    Error::conflict(
        "input-closed",
        "the program reads no more: it has closed its input, or ended, or was told that nothing more comes",
    )
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
