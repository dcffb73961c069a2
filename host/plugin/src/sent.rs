//! What the host is doing for one call: it goes on when the call does not wait for it any more, and
//! who asks again elsewhere waits for its end first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

/// The work of the host that one call has asked for and that has not ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    under_way: AtomicUsize,
    ended: Notify,
}

/// One piece of such work, until it is dropped.
#[derive(Debug)]
pub(crate) struct Piece(Arc<Inner>);

impl Sent {
    /// Begins a piece.
    pub(crate) fn begin(&self) -> Piece {
        self.0.under_way.fetch_add(1, Ordering::AcqRel);
        Piece(self.0.clone())
    }

    /// Returns when all of it has ended.
    pub(crate) async fn ended(&self) {
        loop {
            let ended = self.0.ended.notified();
            tokio::pin!(ended);
            ended.as_mut().enable();
            if self.0.under_way.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::AcqRel);
        self.0.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn the_end_is_that_of_the_last_piece() {
        let sent = Sent::default();
        sent.ended().await;
        let (first, second) = (sent.begin(), sent.begin());
        let mut ended = Box::pin(sent.ended());
        assert!(ended.as_mut().now_or_never().is_none());
        drop(first);
        assert!(ended.as_mut().now_or_never().is_none());
        drop(second);
        ended.await;
    }
}
