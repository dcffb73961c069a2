//! The control link: JSON messages in length-prefixed frames.

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures::{Sink, SinkExt, Stream, StreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::codec::{Framed, LengthDelimitedCodec};

/// The largest control frame, in bytes. What may be larger goes over the bulk connection or in parts.
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

type FrameSink = Pin<Box<dyn Sink<Bytes, Error = io::Error> + Send>>;
type FrameStream = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// A link that broke, or a frame that is not a message.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The other side is gone.
    #[error("the session's link is closed")]
    Closed,
    /// The link failed.
    #[error("the session's link failed")]
    Io(#[source] io::Error),
    /// What came is not a message of this protocol.
    #[error("the other side sent a frame that is not a message of this protocol")]
    Malformed(#[source] serde_json::Error),
    /// What should be sent cannot be.
    #[error("a message of {bytes} bytes is over the limit of {MAX_FRAME_BYTES}")]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
}

/// A control link, not yet taken apart.
pub struct Link {
    /// Says.
    pub sender: LinkSender,
    /// Hears.
    pub receiver: LinkReceiver,
}

/// The saying half.
pub struct LinkSender(FrameSink);

/// The hearing half.
pub struct LinkReceiver(FrameStream);

impl Link {
    /// A link over any byte stream.
    pub fn over_bytes<T: AsyncRead + AsyncWrite + Send + 'static>(io: T) -> Self {
        let codec = LengthDelimitedCodec::builder()
            .max_frame_length(MAX_FRAME_BYTES)
            .new_codec();
        let (sink, stream) = Framed::new(io, codec).split();
        Self {
            sender: LinkSender(Box::pin(sink)),
            receiver: LinkReceiver(Box::pin(stream.map(|frame| frame.map(Into::into)))),
        }
    }
}

impl LinkSender {
    /// Sends one message.
    ///
    /// # Errors
    /// When the link is closed, or the message is too large (the link stays usable).
    pub async fn send<M: Serialize>(&mut self, message: &M) -> Result<(), LinkError> {
        let frame = serde_json::to_vec(message).map_err(LinkError::Malformed)?;
        if frame.len() > MAX_FRAME_BYTES {
            return Err(LinkError::TooLarge { bytes: frame.len() });
        }
        self.0.send(frame.into()).await.map_err(LinkError::Io)
    }
}

impl LinkReceiver {
    /// The next message. Cancel-safe.
    ///
    /// # Errors
    /// When the link is closed or what came is no message; both end the session.
    pub async fn receive<M: DeserializeOwned>(&mut self) -> Result<M, LinkError> {
        match self.0.next().await {
            None => Err(LinkError::Closed),
            Some(Err(error)) => Err(LinkError::Io(error)),
            Some(Ok(frame)) => serde_json::from_slice(&frame).map_err(LinkError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    #[tokio::test]
    async fn messages_arrive_whole_and_in_order() {
        let (a, b) = tokio::io::duplex(16);
        let (mut a, mut b) = (Link::over_bytes(a), Link::over_bytes(b));
        let send = async {
            a.sender.send(&"one").await.unwrap();
            a.sender.send(&"two".repeat(100)).await.unwrap();
            drop(a);
        };
        let receive = async {
            assert_eq!(b.receiver.receive::<String>().await.unwrap(), "one");
            assert_eq!(
                b.receiver.receive::<String>().await.unwrap(),
                "two".repeat(100)
            );
            assert!(matches!(
                b.receiver.receive::<String>().await,
                Err(LinkError::Closed)
            ));
        };
        tokio::join!(send, receive);
    }

    #[tokio::test]
    async fn garbage_giant_and_cut_frames_are_typed_errors() {
        for (bytes, malformed) in [
            (&b"\0\0\0\x03{]}"[..], true),
            (&b"\xff\xff\xff\xff"[..], false),
            (&b"\0\0\0\x09{"[..], false),
        ] {
            let (mut a, b) = tokio::io::duplex(64);
            a.write_all(bytes).await.unwrap();
            drop(a);
            let error = Link::over_bytes(b)
                .receiver
                .receive::<String>()
                .await
                .unwrap_err();
            assert_eq!(
                matches!(error, LinkError::Malformed(_)),
                malformed,
                "{error:?}"
            );
            assert_eq!(matches!(error, LinkError::Io(_)), !malformed, "{error:?}");
        }
    }

    #[tokio::test]
    async fn a_message_over_the_limit_is_refused_before_it_is_sent() {
        let (a, _b) = tokio::io::duplex(64);
        let mut a = Link::over_bytes(a);
        let error = a
            .sender
            .send(&"x".repeat(MAX_FRAME_BYTES))
            .await
            .unwrap_err();
        assert!(matches!(error, LinkError::TooLarge { .. }));
    }
}
