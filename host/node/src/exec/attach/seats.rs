//! One attachment per program: whoever comes later has it, and the one before is let go first.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::exec::ExecId;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Who is attached to which program.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    taken: Mutex<HashMap<ExecId, Taken>>,
    newcomers: AtomicU64,
}

#[derive(Debug)]
struct Taken {
    number: u64,
    leave: CancellationToken,
    left: CancellationToken,
}

/// A place at a program, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    id: ExecId,
    number: u64,
    leave: CancellationToken,
    _left: DropGuard,
}

impl Seats {
    /// Takes the place. Whoever had it is told to leave, and has left when this returns.
    pub(super) async fn take(self: &Arc<Self>, id: ExecId) -> Seat {
        let (leave, left) = (CancellationToken::new(), CancellationToken::new());
        let number = self.newcomers.fetch_add(1, Ordering::Relaxed);
        let seat = Seat {
            seats: self.clone(),
            id,
            number,
            leave: leave.clone(),
            _left: left.clone().drop_guard(),
        };
        let entry = Taken {
            number,
            leave,
            left,
        };
        let before = self.lock().insert(id, entry);
        if let Some(before) = before {
            before.leave.cancel();
            before.left.cancelled().await;
        }
        seat
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ExecId, Taken>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Returns when somebody else wants the place.
    pub(super) async fn wanted(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.lock();
        if taken
            .get(&self.id)
            .is_some_and(|taken| taken.number == self.number)
        {
            taken.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::WorkloadId;
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_newcomer_has_the_place_when_the_one_before_has_left() {
        let seats = Arc::new(Seats::default());
        let id = ExecId {
            workload: WorkloadId::new(1, 1),
            key: 1,
        };
        let first = seats.take(id).await;
        assert!(first.wanted().now_or_never().is_none());
        let other = ExecId { key: 2, ..id };
        drop(seats.take(other).await);

        let mut second = Box::pin(seats.take(id));
        assert!((&mut second).now_or_never().is_none());
        assert!(first.wanted().now_or_never().is_some());
        // A third comes while the second still waits for the first.
        let mut third = Box::pin(seats.take(id));
        assert!((&mut third).now_or_never().is_none());
        assert!((&mut second).now_or_never().is_none());
        drop(first);
        let second = second.now_or_never().expect("the first has left");
        assert!(second.wanted().now_or_never().is_some());
        assert!((&mut third).now_or_never().is_none());
        drop(second);
        let third = third.now_or_never().expect("the second has left");
        assert!(third.wanted().now_or_never().is_none());
        drop(third);
        assert!(seats.lock().is_empty());
    }
}
