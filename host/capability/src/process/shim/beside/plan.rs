//! What a shim that keeps a program does next. Pure.

/// How long after a program's end its output may still come: something it started may hold the pipes.
pub(super) const DRAIN_MS: u64 = 2_000;

/// The same where all of it is being ended.
const ENDED_DRAIN_MS: u64 = 500;

/// How long the output of an ended program is kept for who has not seen it.
const STAY_MS: u64 = 10 * 60 * 1_000;

/// How long it is where all is being ended.
const ENDED_STAY_MS: u64 = 1_500;

/// What can be seen. Times are milliseconds of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) now_ms: u64,
    /// When the program ended.
    pub(super) exited_ms: Option<u64>,
    /// When its exit was recorded.
    pub(super) recorded_ms: Option<u64>,
    /// Since when all of it is to end: somebody asked for that, or the process it is beside is over.
    pub(super) ending_ms: Option<u64>,
    pub(super) pipes: Pipes,
    pub(super) children: Children,
    pub(super) audience: Audience,
}

/// Where output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipes {
    Open,
    Closed,
}

/// What it started and left behind, the program itself included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Children {
    None,
    Some,
}

/// Who has not got all of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Audience {
    /// All was seen, and whoever is attached knows of the end.
    Satisfied,
    /// Who is attached was sent all, and has not said that it was seen.
    Told,
    /// Who is attached was not sent all.
    Waiting,
    /// Nobody is attached, and not all was seen.
    Away,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait, for no longer than this if it says how long.
    Wait(Option<u64>),
    /// Record the exit.
    Record,
    /// Its output need not be kept any more; something that it started runs.
    Retire,
    /// Nothing is left to do.
    Leave,
}

impl Sight {
    /// Whether what runs of it is to be ended now.
    pub(super) fn is_hunting(&self) -> bool {
        self.ending_ms.is_some() && self.children == Children::Some
    }

    /// What to do now.
    pub(super) fn next(&self) -> Next {
        let Some(recorded_ms) = self.recorded_ms else {
            return self.until_recorded();
        };
        let due_ms = match (self.audience, self.ending_ms) {
            (Audience::Satisfied, _) | (Audience::Told | Audience::Away, Some(_)) => self.now_ms,
            (_, Some(ending_ms)) => ending_ms + ENDED_STAY_MS,
            (_, None) => recorded_ms + STAY_MS,
        };
        if self.now_ms < due_ms {
            return Next::Wait(Some(due_ms - self.now_ms));
        }
        match self.children {
            Children::None => Next::Leave,
            Children::Some => Next::Retire,
        }
    }

    fn until_recorded(&self) -> Next {
        let Some(exited_ms) = self.exited_ms else {
            return Next::Wait(None);
        };
        let due_ms = match (self.pipes, self.ending_ms) {
            (Pipes::Closed, _) => self.now_ms,
            (Pipes::Open, Some(ending_ms)) if self.children == Children::None => {
                (exited_ms + DRAIN_MS).min(exited_ms.max(ending_ms) + ENDED_DRAIN_MS)
            }
            (Pipes::Open, _) => exited_ms + DRAIN_MS,
        };
        if self.now_ms < due_ms {
            return Next::Wait(Some(due_ms - self.now_ms));
        }
        Next::Record
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn running() -> Sight {
        Sight {
            now_ms: 10_000,
            exited_ms: None,
            recorded_ms: None,
            ending_ms: None,
            pipes: Pipes::Open,
            children: Children::Some,
            audience: Audience::Waiting,
        }
    }

    #[test]
    fn an_exit_is_recorded_when_all_is_read_or_time_is_up() {
        let exited = Sight {
            exited_ms: Some(9_000),
            children: Children::None,
            ..running()
        };
        let ending = Sight {
            ending_ms: Some(9_600),
            ..exited
        };
        for (sight, next) in [
            (running(), Next::Wait(None)),
            (
                Sight {
                    pipes: Pipes::Closed,
                    ..running()
                },
                Next::Wait(None),
            ),
            (exited, Next::Wait(Some(1_000))),
            (
                Sight {
                    pipes: Pipes::Closed,
                    ..exited
                },
                Next::Record,
            ),
            (
                Sight {
                    now_ms: 11_000,
                    ..exited
                },
                Next::Record,
            ),
            (ending, Next::Wait(Some(100))),
            (
                Sight {
                    now_ms: 10_100,
                    ..ending
                },
                Next::Record,
            ),
            (
                Sight {
                    children: Children::Some,
                    ..ending
                },
                Next::Wait(Some(1_000)),
            ),
        ] {
            assert_eq!(sight.next(), next, "{sight:?}");
        }
    }

    #[test]
    fn a_shim_stays_for_who_has_not_seen_all_and_for_what_still_runs() {
        let recorded = Sight {
            exited_ms: Some(9_000),
            recorded_ms: Some(9_500),
            pipes: Pipes::Closed,
            children: Children::None,
            ..running()
        };
        let away = Sight {
            audience: Audience::Away,
            ..recorded
        };
        let satisfied = Sight {
            audience: Audience::Satisfied,
            ..recorded
        };
        let told = Sight {
            audience: Audience::Told,
            ..recorded
        };
        let ending = |sight: Sight| Sight {
            ending_ms: Some(9_900),
            ..sight
        };
        let crowded = |sight: Sight| Sight {
            children: Children::Some,
            ..sight
        };
        for (sight, next) in [
            (recorded, Next::Wait(Some(STAY_MS - 500))),
            (away, Next::Wait(Some(STAY_MS - 500))),
            (told, Next::Wait(Some(STAY_MS - 500))),
            (satisfied, Next::Leave),
            (crowded(satisfied), Next::Retire),
            (ending(recorded), Next::Wait(Some(ENDED_STAY_MS - 100))),
            (ending(away), Next::Leave),
            (ending(told), Next::Leave),
            (ending(crowded(away)), Next::Retire),
            (
                Sight {
                    now_ms: 9_500 + STAY_MS,
                    ..away
                },
                Next::Leave,
            ),
        ] {
            assert_eq!(sight.next(), next, "{sight:?}");
        }
        assert!(ending(crowded(away)).is_hunting());
        assert!(!ending(away).is_hunting() && !crowded(away).is_hunting());
    }
}
