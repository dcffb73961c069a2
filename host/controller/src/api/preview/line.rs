//! A connection to a port as a line of bytes that HTTP can be spoken over.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use fleet_protocol::bulk::BulkStream;
use fleet_protocol::port::{CHUNK_BYTES, carry};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio_util::task::AbortOnDropHandle;

/// Bytes under way in each direction before a writer waits.
const ROOM_BYTES: usize = 2 * CHUNK_BYTES;

/// One end of a line. A connection that broke off before the program had said all ends in an error: an
/// answer whose length only its end tells must not look whole.
pub(super) struct Line {
    io: DuplexStream,
    is_broken: Arc<AtomicBool>,
}

/// A line over a stream to a port, and what carries its bytes.
pub(super) fn over(stream: BulkStream) -> (Line, AbortOnDropHandle<()>) {
    let (near, mut far) = tokio::io::duplex(ROOM_BYTES);
    let is_broken = Arc::new(AtomicBool::new(false));
    let line = Line {
        io: near,
        is_broken: is_broken.clone(),
    };
    let carrying = tokio::spawn(async move {
        if carry(stream, &mut far).await.is_err() {
            // Before `far` is dropped, which is what the reader sees.
            is_broken.store(true, Ordering::Release);
        }
    });
    (line, AbortOnDropHandle::new(carrying))
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(cx, buffer);
        let is_end = matches!(&polled, Poll::Ready(Ok(()))) && buffer.filled().len() == before;
        if is_end && buffer.remaining() > 0 && self.is_broken.load(Ordering::Acquire) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        polled
    }
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
