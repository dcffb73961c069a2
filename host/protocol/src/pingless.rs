//! A connection on which this end sends no pings of its own.
//!
//! yamux reads nothing while a pong of its waits to be written. Where both ends have sent a ping and both
//! are full of bytes that nobody reads, both would wait for ever. With pings from one end alone the other
//! always reads on, and so whatever waits goes out in the end. What is lost is that the end without
//! pings grants larger windows on slow links: its streams keep those they begin with (256 KiB).

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The length of a frame's header: version, type, flags (2), stream (4), length (4).
const HEADER_BYTES: usize = 12;
/// The type of a frame whose length is that of the bytes that follow it.
const DATA: u8 = 0;
/// The type of pings and pongs.
const PING: u8 = 2;
/// The flag that makes one a ping; a pong has another.
const SYN: u16 = 1;

/// Passes on all frames but pings. Made for a writer that begins every frame with a write of its own, as
/// yamux does.
#[derive(Debug)]
pub(crate) struct Pingless<I> {
    io: I,
    /// What is left to write of a frame that was begun, in bytes.
    left: usize,
}

impl<I> Pingless<I> {
    pub(crate) fn new(io: I) -> Self {
        Self { io, left: 0 }
    }
}

/// What begins with this header.
enum Begun {
    Ping,
    /// A frame of so many bytes, its header included.
    Frame(usize),
}

fn begun(bytes: &[u8]) -> Option<Begun> {
    let header: &[u8; HEADER_BYTES] = bytes.first_chunk()?;
    let [_, kind, flags @ .., _, _, _, _, _, _, _, _] = header;
    if *kind == PING && u16::from_be_bytes(*flags) & SYN != 0 {
        return Some(Begun::Ping);
    }
    let [.., a, b, c, d] = header;
    let body = match *kind {
        DATA => usize::try_from(u32::from_be_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX),
        _ => 0,
    };
    Some(Begun::Frame(HEADER_BYTES.saturating_add(body)))
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Pingless<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let left = match self.left {
            0 => match begun(bytes) {
                Some(Begun::Ping) => return Poll::Ready(Ok(HEADER_BYTES)),
                Some(Begun::Frame(length)) => length,
                None => return Poll::Ready(Err(io::ErrorKind::InvalidInput.into())),
            },
            left => left,
        };
        let most = bytes.get(..left).unwrap_or(bytes);
        let count = std::task::ready!(Pin::new(&mut self.io).poll_write(context, most))?;
        self.left = left.saturating_sub(count);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Pingless<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(context, buffer)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn header(kind: u8, flags: u16, length: u32) -> Vec<u8> {
        let mut bytes = vec![0, kind];
        bytes.extend(flags.to_be_bytes());
        bytes.extend([0, 0, 0, 7]);
        bytes.extend(length.to_be_bytes());
        bytes
    }

    #[tokio::test]
    async fn pings_alone_are_left_out() {
        let (far, near) = tokio::io::duplex(5);
        let mut near = Pingless::new(near);
        // Its bytes look like a ping.
        let body = header(PING, SYN, 0);
        let frames = [
            header(PING, SYN, 1),
            header(DATA, SYN, 12),
            body,
            header(PING, 2, 5),
            header(PING, SYN, 2),
            header(1, 0, 4_000),
            header(DATA, 4, 0),
        ];
        let passed: Vec<u8> = [1, 2, 3, 5, 6]
            .iter()
            .flat_map(|n| frames[*n].clone())
            .collect();
        let write = async {
            for frame in &frames {
                near.write_all(frame).await.unwrap();
            }
            near.shutdown().await.unwrap();
        };
        let mut found = Vec::new();
        let mut far = far;
        let (_, read) = tokio::join!(write, far.read_to_end(&mut found));
        read.unwrap();
        assert_eq!(found, passed);
    }
}
