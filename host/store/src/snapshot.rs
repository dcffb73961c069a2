//! The committed state at one moment.

use imbl::OrdMap;

use crate::{HasLog, LogRow, State};

/// Everything committed up to one commit, and nothing else. It never changes; a newer one takes its place.
#[derive(Clone)]
pub struct Snapshot<S> {
    /// The tables.
    pub state: S,
    /// The highest revision given out, see [`Tx::revision`](crate::Tx::revision).
    pub revision: u64,
    /// The number of commits since the database was made.
    pub commit: u64,
    pub(crate) heads: OrdMap<&'static str, u64>,
}

impl<S: State> Snapshot<S> {
    /// The sequence number of the newest entry of a log, 0 before the first. Numbers have no gaps, so the
    /// newest `n` entries are those after `log_head - n`.
    pub fn log_head<L: LogRow>(&self) -> u64
    where
        S: HasLog<L>,
    {
        self.head(S::LOG)
    }

    pub(crate) fn head(&self, log: &'static str) -> u64 {
        self.heads.get(log).copied().unwrap_or(0)
    }
}
