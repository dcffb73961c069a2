//! What is known of a workload's commands, and what to do with the next. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fleet_model::Generation;
use serde::{Deserialize, Serialize};

use super::limits::{CALLS, REMEMBERED_MS, WAITING, WAITING_BYTES};
use super::message::{Bytes64, Digest};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Record {
    Take(Take),
    /// These are about to be written to the program.
    Begin(Vec<u64>),
    /// These never will be.
    Drop(Vec<u64>),
}

/// A command that was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Take {
    pub(crate) number: u64,
    pub(crate) call: String,
    pub(crate) digest: Digest,
    pub(crate) generation: Generation,
    /// Unix milliseconds.
    pub(crate) at_ms: u64,
    /// Absent when nothing is to be done with it any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<Bytes64>,
}

/// What to do with a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is new, and there is room.
    Take,
    /// It was taken before.
    Known,
    /// Another one was, under the same call.
    Reused,
    /// Too much waits.
    Full,
}

/// All commands of a workload that are remembered.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By number, so in the order in which they were taken.
    commands: BTreeMap<u64, Take>,
    by_call: HashMap<String, u64>,
    /// The numbers of those with which something is still to be done.
    waiting: BTreeSet<u64>,
    waiting_bytes: usize,
    last: u64,
}

impl Book {
    /// Takes over what the journal says.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Take(take) => self.take(take),
            Record::Begin(numbers) | Record::Drop(numbers) => {
                for number in numbers {
                    self.settle(number);
                }
            }
        }
    }

    pub(crate) fn judge(&self, call: &str, digest: &Digest, bytes: usize) -> Verdict {
        match self.find(call) {
            Some(known) if known == digest => Verdict::Known,
            Some(_) => Verdict::Reused,
            None if self.waiting.len() >= WAITING || self.waiting_bytes + bytes > WAITING_BYTES => {
                Verdict::Full
            }
            None => Verdict::Take,
        }
    }

    /// What was taken under a call.
    pub(crate) fn find(&self, call: &str) -> Option<&Digest> {
        let number = self.by_call.get(call)?;
        Some(&self.commands.get(number)?.digest)
    }

    /// The number of the next command.
    pub(crate) fn next(&self) -> u64 {
        self.last + 1
    }

    /// The commands to begin with, of this generation: the first that waits and those after it that
    /// still fit into so many bytes.
    pub(crate) fn due(&self, generation: Generation, room: usize) -> Vec<u64> {
        let mut due = Vec::new();
        let mut sum = 0;
        for take in self.waiting().filter(|take| take.generation == generation) {
            sum += take.bytes.as_ref().map_or(0, |bytes| bytes.0.len());
            if !due.is_empty() && sum > room {
                break;
            }
            due.push(take.number);
        }
        due
    }

    /// Whether anything waits for this generation.
    pub(crate) fn has_due(&self, generation: Generation) -> bool {
        self.waiting().any(|take| take.generation == generation)
    }

    /// Those that wait for a generation before this one.
    pub(crate) fn outdated(&self, generation: Generation) -> Vec<&Take> {
        self.waiting()
            .filter(|take| take.generation < generation)
            .collect()
    }

    /// Nothing is to be done with it any more; gives its bytes.
    pub(crate) fn settle(&mut self, number: u64) -> Option<Vec<u8>> {
        let bytes = self.commands.get_mut(&number)?.bytes.take()?.0;
        self.waiting.remove(&number);
        self.waiting_bytes -= bytes.len();
        Some(bytes)
    }

    /// It was not taken after all.
    pub(crate) fn undo(&mut self, number: u64) {
        self.settle(number);
        if let Some(take) = self.commands.remove(&number) {
            self.by_call.remove(&take.call);
        }
    }

    /// Forgets calls that are old, or too many.
    pub(crate) fn forget(&mut self, now_ms: u64) {
        let too_many = self.commands.len().saturating_sub(CALLS);
        let is_old = |take: &Take| take.at_ms.saturating_add(REMEMBERED_MS) < now_ms;
        let settled = self
            .commands
            .iter()
            .filter(|(_, take)| take.bytes.is_none());
        let gone: Vec<u64> = settled
            .enumerate()
            .filter(|(place, (_, take))| *place < too_many || is_old(take))
            .map(|(_, (number, _))| *number)
            .collect();
        for number in gone {
            self.undo(number);
        }
    }

    /// All of it, as it goes into a new journal.
    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.records_before(u64::MAX)
    }

    /// Those with a lower number than this one.
    pub(crate) fn records_before(&self, number: u64) -> impl Iterator<Item = Record> {
        let before = self.commands.range(..number);
        before.map(|(_, take)| Record::Take(take.clone()))
    }

    /// How many calls are remembered.
    pub(crate) fn len(&self) -> usize {
        self.commands.len()
    }

    /// How many bytes wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.waiting_bytes
    }

    fn waiting(&self) -> impl Iterator<Item = &Take> {
        let waiting = self.waiting.iter();
        waiting.filter_map(|number| self.commands.get(number))
    }

    fn take(&mut self, take: Take) {
        self.last = self.last.max(take.number);
        if self.by_call.contains_key(&take.call) || self.commands.contains_key(&take.number) {
            return;
        }
        if let Some(bytes) = &take.bytes {
            self.waiting.insert(take.number);
            self.waiting_bytes += bytes.0.len();
        }
        self.by_call.insert(take.call.clone(), take.number);
        self.commands.insert(take.number, take);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: u64 = 1_000_000_000_000;

    fn take(number: u64, generation: u64, bytes: usize) -> Take {
        let bytes = vec![b'x'; bytes];
        Take {
            number,
            call: format!("call-{number}"),
            digest: Digest::of(&bytes),
            generation: Generation(generation),
            at_ms: NOW_MS,
            bytes: Some(Bytes64(bytes)),
        }
    }

    fn book(takes: impl IntoIterator<Item = Take>) -> Book {
        let mut book = Book::default();
        for take in takes {
            book.apply(Record::Take(take));
        }
        book
    }

    #[test]
    fn a_command_is_judged_by_its_call_its_bytes_and_the_room() {
        let mut book = book([take(1, 1, 10), take(2, 1, WAITING_BYTES - 20)]);
        let digest = Digest::of(&[b'x'; 10]);
        assert_eq!(book.judge("call-1", &digest, 10), Verdict::Known);
        assert_eq!(book.judge("call-2", &digest, 10), Verdict::Reused);
        assert_eq!(book.judge("new", &digest, 10), Verdict::Take);
        assert_eq!(book.judge("new", &digest, 11), Verdict::Full);
        book.apply(Record::Begin(vec![1]));
        assert_eq!(book.judge("call-1", &digest, 10), Verdict::Known);
        assert_eq!(book.judge("new", &digest, 20), Verdict::Take);
        book.apply(Record::Begin(vec![2]));
        assert_eq!(book.waiting_bytes(), 0);

        let many = super::tests::book((1..=WAITING as u64).map(|number| take(number, 1, 0)));
        assert_eq!(many.judge("new", &digest, 0), Verdict::Full);
    }

    #[test]
    fn what_is_due_comes_in_order_and_as_far_as_there_is_room() {
        let mut book = book([
            take(1, 1, 5),
            take(2, 2, 50),
            take(3, 2, 5),
            take(4, 2, 5),
            take(5, 3, 1),
        ]);
        for (room, due) in [
            (0, vec![2]),
            (54, vec![2]),
            (55, vec![2, 3]),
            (99, vec![2, 3, 4]),
        ] {
            assert_eq!(book.due(Generation(2), room), due, "{room}");
        }
        book.apply(Record::Begin(vec![2]));
        assert_eq!(book.settle(2), None);
        assert_eq!(book.due(Generation(2), 0), [3]);
        let outdated: Vec<u64> = book
            .outdated(Generation(2))
            .iter()
            .map(|take| take.number)
            .collect();
        assert_eq!(outdated, [1]);
        book.apply(Record::Drop(vec![1]));
        assert!(book.outdated(Generation(2)).is_empty());
        book.undo(5);
        assert!(!book.has_due(Generation(3)));
        assert_eq!(book.find("call-5"), None);
        assert_eq!(book.next(), 6, "a number is not given again");
    }

    #[test]
    fn old_calls_are_forgotten_and_what_waits_never_is() {
        let mut book = book((1..=20).map(|number| Take {
            at_ms: NOW_MS + number,
            ..take(number, 1, 1)
        }));
        book.apply(Record::Begin((1..=10).collect()));
        book.forget(NOW_MS + REMEMBERED_MS + 5);
        assert_eq!(book.len(), 16);
        assert!(book.find("call-4").is_none() && book.find("call-5").is_some());
        book.forget(u64::MAX);
        assert_eq!(book.len(), 10);
        assert_eq!(book.due(Generation(1), 1_000).len(), 10);

        let mut many = super::tests::book((1..=CALLS as u64 + 7).map(|number| Take {
            bytes: None,
            ..take(number, 1, 0)
        }));
        many.forget(NOW_MS);
        assert_eq!(many.len(), CALLS);
        assert!(many.find("call-7").is_none() && many.find("call-8").is_some());
    }

    #[test]
    fn a_book_written_out_reads_back() {
        let mut first = book([take(1, 1, 3), take(2, 1, 4)]);
        first.apply(Record::Begin(vec![1]));
        let mut second = Book::default();
        for record in first.records() {
            let text = serde_json::to_string(&record).unwrap();
            second.apply(serde_json::from_str(&text).unwrap());
        }
        assert_eq!(second.commands, first.commands);
        assert_eq!(
            (second.waiting.len(), second.waiting_bytes, second.next()),
            (1, 4, 3)
        );
    }
}
