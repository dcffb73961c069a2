//! What lies in the mailbox, and what of it has lain still for long enough to be looked at. Pure.

use std::collections::BTreeMap;

use super::facts::Facts;

/// The files that were seen.
#[derive(Debug)]
pub(super) struct Desk {
    settle_ms: u64,
    files: BTreeMap<String, Letter>,
    /// How many looks were begun.
    looks: u64,
}

/// A file to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) file: String,
    pub(super) facts: Facts,
    /// Which look it is: a file that went and came again has another.
    pub(super) number: u64,
}

#[derive(Debug, Clone, Copy)]
struct Letter {
    facts: Facts,
    /// Since when it is so, on the boot clock in milliseconds.
    since_ms: u64,
    state: State,
    /// The look that is under way, or was the last.
    look: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has yet to lie still.
    Settling,
    /// It is being looked at.
    Open,
    /// And it is to be looked at once more.
    OpenAgain,
    /// It waits for something else to end.
    Waiting,
    /// There is nothing to do until it changes.
    Done,
}

/// What came of a look at a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looked {
    /// It was decided on.
    Done,
    /// It changed meanwhile.
    Changed,
    /// Its plugin is busy: it is looked at again when a swap has ended.
    Busy,
}

impl Desk {
    pub(super) fn new(settle_ms: u64) -> Self {
        Self {
            settle_ms,
            files: BTreeMap::new(),
            looks: 0,
        }
    }

    /// This was decided on before anybody looked here.
    pub(super) fn known(&mut self, file: String, facts: Facts) {
        let state = State::Done;
        let since_ms = 0;
        self.files.insert(
            file,
            Letter {
                facts,
                since_ms,
                state,
                look: 0,
            },
        );
    }

    /// What lies there now. Answers the files that are gone.
    pub(super) fn see(&mut self, there: BTreeMap<String, Facts>, now_ms: u64) -> Vec<String> {
        let gone: Vec<String> = self
            .files
            .keys()
            .filter(|file| !there.contains_key(*file))
            .cloned()
            .collect();
        for file in &gone {
            self.files.remove(file);
        }
        for (file, facts) in there {
            let fresh = Letter {
                facts,
                since_ms: now_ms,
                state: State::Settling,
                look: 0,
            };
            let letter = self.files.entry(file).or_insert(fresh);
            // One that is open is seen to have changed when it is closed.
            let is_open = matches!(letter.state, State::Open | State::OpenAgain);
            if letter.facts != facts && !is_open {
                *letter = fresh;
            }
        }
        gone
    }

    /// Takes those that have lain still for long enough.
    pub(super) fn open(&mut self, now_ms: u64) -> Vec<Look> {
        let settle_ms = self.settle_ms;
        let mut due = Vec::new();
        for (file, letter) in &mut self.files {
            let is_still = now_ms >= letter.since_ms.saturating_add(settle_ms);
            if letter.state == State::Settling && is_still {
                self.looks += 1;
                letter.look = self.looks;
                letter.state = State::Open;
                due.push(Look {
                    file: file.clone(),
                    facts: letter.facts,
                    number: letter.look,
                });
            }
        }
        due
    }

    /// This look at a file has ended. It says nothing of a file that came in its place.
    pub(super) fn close(&mut self, file: &str, number: u64, looked: Looked, now_ms: u64) {
        let Some(letter) = self.files.get_mut(file) else {
            return;
        };
        if letter.look != number {
            return;
        }
        match looked {
            Looked::Done if letter.state == State::OpenAgain => letter.state = State::Settling,
            Looked::Done => letter.state = State::Done,
            Looked::Busy => letter.state = State::Waiting,
            Looked::Changed => {
                letter.state = State::Settling;
                letter.since_ms = now_ms;
            }
        }
    }

    /// A turn was given back: those that waited for one are looked at now.
    pub(super) fn wake(&mut self) {
        for letter in self.files.values_mut() {
            if letter.state == State::Waiting {
                letter.state = State::Settling;
            }
        }
    }

    /// All files are looked at again.
    pub(super) fn wake_all(&mut self) {
        for letter in self.files.values_mut() {
            match letter.state {
                State::Done => letter.state = State::Settling,
                State::Open => letter.state = State::OpenAgain,
                State::Settling | State::Waiting | State::OpenAgain => {}
            }
        }
    }

    /// When the next one will have lain still, on the boot clock in milliseconds.
    pub(super) fn next_ms(&self) -> Option<u64> {
        self.files
            .values()
            .filter(|letter| letter.state == State::Settling)
            .map(|letter| letter.since_ms.saturating_add(self.settle_ms))
            .min()
    }

