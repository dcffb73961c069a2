//! What a shim says on a connection that is attached, frame by frame.
//!
//! Output is not copied out of the buffer it was read into. Buffers are used again as soon as nobody
//! holds a part of them, so that much output goes through little memory.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf, BytesMut};
use tokio::io::AsyncReadExt;
use tokio::net::unix::OwnedReadHalf;

use super::limits::CHUNK_BYTES;
use super::wire::{self, HEAD_BYTES, Outward};

/// The size of a buffer.
const BUFFER_BYTES: usize = 4 * CHUNK_BYTES;

/// How many are kept for later: what a reader may hold, and one to go on with.
const SPARE: usize = 3;

/// Room for less than this is not worth a read.
const LEAST_BYTES: usize = CHUNK_BYTES;

/// The reading half of a connection.
pub(super) struct Incoming {
    half: OwnedReadHalf,
    buffer: BytesMut,
    spare: VecDeque<BytesMut>,
}

impl Incoming {
    pub(super) fn new(half: OwnedReadHalf) -> Self {
        Self {
            half,
            buffer: BytesMut::new(),
            spare: VecDeque::new(),
        }
    }

    /// The next frame; `None` where the shim is gone.
    pub(super) async fn next(&mut self) -> io::Result<Option<Outward>> {
        loop {
            if let Some((kind, length)) = wire::head(&self.buffer)?
                && self.buffer.len() >= HEAD_BYTES + length
            {
                self.buffer.advance(HEAD_BYTES);
                let body = self.buffer.split_to(length).freeze();
                return Outward::decode(kind, body).map(Some);
            }
            self.make_room();
            if self.half.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Goes on in a buffer that nobody holds; the beginning of a frame goes along.
    fn make_room(&mut self) {
        let room = self.buffer.capacity() - self.buffer.len();
        if room >= LEAST_BYTES || self.buffer.try_reclaim(LEAST_BYTES) {
            return;
        }
        let mut next = self.spare.pop_front().unwrap_or_default();
        if !next.try_reclaim(BUFFER_BYTES) {
            next = BytesMut::with_capacity(BUFFER_BYTES);
        }
        next.extend_from_slice(&self.buffer);
        let mut full = std::mem::replace(&mut self.buffer, next);
        full.clear();
        self.spare.push_back(full);
        if self.spare.len() > SPARE {
            self.spare.pop_front();
        }
    }
}
