//! The bytes of a connection to a workload's port, on a bulk stream.
//!
//! Frames of bytes run both ways. An empty frame ends its direction and leaves the other open, as a
//! shut down half of a TCP connection does. A stream that ends without one broke off, and so has the
//! connection: what came over it may be less than was sent.

use std::io;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::bulk::BulkStream;

/// The most bytes of one frame that [`carry`] sends.
pub const CHUNK_BYTES: usize = 32 * 1024;

/// Carries bytes between a stream and a connection until both directions have ended. Each waits for its
/// own reader and holds up nothing else. A side that takes nothing more is heard until it has said all: then
/// that direction has ended too.
///
/// # Errors
/// When a side breaks off before it has said all. The other side is told: the stream ends without an empty
/// frame, and `io` is dropped without being shut down.
pub async fn carry<I>(stream: BulkStream, io: I) -> io::Result<()>
where
    I: AsyncRead + AsyncWrite,
{
    let (mut sink, mut source) = stream.split();
    let (mut read, mut write) = tokio::io::split(io);
    let outward = async {
        let mut buffer = BytesMut::new();
        loop {
            buffer.reserve(CHUNK_BYTES);
            let count = (&mut read)
                .take(CHUNK_BYTES as u64)
                .read_buf(&mut buffer)
                .await?;
            if sink.send(buffer.split().freeze()).await.is_err() {
                return Ok(None);
            }
            if count == 0 {
                return Ok::<_, io::Error>(Some(sink));
            }
        }
    };
    let inward = async {
        loop {
            let frame = source.receive().await.unwrap_or_else(|| Err(broken()))?;
            if frame.is_empty() {
                // One whose far end is gone already needs no end.
                let _ = write.shutdown().await;
                return Ok(Inward::Ended);
            }
            if write.write_all(&frame).await.is_err() {
                return Ok::<_, io::Error>(Inward::Refused);
            }
        }
    };
    match tokio::try_join!(outward, inward)? {
        (Some(sink), Inward::Ended) => sink.finish().await,
        // Dropped as it is, the stream is reset, which whoever still sends must learn. What was said
        // before arrives all the same, its end included.
        (_, Inward::Refused) | (None, Inward::Ended) => Ok(()),
    }
}

/// How the direction towards the connection ended.
enum Inward {
    /// In order.
    Ended,
    /// The connection takes nothing more.
    Refused,
}

fn broken() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the connection to the port broke off",
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use fleet_model::item::{Generation, ItemKey, workload_kind};
    use tokio::io::DuplexStream;
    use tokio::task::JoinHandle;

    use super::*;
    use crate::bulk::{Acceptor, Opener, Request};

    /// A stream, what is carried over its far end, and how that went.
    struct Far {
        stream: BulkStream,
        io: DuplexStream,
        carried: JoinHandle<io::Result<()>>,
    }

    async fn far(io_bytes: usize) -> Far {
        let (a, b) = tokio::io::duplex(1024);
        let (opener, drive_a) = Opener::over(Box::new(a));
        let (mut acceptor, drive_b) = Acceptor::over(Box::new(b));
        tokio::spawn(drive_a);
        tokio::spawn(drive_b);
        let (io, near) = tokio::io::duplex(io_bytes);
        let carried = tokio::spawn(async move {
            let mut pending = acceptor.accept().await.unwrap();
            pending.request().await.unwrap();
            carry(pending.accept().await.unwrap(), near).await
        });
        let request = Request::Port {
            item: ItemKey {
                kind: workload_kind(),
                key: "a".into(),
            },
            generation: Generation(1),
            port: "http".into(),
        };
        let stream = opener.open(&request).await.unwrap();
        Far {
            stream,
            io,
            carried,
        }
    }

    async fn within<T>(what: impl Future<Output = T>) -> T {
        tokio::time::timeout(Duration::from_secs(20), what)
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn each_direction_ends_by_itself() {
        let Far {
            mut stream,
            mut io,
            carried,
        } = far(64).await;
        stream.send(Bytes::from_static(b"ask")).await.unwrap();
        stream.send(Bytes::new()).await.unwrap();
        let mut asked = Vec::new();
        within(io.read_to_end(&mut asked)).await.unwrap();
        assert_eq!(asked, b"ask");
        // The answer comes after the end of what was asked.
        io.write_all(b"answer").await.unwrap();
        io.shutdown().await.unwrap();
        let mut answer = Vec::new();
        loop {
            let frame = within(stream.receive()).await.unwrap().unwrap();
            if frame.is_empty() {
                break;
            }
            answer.extend_from_slice(&frame);
        }
        assert_eq!(answer, b"answer");
        within(carried).await.unwrap().unwrap();
        assert!(within(stream.receive()).await.is_none());
    }

    #[tokio::test]
    async fn a_direction_that_nobody_reads_holds_up_only_itself() {
        let Far {
            stream,
            mut io,
            carried,
        } = far(64).await;
        let (mut sink, mut source) = stream.split();
        // Far more than all windows: ends only because the other side goes away.
        let stuck = tokio::spawn(async move {
            let mut count = 0_u32;
            while sink.send(Bytes::from(vec![7; 64 * 1024])).await.is_ok() {
                count += 1;
            }
            count
        });
        const TOTAL: usize = 1 << 20;
        let (mut read, mut write) = tokio::io::split(&mut io);
        let say = async {
            write.write_all(&vec![3; TOTAL]).await.unwrap();
        };
        let hear = async {
            let mut total = 0;
            while total < TOTAL {
                total += source.receive().await.unwrap().unwrap().len();
            }
            total
        };
        let ((), total) = within(async { tokio::join!(say, hear) }).await;
        assert_eq!(total, TOTAL);
        assert!(!stuck.is_finished(), "64 bytes of room hold it");
        // And it goes on as soon as somebody reads.
        let mut first = vec![0; 1 << 20];
        within(read.read_exact(&mut first)).await.unwrap();
        drop(io);
        within(carried).await.unwrap().unwrap();
        drop(source);
        assert!(within(stuck).await.unwrap() >= 16);
    }

    #[tokio::test]
    async fn a_side_that_breaks_off_is_no_end() {
        let Far {
            stream,
            mut io,
            carried,
        } = far(64).await;
        drop(stream);
        within(carried).await.unwrap().unwrap_err();
        let mut rest = Vec::new();
        within(io.read_to_end(&mut rest)).await.unwrap();
        assert!(rest.is_empty());
    }

    #[tokio::test]
    async fn what_was_said_before_the_far_end_closed_arrives() {
        let Far {
            mut stream,
            mut io,
            carried,
        } = far(1 << 20).await;
        io.write_all(b"go away").await.unwrap();
        drop(io);
        let said = within(stream.receive()).await.unwrap().unwrap();
        assert_eq!(said, b"go away"[..]);
        assert!(within(stream.receive()).await.unwrap().unwrap().is_empty());
        // Whoever closed takes nothing more.
        while stream.send(Bytes::from_static(b"more")).await.is_ok() {
            tokio::task::yield_now().await;
        }
        within(carried).await.unwrap().unwrap();
    }
}
