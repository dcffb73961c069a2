//! Log lines out of a stream of bytes: each is the length of a frame (4 bytes, big-endian) and the frame
//! itself, as a node sends it ([`fleet_protocol::log`]).

use bytes::{Buf, Bytes, BytesMut};
use fleet_protocol::log::{LogLine, decode};
use reqwest::Response;
use reqwest::header::HeaderMap;

use crate::client::Client;
use crate::error::ClientError;
use crate::request::{Ask, streamed};

/// The media type that is asked for.
const KIND: &str = "application/octet-stream";

/// The longest frame taken from a server, in bytes: as long as one of a session may be.
const LONGEST: usize = fleet_protocol::bulk::MAX_FRAME_BYTES;

/// An open log.
#[derive(Debug)]
pub(crate) struct LogFrames {
    response: Response,
    frames: Frames,
    /// What came instead of a line, to be told next.
    failure: Option<ClientError>,
}

impl LogFrames {
    /// Asks for one.
    pub(crate) async fn open(client: &Client, ask: &Ask) -> Result<Self, ClientError> {
        let response = client.stream(ask, KIND, HeaderMap::new()).await?;
        Ok(Self {
            response,
            frames: Frames::default(),
            failure: None,
        })
    }

    /// The next line; `None` at a good end. May be dropped and called again: nothing is lost.
    pub(crate) async fn next(
        &mut self,
        client: &Client,
        path: &str,
    ) -> Result<Option<LogLine>, ClientError> {
        loop {
            if let Some(line) = self.ready(client, path) {
                return Ok(Some(line));
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.frames.push(chunk),
                Ok(None) if self.frames.is_empty() => return Ok(None),
                Ok(None) => {
                    return Err(ClientError::Broken {
                        server: client.server().to_owned(),
                        source: "the log ended within a line".into(),
                    });
                }
                Err(error) => return Err(client.network(error)),
            }
        }
    }

    /// The next line that has come already; [`next`](Self::next) says what else there is.
    pub(crate) fn ready(&mut self, client: &Client, path: &str) -> Option<LogLine> {
        if self.failure.is_some() {
            return None;
        }
        let failure = match self.frames.pop() {
            Ok(frame) => match decode(frame?) {
                Ok(line) => return Some(line),
                Err(error) => streamed(error),
            },
            Err(TooLong) => client.foreign(path, "a log line without end".to_owned()),
        };
        self.failure = Some(failure);
        None
    }
}

/// A frame beyond [`LONGEST`].
#[derive(Debug, PartialEq, Eq)]
struct TooLong;

/// Collects chunks and gives out whole frames; what lies whole in one chunk is not copied.
#[derive(Debug, Default)]
struct Frames {
    chunk: Bytes,
    /// The beginning of a frame whose rest has not come.
    begun: BytesMut,
}

impl Frames {
    /// Takes the next chunk, when all frames of the one before have been given out.
    fn push(&mut self, chunk: Bytes) {
        if self.begun.is_empty() {
            self.chunk = chunk;
        } else {
            self.begun.extend_from_slice(&chunk);
            self.chunk = self.begun.split().freeze();
        }
    }

    fn pop(&mut self) -> Result<Option<Bytes>, TooLong> {
        let mut rest = &*self.chunk;
        let Ok(length) = rest.try_get_u32() else {
            return Ok(self.keep());
        };
        let length = usize::try_from(length).map_err(|_| TooLong)?;
        if length > LONGEST {
            return Err(TooLong);
        }
        if rest.len() < length {
            return Ok(self.keep());
        }
        self.chunk.advance(4);
        Ok(Some(self.chunk.split_to(length)))
    }

    /// What is left of the chunk waits for the next one.
    fn keep(&mut self) -> Option<Bytes> {
        self.begun.extend_from_slice(&self.chunk);
        self.chunk = Bytes::new();
        None
    }

    fn is_empty(&self) -> bool {
        self.chunk.is_empty() && self.begun.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_become_frames_wherever_they_are_cut() {
        let mut text = Vec::new();
        for frame in [&b"one"[..], b"", b"three\0\n"] {
            text.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            text.extend_from_slice(frame);
        }
        for cut in 0..=text.len() {
            let mut frames = Frames::default();
            let mut all = Vec::new();
            for chunk in [&text[..cut], &text[cut..]] {
                frames.push(Bytes::copy_from_slice(chunk));
                while let Some(frame) = frames.pop().unwrap() {
                    all.push(frame);
                }
            }
            assert_eq!(all, [&b"one"[..], b"", b"three\0\n"], "cut at {cut}");
            assert!(frames.is_empty());
        }
    }

    #[test]
    fn a_frame_that_is_cut_off_is_no_end_and_an_endless_one_is_refused() {
        let mut frames = Frames::default();
        frames.push(Bytes::from_static(b"\0\0\0\x05ab"));
        assert_eq!(frames.pop(), Ok(None));
        assert!(!frames.is_empty());
        let mut frames = Frames::default();
        frames.push(Bytes::from_static(b"\xff\xff\xff\xff"));
        assert_eq!(frames.pop(), Err(TooLong));
    }
}