    /// The files that are there.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Facts that differ where their numbers do.
    fn facts(number: u64) -> Facts {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.wasm");
        let bytes = vec![0; usize::try_from(number).unwrap()];
        std::fs::write(&file, bytes).unwrap();
        Facts::of(&file)
    }

    fn there(list: &[(&str, Facts)]) -> BTreeMap<String, Facts> {
        list.iter()
            .map(|(file, facts)| ((*file).to_owned(), *facts))
            .collect()
    }

    fn look(file: &str, facts: Facts, number: u64) -> Look {
        let file = file.to_owned();
        Look {
            file,
            facts,
            number,
        }
    }

    #[test]
    fn a_file_is_looked_at_when_it_has_lain_still() {
        let mut desk = Desk::new(200);
        let (one, two) = (facts(1), facts(2));
        assert!(desk.see(there(&[("a.wasm", one)]), 1_000).is_empty());
        assert_eq!(desk.next_ms(), Some(1_200));
        assert!(desk.open(1_199).is_empty());
        // It grows.
        desk.see(there(&[("a.wasm", two)]), 1_150);
        assert!(desk.open(1_200).is_empty());
        assert_eq!(desk.open(1_350), [look("a.wasm", two, 1)]);
        // It is looked at once.
        assert!(desk.open(9_999).is_empty());
        desk.close("a.wasm", 1, Looked::Done, 1_400);
        desk.see(there(&[("a.wasm", two)]), 1_500);
        assert!(desk.open(9_999).is_empty());
        assert_eq!(desk.next_ms(), None);
        desk.see(there(&[("a.wasm", one)]), 2_000);
        assert_eq!(desk.open(2_200).len(), 1);
    }

    #[test]
    fn what_changes_while_it_is_looked_at_is_looked_at_again() {
        let mut desk = Desk::new(200);
        let (one, two) = (facts(1), facts(2));
        desk.see(there(&[("a.wasm", one)]), 0);
        desk.open(200);
        desk.see(there(&[("a.wasm", two)]), 250);
        assert!(desk.open(900).is_empty(), "it is open");
        desk.close("a.wasm", 1, Looked::Done, 300);
        desk.see(there(&[("a.wasm", two)]), 400);
        assert_eq!(desk.open(600), [look("a.wasm", two, 2)]);
        desk.close("a.wasm", 2, Looked::Changed, 700);
        assert!(desk.open(800).is_empty());
        assert_eq!(desk.open(900).len(), 1);
    }

    #[test]
    fn who_waits_for_a_swap_is_woken_by_its_end() {
        let mut desk = Desk::new(0);
        desk.see(there(&[("a.wasm", facts(1)), ("b.wasm", facts(2))]), 0);
        assert_eq!(desk.open(0).len(), 2);
        desk.close("a.wasm", 1, Looked::Busy, 1);
        desk.close("b.wasm", 2, Looked::Done, 1);
        assert!(desk.open(9).is_empty());
        desk.wake();
        assert_eq!(desk.open(9).len(), 1);
        desk.wake_all();
        assert_eq!(desk.open(11).len(), 1, "the other one is open");
        desk.close("a.wasm", 3, Looked::Done, 12);
        assert_eq!(desk.open(13).len(), 1, "and is looked at once more");
        desk.close("a.wasm", 5, Looked::Done, 14);
        assert!(desk.open(15).is_empty());
    }

    #[test]
    fn a_look_at_a_file_that_went_says_nothing_of_the_one_that_came() {
        let mut desk = Desk::new(0);
        let two = facts(2);
        desk.see(there(&[("a.wasm", facts(1))]), 0);
        assert_eq!(desk.open(0).len(), 1);
        desk.see(BTreeMap::new(), 1);
        desk.see(there(&[("a.wasm", two)]), 2);
        desk.close("a.wasm", 1, Looked::Done, 3);
        assert_eq!(desk.open(4), [look("a.wasm", two, 2)]);
        desk.close("a.wasm", 1, Looked::Done, 5);
        desk.wake_all();
        assert!(desk.open(6).is_empty(), "the second look is under way");
    }

    #[test]
    fn what_is_gone_is_told_once_and_new_when_it_comes_back() {
        let mut desk = Desk::new(0);
        let one = facts(1);
        desk.known("a.wasm".to_owned(), one);
        desk.see(there(&[("a.wasm", one)]), 5);
        assert!(desk.open(9).is_empty());
        assert_eq!(desk.see(BTreeMap::new(), 6), ["a.wasm"]);
        assert!(desk.see(BTreeMap::new(), 7).is_empty());
        desk.see(there(&[("a.wasm", one)]), 8);
        assert_eq!(desk.open(9).len(), 1);
        assert_eq!(desk.files().collect::<Vec<_>>(), ["a.wasm"]);
    }
}
