//! What berth tells.

use fleet_sdk::driver::{Exit, Listed, Listing, Observation, RunState};
use fleet_sdk::{Error, Handle, Page, exec};
use jiff::Timestamp;
use serde::Deserialize;

use crate::SCHEMA;

/// The answer to laying one on.
#[derive(Deserialize)]
pub(crate) struct Moored {
    pub(crate) ship: String,
}

/// The answer to lowering a boat.
#[derive(Deserialize)]
pub(crate) struct Lowered {
    pub(crate) boat: String,
}

/// What a ship or a boat does.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase", tag = "phase")]
pub(crate) enum Hull {
    Moored,
    Sailing {
        since: u64,
    },
    Ashore {
        code: i32,
        flag: Option<String>,
        #[serde(default)]
        since: u64,
        until: u64,
    },
}

impl Hull {
    pub(crate) fn observation(self) -> Observation {
        let (state, started_at_ms) = match self {
            Self::Moored => (RunState::Created, None),
            Self::Sailing { since } => (RunState::Running, Some(since)),
            Self::Ashore {
                code,
                flag,
                since,
                until,
            } => {
                let exit = Exit {
                    code,
                    signal: flag,
                    at_ms: Some(until),
                };
                (RunState::Exited(exit), Some(since))
            }
        };
        Observation {
            state,
            started_at_ms,
            attributes: Vec::new(),
        }
    }

    pub(crate) fn exec_state(self) -> exec::State {
        match self {
            // Its connection is there and begins it.
            Self::Moored | Self::Sailing { .. } => exec::State::Running,
            Self::Ashore {
                code, flag, until, ..
            } => exec::State::Exited(exec::Exit {
                code,
                signal: flag,
                at_ms: Some(until),
            }),
        }
    }
}

/// The list.
#[derive(Deserialize)]
pub(crate) struct Ships {
    ships: Vec<Ship>,
}

#[derive(Deserialize)]
struct Ship {
    ship: String,
    name: String,
    marks: Marks,
}

#[derive(Deserialize)]
struct Marks {
    workload: String,
    generation: String,
}

impl Ships {
    pub(crate) fn named(self, name: &str) -> Option<String> {
        let mut ships = self.ships.into_iter();
        ships.find(|ship| ship.name == name).map(|ship| ship.ship)
    }

    /// A part of it, by id.
    pub(crate) fn page(mut self, page: &Page) -> Result<Listing, Error> {
        self.ships.sort_by(|a, b| a.ship.cmp(&b.ship));
        let after = page.cursor.as_deref().unwrap_or_default();
        let mut rest = self.ships.into_iter().filter(|ship| *ship.ship > *after);
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX).max(1);
        let mut last = String::new();
        let mut entries = Vec::new();
        for ship in rest.by_ref().take(limit) {
            entries.push(Listed {
                handle: Handle::write(SCHEMA, &ship.ship)?,
                workload: ship.marks.workload,
                node: String::new(),
                generation: ship.marks.generation.parse().unwrap_or_default(),
            });
            last = ship.ship;
        }
        let next = rest.next().map(|_| last);
        Ok(Listing { entries, next })
    }
}

/// A time as berth reads it, from Unix milliseconds.
pub(crate) fn time(unix_ms: u64) -> String {
    let unix_ms = i64::try_from(unix_ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(unix_ms).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_they_are_read() {
        for (unix_ms, want) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_400_007, "2000-02-29T00:00:00.007Z"),
            (1_795_271_013_883, "2026-11-21T14:23:33.883Z"),
        ] {
            assert_eq!(time(unix_ms), want);
        }
    }
}
