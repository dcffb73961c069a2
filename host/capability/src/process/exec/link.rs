//! A connection that is attached, between the shim and who holds the source.
//!
//! Two tasks hold it. One reads, always: how much output it may find is what the stream has granted,
//! so what it queues is bounded. The other writes what stream and input leave in the outbox, where only
//! the newest of each counts. Both end when stream and input are dropped, and what was left is said
//! first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fleet_model::Error;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::OwnedWriteHalf;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::AbortHandle;

use super::incoming::Incoming;
use super::input::BesideInput;
use super::limits::{KEPT_BYTES, WINDOW_BYTES};
use super::wire::{Intake, Inward, Outward};
use crate::source::{Frame, Source, Stream};

/// How much more the stream grants at once.
const GRANT_BYTES: u64 = WINDOW_BYTES / 2;

/// So much that was seen is told at once; less waits for something else that is to be said.
const NEWS_BYTES: u64 = KEPT_BYTES / 16;

/// What is to be said to the shim.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) input: Option<(u64, Bytes)>,
    pub(super) has_input_end: bool,
    seen: Option<u64>,
    window: Option<u64>,
    is_closing: bool,
}

/// What stream and input share. Dropped with the last of them.
pub(super) struct Link {
    shared: Arc<Shared>,
    pub(super) intake: watch::Receiver<Intake>,
    reader: AbortHandle,
}

#[derive(Default)]
struct Shared {
    outbox: Mutex<Outbox>,
    news: Notify,
    /// Nobody says what was seen any more: what was pulled counts.
    is_input_dropped: AtomicBool,
    /// The shim has told all there is, and waits to hear that it was seen.
    is_over: AtomicBool,
    /// Up to where it was told that output was seen.
    told_seen: AtomicU64,
}

impl Link {
    /// Leaves something to be said.
    pub(super) fn leave(&self, put: impl FnOnce(&mut Outbox)) {
        put(&mut self.shared.lock());
        self.shared.news.notify_one();
    }

    /// Output up to here was seen.
    pub(super) fn seen(&self, offset: u64) {
        let shared = &self.shared;
        let mut outbox = shared.lock();
        outbox.seen = outbox.seen.max(Some(offset));
        drop(outbox);
        let news = offset.saturating_sub(shared.told_seen.load(Ordering::Relaxed));
        if news >= NEWS_BYTES || shared.is_over.load(Ordering::Acquire) {
            shared.news.notify_one();
        }
    }

    pub(super) fn input_dropped(&self) {
        self.shared.is_input_dropped.store(true, Ordering::Relaxed);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.reader.abort();
        self.leave(|outbox| outbox.is_closing = true);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The source of a connection that has begun after this offset.
pub(super) fn source(
    incoming: Incoming,
    half: OwnedWriteHalf,
    begun: Intake,
    after: u64,
) -> Source {
    let shared = Arc::new(Shared::default());
    let (tell, intake) = watch::channel(begun);
    // Unbounded by itself: the reader finds no more than the stream has granted.
    let (give, frames) = mpsc::unbounded_channel();
    shared.told_seen.store(after, Ordering::Relaxed);
    let reader = tokio::spawn(read(incoming, give, tell, shared.clone()));
    tokio::spawn(write(half, shared.clone()));
    let link = Arc::new(Link {
        shared,
        intake,
        reader: reader.abort_handle(),
    });
    let input = BesideInput::new(link.clone(), begun.taken);
    Source {
        output: output(frames, link, after),
        input: Some(Box::new(input)),
    }
}

/// What is pulled is granted anew.
fn output(
    frames: mpsc::UnboundedReceiver<Result<(Frame, u64), Error>>,
    link: Arc<Link>,
    after: u64,
) -> BoxStream<'static, Result<Frame, Error>> {
    let granted = after.saturating_add(WINDOW_BYTES);
    let state = (frames, link, granted);
    stream::unfold(state, |(mut frames, link, mut granted)| async move {
        let item = frames.recv().await?;
        let item = item.map(|(frame, offset)| {
            let wanted = offset.saturating_add(WINDOW_BYTES);
            let is_worth_it = wanted.saturating_sub(granted) >= GRANT_BYTES;
            let is_seen = link.shared.is_input_dropped.load(Ordering::Relaxed);
            if is_worth_it {
                granted = granted.max(wanted);
                link.leave(|outbox| outbox.window = Some(granted));
            }
            if is_seen {
                link.seen(offset);
            }
            frame
        });
        Some((item, (frames, link, granted)))
    })
    .boxed()
}

async fn read(
    mut incoming: Incoming,
    give: mpsc::UnboundedSender<Result<(Frame, u64), Error>>,
    tell: watch::Sender<Intake>,
    shared: Arc<Shared>,
) {
    loop {
        let (stream, offset, bytes) = match incoming.next().await {
            Ok(Some(Outward::Output(stream, offset, bytes))) => (stream, offset, bytes),
            Ok(Some(Outward::Gap(offset))) => (Stream::Event, offset, Bytes::new()),
            Ok(Some(Outward::Begin(intake) | Outward::Intake(intake))) => {
                let _ = tell.send(intake);
                continue;
            }
            Ok(Some(Outward::Ended)) => {
                shared.is_over.store(true, Ordering::Release);
                shared.news.notify_one();
                return;
            }
            Ok(Some(Outward::Failed(error))) => {
                let _ = give.send(Err(error));
                return;
            }
            Ok(None) | Err(_) => {
                let _ = give.send(Err(lost()));
                return;
            }
        };
        // Where nobody reads, somebody may still write.
        let _ = give.send(Ok((frame(stream, offset, bytes), offset)));
    }
}

pub(super) fn frame(stream: Stream, offset: u64, bytes: Bytes) -> Frame {
    Frame {
        stream,
        time_us: None,
        bytes,
        complete: false,
        cursor: Some(offset.to_string()),
    }
}

async fn write(mut half: OwnedWriteHalf, shared: Arc<Shared>) {
    let mut text = Vec::new();
    loop {
        let outbox = std::mem::take(&mut *shared.lock());
        text.clear();
        if let Some(offset) = outbox.window {
            Inward::Window(offset).encode(&mut text);
        }
        if let Some(offset) = outbox.seen {
            shared.told_seen.store(offset, Ordering::Relaxed);
            Inward::Seen(offset).encode(&mut text);
        }
        if let Some((offset, bytes)) = &outbox.input {
            Inward::Input(*offset, bytes).encode(&mut text);
        }
        if outbox.has_input_end {
            Inward::InputEnd.encode(&mut text);
        }
        if half.write_all(&text).await.is_err() || outbox.is_closing {
            return;
        }
        if text.is_empty() {
            shared.news.notified().await;
        }
    }
}

fn lost() -> Error {
    Error::unavailable(
        "keeper-lost",
        "the program's keeper went away: attach again to go on, if it is still there",
    )
}
