//! Sources: streams that the host reads by itself.
//!
//! A plugin opens one through an import, under that import's grant, and only passes it on; the
//! bytes never go through the plugin. Whoever holds the source pulls, so a slow reader slows
//! nobody but itself, and dropping the source ends all work done for it.

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_model::Error;
use futures::stream::BoxStream;

/// A stream the host reads by itself; a plugin only passes it on.
pub struct Source {
    /// What comes out. Its end is the end of what was opened; an error is the last item.
    pub output: BoxStream<'static, Result<Frame, Error>>,
    /// What goes in, for sources that take something.
    pub input: Option<Box<dyn Input>>,
}

/// The way into what a source is of.
#[async_trait]
pub trait Input: Send + 'static {
    /// How many bytes have been taken since its program began, by whoever they were given.
    fn taken(&self) -> u64;

    /// Gives it bytes; returns when they cannot get lost any more, which may be long where the
    /// program does not read.
    ///
    /// # Errors
    /// `conflict` (`input-closed`) when nobody will read any more, `unavailable` when it cannot be
    /// reached.
    async fn give(&mut self, bytes: Bytes) -> Result<(), Error>;

    /// Nothing more comes.
    ///
    /// # Errors
    /// As [`give`](Self::give).
    async fn end(&mut self) -> Result<(), Error>;

    /// Output up to this offset was seen and need not be kept for a later reader. The program waits
    /// for a reader that has not seen [`KEPT_BYTES`](crate::process::exec::limits::KEPT_BYTES); when the
    /// input was dropped, what is read counts as seen.
    ///
    /// # Errors
    /// `unavailable` when it cannot be reached.
    async fn seen(&mut self, offset: u64) -> Result<(), Error>;
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("input", &self.input.is_some())
            .finish_non_exhaustive()
    }
}

/// One piece of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where it comes from.
    pub stream: Stream,
    /// When it was written, in Unix microseconds, if known.
    pub time_us: Option<u64>,
    /// The bytes as they were written, without the line feed when `complete`.
    pub bytes: Bytes,
    /// Whether this ends a line; if not, the line goes on in the next frame of this stream.
    pub complete: bool,
    /// Opening the same output with this cursor goes on right after this frame.
    pub cursor: Option<String>,
}

/// Where a frame comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// The program's standard output.
    Stdout,
    /// The program's standard error.
    Stderr,
    /// The host itself: a gap in what follows, as text.
    Event,
}

impl Stream {
    /// The word used in log files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Event => "event",
        }
    }

    pub(crate) fn from_word(word: &[u8]) -> Option<Self> {
        [Self::Stdout, Self::Stderr, Self::Event]
            .into_iter()
            .find(|stream| stream.as_str().as_bytes() == word)
    }
}
