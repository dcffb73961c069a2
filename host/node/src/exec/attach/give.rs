//! Gives the program its input, and tells what was seen of its output.
//!
//! Giving may take for ever, where a program does not read. It may not read because it is held back
//! itself, until more of its output was seen; and while bytes are being given nothing else can be said to
//! a source. So where much was seen meanwhile, giving is broken off and the source opened again, which
//! says what was seen, and what was taken.

use bytes::Bytes;
use fleet_capability::source::Input;
use fleet_model::{Error, ErrorKind};
use fleet_protocol::exec::KEPT_BYTES;
use tokio::sync::watch;

use super::desk::Desk;
use super::waiting::Piece;

/// So much that was seen meanwhile is told by opening the source again, in bytes: less than holds a
/// program back.
const NEWS_BYTES: u64 = KEPT_BYTES / 4;

/// What is in hand between two sources of the same program.
#[derive(Debug, Default)]
pub(super) struct Hand {
    /// To be given; what of it was taken is passed over.
    piece: Option<Piece>,
    /// Output up to here was told to be seen.
    told: u64,
    /// Whether the program reads no more.
    is_closed: bool,
}

impl Hand {
    /// A source was opened that knows this much to be seen.
    pub(super) fn opened(&mut self, after: u64) {
        self.told = after;
    }

    /// Tells how much was seen. What cannot be told is no loss: it is then kept for longer.
    pub(super) async fn tell_seen(&mut self, input: &mut dyn Input, desk: &Desk) {
        let seen = *desk.seen.borrow();
        if seen > self.told {
            self.told = seen;
            if let Err(error) = input.seen(seen).await {
                tracing::debug!(%error, "what was seen cannot be told");
            }
        }
    }
}

/// Gives until the source is to be opened again.
///
/// # Errors
/// Where the source is broken.
pub(super) async fn give(
    input: Option<&mut Box<dyn Input>>,
    hand: &mut Hand,
    desk: &Desk,
) -> Result<(), Error> {
    let Some(input) = input else {
        return std::future::pending().await;
    };
    let mut seen = desk.seen.subscribe();
    loop {
        if hand.piece.is_none() {
            tokio::select! {
                piece = desk.next() => hand.piece = Some(piece),
                Ok(_) = seen.wait_for(|seen| *seen > hand.told) => {}
            }
            hand.tell_seen(&mut **input, desk).await;
            continue;
        }
        let done = match &hand.piece {
            _ if hand.is_closed => Some(Ok(())),
            Some(Piece::Bytes(at, bytes)) => {
                let rest = rest(input.taken(), *at, bytes)?;
                let given = async {
                    match rest.is_empty() {
                        true => Ok(()),
                        false => input.give(rest).await,
                    }
                };
                unless_much_is_seen(given, &mut seen, hand.told).await
            }
            Some(Piece::End) => unless_much_is_seen(input.end(), &mut seen, hand.told).await,
            None => None,
        };
        match done {
            // Opened again, the source says what was taken of it.
            None => return Ok(()),
            Some(Ok(())) => {
                hand.piece = None;
                if !hand.is_closed {
                    desk.taken.send_replace(input.taken());
                }
            }
            Some(Err(error)) if error.kind == ErrorKind::Conflict => {
                tracing::debug!(%error, "a program reads no more");
                hand.is_closed = true;
            }
            Some(Err(error)) => return Err(error),
        }
    }
}

/// What of these bytes was not taken yet.
fn rest(taken: u64, at: u64, bytes: &Bytes) -> Result<Bytes, Error> {
    let Some(known) = taken.checked_sub(at) else {
        return Err(Error::internal(
            "input-lost",
            format!("input up to byte {at} was taken, and now the program has it up to {taken}"),
        ));
    };
    let known = usize::try_from(known).unwrap_or(usize::MAX);
    Ok(bytes.slice(known.min(bytes.len())..))
}

/// Waits for it; nothing where much was seen meanwhile.
async fn unless_much_is_seen<T>(
    work: impl Future<Output = T>,
    seen: &mut watch::Receiver<u64>,
    told: u64,
) -> Option<T> {
    let limit = told.saturating_add(NEWS_BYTES);
    tokio::select! {
        biased;
        done = work => Some(done),
        Ok(_) = seen.wait_for(|seen| *seen >= limit) => None,
    }
}
