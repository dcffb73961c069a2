//! Tells whoever is attached what the program prints, and how much of its input was taken.
//!
//! A source is read only as fast as the stream takes what it gives; what is ready goes out together.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fleet_capability::source::Frame;
use fleet_model::Error;
use fleet_protocol::bulk::BulkSink;
use fleet_protocol::exec::Outward;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::frames::Meter;

/// Output that goes out together at most, in bytes.
const BURST_BYTES: usize = 512 * 1024;

/// A source's output.
pub(super) type Output = BoxStream<'static, Result<Frame, Error>>;

/// How telling ended.
#[derive(Debug)]
pub(super) enum Told {
    /// All of the source.
    All,
    /// The source is broken.
    Broken(Error),
    /// It was told to stop; nothing is lost.
    Stopped,
}

/// The way to whoever is attached.
pub(super) struct Teller {
    pub(super) sink: BulkSink,
    pub(super) meter: Meter,
    pub(super) taken: watch::Receiver<u64>,
    /// Output up to here was sent.
    pub(super) sent: Arc<AtomicU64>,
}

impl Teller {
    /// Tells until the source ends, or until `stop`.
    ///
    /// # Errors
    /// When nobody is there any more.
    pub(super) async fn tell(
        &mut self,
        output: &mut Output,
        stop: &CancellationToken,
    ) -> io::Result<Told> {
        loop {
            let first = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(Told::Stopped),
                Ok(()) = self.taken.changed() => {
                    let taken = *self.taken.borrow_and_update();
                    self.say(&Outward::Taken(taken)).await?;
                    continue;
                }
                frame = output.next() => frame,
            };
            let (mut next, mut burst) = (Some(first), 0);
            while let Some(frame) = next {
                match frame {
                    Some(Ok(frame)) => burst += self.put(frame).await?,
                    Some(Err(error)) => {
                        self.sink.flush().await?;
                        return Ok(Told::Broken(error));
                    }
                    None => {
                        self.sink.flush().await?;
                        return Ok(Told::All);
                    }
                }
                next = match burst < BURST_BYTES {
                    true => output.next().now_or_never(),
                    false => None,
                };
            }
            self.sink.flush().await?;
        }
    }

    /// Says something at once.
    ///
    /// # Errors
    /// When nobody is there any more.
    pub(super) async fn say(&mut self, what: &Outward) -> io::Result<()> {
        self.sink.send(what.encode()).await
    }

    /// Puts a frame on its way, and answers its size in bytes.
    async fn put(&mut self, frame: Frame) -> io::Result<usize> {
        let mut size = 0;
        let frames = self.meter.frames(frame);
        // First: none that is seen is one that was not sent.
        self.sent.store(self.meter.sent(), Ordering::Release);
        for frame in frames {
            let frame: Bytes = frame.encode();
            size += frame.len();
            self.sink.feed(frame).await?;
        }
        Ok(size)
    }
}
