//! Streams under count: each has a place from when it is opened until it is dropped.
//!
//! yamux ends the whole connection, with all that runs on it, when either end has more streams than may
//! be. So both ends count what they hold and refuse the next stream in time, the one that opens first of
//! all. An end forgets a stream a moment after it was dropped, which is what the room between the numbers
//! is for: yamux lets no more than 256 streams begin that the other end has not heard of.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use fleet_model::{Error, ErrorKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::compat::{Compat, FuturesAsyncReadCompatExt};

/// Streams of one session at which yamux ends the connection.
pub(crate) const MAX_STREAMS: usize = 4096;

/// Streams that may be open at once, at the end that opens them.
pub(crate) const MOST_OPENED: usize = MAX_STREAMS - 1024;

/// Streams that may be held at once, at the end that answers them. Those that the asker has let go count
/// until whoever answers them sees it.
pub(crate) const MOST_ANSWERED: usize = MAX_STREAMS - 512;

/// After which time a refused asker may try again, in milliseconds.
const AGAIN_MS: u32 = 1_000;

/// The places of one end.
#[derive(Debug, Clone)]
pub(crate) struct Places(Arc<Semaphore>);

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most)))
    }

    /// One of them, until it is dropped.
    ///
    /// # Errors
    /// `exhausted` (`too-many-streams`).
    pub(crate) fn take(&self) -> Result<Place, Error> {
        let permit = self.0.clone().try_acquire_owned();
        permit
            .map(|permit| Place {
                _permit: Some(permit),
            })
            .map_err(|_| too_many())
    }
}

/// A place, or none for a stream that is about to be refused.
#[derive(Debug, Default)]
pub(crate) struct Place {
    _permit: Option<OwnedSemaphorePermit>,
}

fn too_many() -> Error {
    let message = format!(
        "over {MOST_OPENED} logs, connections and requests are open to the workload's node, and no more may be: end some, or try again"
    );
    Error {
        retry_after_ms: Some(AGAIN_MS),
        ..Error::new(ErrorKind::Exhausted, "too-many-streams", message)
    }
}

/// A stream in its place.
#[derive(Debug)]
pub(crate) struct Placed {
    stream: Compat<yamux::Stream>,
    /// After the stream, so that the place is free when the stream is gone.
    _place: Place,
}

impl Placed {
    pub(crate) fn new(stream: yamux::Stream, place: Place) -> Self {
        Self {
            stream: stream.compat(),
            _place: place,
        }
    }
}

impl AsyncRead for Placed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Placed {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
