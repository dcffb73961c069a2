//! What a supervisor knows beyond the record. All of it may be lost: it is observed or counted again.

use fleet_model::Error;
use fleet_model::driver::Observation;
use fleet_model::item::Generation;

/// The volatile side of one workload.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// The last look at the runtime; `None` before the first, or when a wake says: look again.
    pub observed: Option<Observation>,
    /// Whether a watch is open that will wake the supervisor.
    pub watched: bool,
    /// Looks in a row that found it still running without a watch to wait on: the next one is later.
    pub polls: u32,
    /// When to look again without being woken, on the boot clock in milliseconds.
    pub look_at_ms: Option<u64>,
    /// The stop that was sent.
    pub stop: Option<Sent>,
    /// The kill that was sent.
    pub kill: Option<Sent>,
    /// The failure that is being waited out.
    pub retry: Option<Retry>,
    /// For people: what a slow create is doing.
    pub progress: Option<String>,
}

/// A call that was made and whose effect is awaited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// For which intent.
    pub generation: Generation,
    /// When, on the boot clock in milliseconds.
    pub at_ms: u64,
}

/// Calls that failed in a row.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Under which intent: a newer one is not held up by it.
    pub generation: Generation,
    /// How many.
    pub failures: u32,
    /// Not before this time on the boot clock, in milliseconds.
    pub until_ms: u64,
    /// The last failure.
    pub error: Error,
}

/// When the runtime is looked at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// After a pause that grows with [`Live::polls`].
    InAWhile,
    /// When a watch says so.
    WhenWoken,
}

impl Live {
    /// Whether it was asked to end, or ended, under this intent.
    #[must_use]
    pub fn is_ending(&self, generation: Generation) -> bool {
        let mut sent = [self.stop, self.kill].into_iter().flatten();
        sent.any(|sent| sent.generation == generation)
    }

    /// It was looked at under this intent: whether to look again unasked.
    ///
    /// Where no watch is open, the pause before this look is over with it, so that the next step tries to open
    /// one.
    pub fn looked(&mut self, generation: Generation) -> Again {
        if self.watched && self.is_ending(generation) {
            // A watch may be silent about the end of what it was not opened for.
            self.polls = self.polls.saturating_add(1);
            return Again::InAWhile;
        }
        match self.look_at_ms {
            None if self.polls > 0 && !self.watched => Again::InAWhile,
            Some(_) | None => Again::WhenWoken,
        }
    }

    /// Forgets what was observed, so that the next step looks.
    pub fn look_again(&mut self) {
        self.observed = None;
    }
}
