//! A file on its way out.
//!
//! While one piece is sent the next is read, and that is all there is in memory.

use std::io;

use bytes::Bytes;
use fleet_capability::workspace::{Hash, Links, Reading, Tree};
use fleet_model::Error;
use fleet_model::file::{FileEntry, FileKind};
use fleet_protocol::bulk::{BulkStream, Pending};
use fleet_protocol::file::{CHUNK_BYTES, Reply};
use tokio::task::JoinHandle;

use crate::files::blocking;

/// Bytes that are read at once.
const PIECE_BYTES: usize = 4 * CHUNK_BYTES;

/// Sends a file from a place in it on.
pub(super) async fn send(
    pending: Pending,
    tree: Tree,
    path: String,
    offset: u64,
    length: Option<u64>,
) -> io::Result<()> {
    let reading = match blocking(move || tree.read(&path, offset, length)).await {
        Ok(reading) => reading,
        Err(error) => return pending.refuse(error).await,
    };
    let mut stream = pending.accept().await?;
    stream
        .send_json(&Reply::Entry(reading.entry().clone()))
        .await?;
    let mut next = ahead(reading);
    loop {
        let (reading, piece) = next.await?.map_err(io::Error::other)?;
        if piece.is_empty() {
            return stream.finish().await;
        }
        next = ahead(reading);
        for frame in frames(piece) {
            stream.feed(frame).await?;
        }
        stream.flush().await?;
    }
}

/// Says what is at a path, with its SHA-256 if it is a file. It is told as it was after it was read: one
/// that changed meanwhile shows it.
pub(super) async fn digest(
    pending: Pending,
    tree: Tree,
    path: String,
    links: Links,
) -> io::Result<()> {
    let open = move || {
        let entry = tree.stat(&path, links)?;
        let reading = (entry.kind == FileKind::File).then(|| tree.read(&path, 0, None));
        Ok((entry, reading.transpose()?))
    };
    let (entry, reading) = match blocking(open).await {
        Ok(opened) => opened,
        Err(error) => return pending.refuse(error).await,
    };
    let mut stream = pending.accept().await?;
    let reply = match reading {
        None => Reply::Entry(entry),
        Some(reading) => tokio::select! {
            hashed = hashed(reading) => match hashed {
                Ok(entry) => Reply::Entry(entry),
                Err(error) => Reply::Failed(error),
            },
            // Nobody waits for it any more.
            () = stream.closed() => return Ok(()),
        },
    };
    answer(stream, &reply).await
}

async fn answer(mut stream: BulkStream, reply: &Reply) -> io::Result<()> {
    stream.send_json(reply).await?;
    stream.finish().await
}

async fn hashed(mut reading: Reading) -> Result<FileEntry, Error> {
    let mut hash = Hash::default();
    loop {
        let step = move || {
            let mut left = 8;
            while left > 0 {
                let piece = reading.next(PIECE_BYTES)?;
                if piece.is_empty() {
                    break;
                }
                hash.update(&piece);
                left -= 1;
            }
            Ok((reading, hash, left > 0))
        };
        let is_over;
        (reading, hash, is_over) = blocking(step).await?;
        if is_over {
            return Ok(FileEntry {
                sha256: Some(hash.finish()),
                ..reading.now()?
            });
        }
    }
}

/// Reads the next piece.
fn ahead(mut reading: Reading) -> JoinHandle<Result<(Reading, Bytes), Error>> {
    tokio::task::spawn_blocking(move || {
        let piece = reading.next(PIECE_BYTES)?;
        Ok((reading, piece))
    })
}

/// A piece, cut so that each part fits into a frame.
fn frames(mut piece: Bytes) -> impl Iterator<Item = Bytes> {
    std::iter::from_fn(move || {
        let frame = piece.split_to(piece.len().min(CHUNK_BYTES));
        (!frame.is_empty()).then_some(frame)
    })
}
