//! What the two directions of an attachment know of each other.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fleet_model::exec::TerminalSize;
use fleet_model::{Error, ErrorKind};
use tokio::sync::{Notify, mpsc, watch};

use super::waiting::{Piece, Waiting};

/// Signals that may wait for a slow backend.
const MOST_SIGNALS: usize = 16;

/// Between whoever is attached and the program.
#[derive(Debug)]
pub(super) struct Desk {
    waiting: Mutex<Waiting>,
    came: Notify,
    /// Input up to here was taken.
    pub(super) taken: watch::Sender<u64>,
    /// Output up to here was sent.
    pub(super) sent: Arc<AtomicU64>,
    /// Output up to here was seen.
    pub(super) seen: watch::Sender<u64>,
    /// The terminal's newest size, and which one of those that came it is.
    pub(super) size: watch::Sender<(u64, Option<TerminalSize>)>,
    /// The backend was told the size of this number.
    pub(super) sized: watch::Sender<u64>,
    signals: mpsc::Sender<&'static str>,
}

impl Desk {
    /// Nothing was said yet; output is known up to `after`, and input was taken up to `taken`.
    pub(super) fn new(after: u64, taken: u64) -> (Self, mpsc::Receiver<&'static str>) {
        let (signals, to_send) = mpsc::channel(MOST_SIGNALS);
        let desk = Self {
            waiting: Mutex::new(Waiting::new(taken)),
            came: Notify::new(),
            taken: watch::Sender::new(taken),
            sent: Arc::new(AtomicU64::new(after)),
            seen: watch::Sender::new(after),
            size: watch::Sender::new((0, None)),
            sized: watch::Sender::new(0),
            signals,
        };
        (desk, to_send)
    }

    /// Input has come.
    ///
    /// # Errors
    /// As [`Waiting::put`].
    pub(super) fn put(&self, at: u64, bytes: &Bytes) -> Result<(), Error> {
        let taken = *self.taken.borrow();
        self.lock().put(at, bytes, taken)?;
        self.came.notify_one();
        Ok(())
    }

    /// The input's end has come.
    pub(super) fn end(&self) {
        self.lock().end();
        self.came.notify_one();
    }

    /// The terminal has another size.
    pub(super) fn resize(&self, size: TerminalSize) {
        self.size.send_modify(|(number, newest)| {
            *number += 1;
            *newest = Some(size);
        });
    }

    /// What to give next. What is typed after a change of the size is for a program that knows it, so it
    /// waits for that. Taking it out is the last thing this does.
    pub(super) async fn next(&self) -> Piece {
        loop {
            let newest = self.size.borrow().0;
            // This keeps the other end.
            let _ = self
                .sized
                .subscribe()
                .wait_for(|told| *told >= newest)
                .await;
            let piece = self.lock().next();
            match piece {
                Some(piece) => return piece,
                None => self.came.notified().await,
            }
        }
    }

    /// Output was seen up to here. Of what was not sent nothing is believed: what counts as seen is not
    /// kept any more.
    pub(super) fn see(&self, offset: u64) {
        let offset = offset.min(self.sent.load(Ordering::Acquire));
        self.seen.send_if_modified(|seen| {
            let is_news = offset > *seen;
            *seen = offset.max(*seen);
            is_news
        });
    }

    /// A signal has come.
    ///
    /// # Errors
    /// `exhausted` (`too-many-signals`).
    pub(super) fn signal(&self, name: &'static str) -> Result<(), Error> {
        self.signals.try_send(name).map_err(|_| {
            Error::new(
                ErrorKind::Exhausted,
                "too-many-signals",
                "signals come faster than they can be sent on: try again",
            )
        })
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn what_is_typed_waits_until_the_size_before_it_is_known() {
        let (desk, _signals) = Desk::new(0, 0);
        let size = |columns| TerminalSize { columns, rows: 24 };
        desk.put(0, &Bytes::from_static(b"ls")).unwrap();
        desk.resize(size(80));
        desk.resize(size(81));
        assert!(desk.next().now_or_never().is_none());
        desk.sized.send_replace(1);
        assert!(desk.next().now_or_never().is_none());
        desk.sized.send_replace(2);
        let piece = desk.next().now_or_never();
        assert!(matches!(piece, Some(Piece::Bytes(0, _))), "{piece:?}");
    }

    #[test]
    fn what_was_not_sent_was_not_seen() {
        let (desk, _signals) = Desk::new(5, 0);
        let see = |offset| {
            desk.see(offset);
            *desk.seen.borrow()
        };
        assert_eq!(see(u64::MAX), 5);
        desk.sent.store(10, Ordering::Release);
        assert_eq!(see(8), 8);
        assert_eq!(see(11), 10);
        assert_eq!(see(7), 10, "it is not taken back");
    }
}
