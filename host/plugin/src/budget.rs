//! How often a plugin may fail one item before it is left alone with it for a while.
//!
//! A pure state machine on boot-clock milliseconds: who calls tells the time. Counted are failures
//! that are the plugin's own. [`IN_A_ROW`] of them within [`WITHIN_MS`] begin a pause in which every
//! call is refused at once; then one call at a time is a trial. A trial that fails too makes the
//! next pause twice as long, an answer ends all of it. So a workload that its plugin cannot bear
//! takes no time from the others, and what has been mended works again by itself.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fleet_model::ItemKey;

/// How many failures in a row begin a pause.
pub(crate) const IN_A_ROW: usize = 5;
/// Within what time they must have happened.
pub(crate) const WITHIN_MS: u64 = 60_000;
/// The first pause.
pub(crate) const FIRST_PAUSE_MS: u64 = 5_000;
/// The longest.
pub(crate) const LONGEST_PAUSE_MS: u64 = 60_000;
/// When to ask again while a trial is under way: nobody knows how long it takes.
const ASK_AGAIN_MS: u64 = 1_000;
/// After how long without a call an item is forgotten when its pause is over.
const FORGET_MS: u64 = 600_000;
/// How many items are remembered; the one that failed longest ago makes room.
const MAX_ITEMS: usize = 4_096;

/// The failures of one plugin, by item. An item that did not fail takes no space.
#[derive(Debug, Default)]
pub(crate) struct Budget {
    items: BTreeMap<ItemKey, Row>,
}

/// The failures of one item since its last answer.
#[derive(Debug)]
struct Row {
    failures: u64,
    /// When the latest of them happened, at most [`IN_A_ROW`].
    times_ms: VecDeque<u64>,
    last: String,
    pause: Option<Pause>,
}

#[derive(Debug, Clone, Copy)]
struct Pause {
    length_ms: u64,
    until_ms: u64,
    is_tried: bool,
}

/// A call that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begun {
    /// One of many.
    Usual,
    /// The one that decides how it goes on.
    Trial,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The plugin answered, if only that it cannot.
    Answered,
    /// The plugin failed, with this to be said about it.
    Failed(String),
    /// Nothing can be said: it was not begun, or its caller went away.
    Nothing,
}

/// Why a call is not made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// How many failures there were in a row.
    pub(crate) failures: u64,
    /// What was said about the last one.
    pub(crate) last: String,
    /// When another call makes sense.
    pub(crate) retry_after_ms: u64,
}

impl Budget {
    /// The items that failed since their last answer.
    pub(crate) fn failing(&self) -> BTreeSet<ItemKey> {
        self.items.keys().cloned().collect()
    }

    /// Whether a call about this item would be made now.
    pub(crate) fn check(&self, item: &ItemKey, now_ms: u64) -> Result<(), Refusal> {
        let Some((row, pause)) = self
            .items
            .get(item)
            .and_then(|row| row.pause.map(|pause| (row, pause)))
        else {
            return Ok(());
        };
        let retry_after_ms = match pause.until_ms.saturating_sub(now_ms) {
            0 if pause.is_tried => ASK_AGAIN_MS,
            0 => return Ok(()),
            rest => rest,
        };
        Err(Refusal {
            failures: row.failures,
            last: row.last.clone(),
            retry_after_ms,
        })
    }

    /// Begins a call about this item, if one may be made. What begins must [`end`](Self::end).
    pub(crate) fn begin(&mut self, item: &ItemKey, now_ms: u64) -> Result<Begun, Refusal> {
        self.check(item, now_ms)?;
        match self.items.get_mut(item).and_then(|row| row.pause.as_mut()) {
            Some(pause) => {
                pause.is_tried = true;
                Ok(Begun::Trial)
            }
            None => Ok(Begun::Usual),
        }
    }

    /// A call about this item has ended.
    pub(crate) fn end(&mut self, item: &ItemKey, begun: Begun, outcome: Outcome, now_ms: u64) {
        match outcome {
            Outcome::Answered => {
                self.items.remove(item);
            }
            Outcome::Nothing => {
                if let (Begun::Trial, Some(row)) = (begun, self.items.get_mut(item)) {
                    row.give_up_trial();
                }
            }
            Outcome::Failed(why) => {
                if !self.items.contains_key(item) {
                    self.make_room(now_ms);
                }
                let row = self.items.entry(item.clone()).or_insert_with(Row::new);
                row.failed(begun, why, now_ms);
            }
        }
    }

    fn make_room(&mut self, now_ms: u64) {
        self.items.retain(|_, row| !row.is_idle(now_ms));
        if self.items.len() >= MAX_ITEMS {
            let oldest = self.items.iter().min_by_key(|(_, row)| row.last_ms());
            if let Some(oldest) = oldest.map(|(item, _)| item.clone()) {
                self.items.remove(&oldest);
            }
        }
    }
}

impl Row {
    fn new() -> Self {
        Self {
            failures: 0,
            times_ms: VecDeque::new(),
            last: String::new(),
            pause: None,
        }
    }

    fn last_ms(&self) -> u64 {
        self.times_ms.back().copied().unwrap_or(0)
    }

    /// Whether nothing would be lost with it.
    fn is_idle(&self, now_ms: u64) -> bool {
        match self.pause {
            Some(pause) => !pause.is_tried && pause.until_ms.saturating_add(FORGET_MS) <= now_ms,
            None => self.last_ms().saturating_add(WITHIN_MS) < now_ms,
        }
    }

    fn give_up_trial(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.is_tried = false;
        }
    }

    fn failed(&mut self, begun: Begun, why: String, now_ms: u64) {
        self.failures += 1;
        self.last = why;
        self.times_ms.push_back(now_ms);
        if self.times_ms.len() > IN_A_ROW {
            self.times_ms.pop_front();
        }
        let length_ms = match (self.pause, begun) {
            // Begun before the pause: it says nothing new.
            (Some(_), Begun::Usual) => return,
            (Some(pause), Begun::Trial) => pause.length_ms.saturating_mul(2).min(LONGEST_PAUSE_MS),
            (None, _) if self.is_too_much() => FIRST_PAUSE_MS,
            (None, _) => return,
        };
        self.pause = Some(Pause {
            length_ms,
            until_ms: now_ms.saturating_add(length_ms),
            is_tried: false,
        });
    }

    fn is_too_much(&self) -> bool {
        let (Some(first), Some(last)) = (self.times_ms.front(), self.times_ms.back()) else {
            return false;
        };
        self.times_ms.len() >= IN_A_ROW && last.saturating_sub(*first) <= WITHIN_MS
    }
}

#[cfg(test)]
#[path = "budget_tests.rs"]
mod tests;
