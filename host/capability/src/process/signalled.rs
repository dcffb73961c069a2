//! Which signals were sent, so that an op that is asked for again sends its signal once.
//!
//! A process does not tell what it was signalled, so this is remembered here, and only for as long as
//! the host runs: it is asked again when another version of a plugin takes over a call. After a crash a
//! signal may be sent twice.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleet_model::{Op, Verb};
use rustix::process::Signal;

use super::reference::Reference;

/// How many are remembered: those of many more calls than are under way at one time.
const REMEMBERED: usize = 1_024;

/// One signal of one op.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    op: Op,
    reference: Reference,
    signal: Signal,
}

/// What came of sending one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivery {
    Sent,
    /// There is no program to take it.
    NobodyThere,
}

/// Those that were sent last.
#[derive(Debug, Default)]
pub(crate) struct Book {
    entries: Mutex<VecDeque<Entry>>,
}

#[derive(Debug)]
struct Entry {
    sent: Sent,
    /// Whether it was delivered. Held while that is tried.
    is_delivered: Arc<Mutex<bool>>,
}

impl Sent {
    /// What is sent once. Nothing where the op may send the same signal again: it has no key, and is not
    /// one that ends a process.
    pub(crate) fn of(op: &Op, reference: Reference, signal: Signal) -> Option<Self> {
        let is_once = !op.call.is_empty() || matches!(op.verb, Verb::Stop | Verb::Kill);
        is_once.then(|| Self {
            op: op.clone(),
            reference,
            signal,
        })
    }
}

impl Book {
    /// Delivers it, unless that was done before. Who asks while another delivers the same waits for
    /// that. Blocks.
    ///
    /// # Errors
    /// Those of `deliver`; then it was not delivered.
    pub(crate) fn once(
        &self,
        sent: &Sent,
        deliver: impl FnOnce() -> io::Result<Delivery>,
    ) -> io::Result<()> {
        let entry = self.entry(sent);
        let mut is_delivered = locked(&entry);
        if !*is_delivered {
            *is_delivered = deliver()? == Delivery::Sent;
        }
        Ok(())
    }

    fn entry(&self, sent: &Sent) -> Arc<Mutex<bool>> {
        let mut entries = locked(&self.entries);
        if let Some(known) = entries.iter().find(|entry| entry.sent == *sent) {
            return known.is_delivered.clone();
        }
        if entries.len() == REMEMBERED {
            entries.pop_front();
        }
        let is_delivered = Arc::<Mutex<bool>>::default();
        entries.push_back(Entry {
            sent: sent.clone(),
            is_delivered: is_delivered.clone(),
        });
        is_delivered
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use fleet_model::{Attempt, Generation, ItemKey, WorkloadId};

    use super::*;

    fn op(verb: Verb, generation: u64, call: &str) -> Op {
        Op {
            item: ItemKey::workload(WorkloadId::new(1, 2)),
            generation: Generation(generation),
            attempt: Attempt(1),
            verb,
            call: call.to_owned(),
        }
    }

    fn reference() -> Reference {
        Reference {
            workload: WorkloadId::new(1, 2),
            generation: Generation(1),
            attempt: Attempt(1),
        }
    }

    #[test]
    fn an_op_sends_its_signal_once_and_another_op_sends_its_own() {
        let book = Book::default();
        let sent = AtomicU32::new(0);
        let send = |op: &Op, signal| {
            let deliver = || {
                sent.fetch_add(1, Ordering::Relaxed);
                Ok(Delivery::Sent)
            };
            match Sent::of(op, reference(), signal) {
                Some(one) => book.once(&one, deliver).unwrap(),
                None => drop(deliver().unwrap()),
            }
            sent.load(Ordering::Relaxed)
        };
        for (verb, generation, call, signal, want) in [
            (Verb::Stop, 1, "", Signal::TERM, 1),
            (Verb::Stop, 1, "", Signal::TERM, 1),
            (Verb::Stop, 1, "", Signal::INT, 2),
            // The next intent.
            (Verb::Stop, 2, "", Signal::TERM, 3),
            (Verb::Kill, 2, "", Signal::TERM, 4),
            (Verb::Signal, 1, "a", Signal::HUP, 5),
            (Verb::Signal, 1, "a", Signal::HUP, 5),
            (Verb::Signal, 1, "b", Signal::HUP, 6),
            (Verb::Stop, 1, "", Signal::TERM, 6),
            // Without a key nobody can tell.
            (Verb::Signal, 1, "", Signal::HUP, 7),
            (Verb::Signal, 1, "", Signal::HUP, 8),
        ] {
            let op = op(verb, generation, call);
            assert_eq!(send(&op, signal), want, "{op} {signal:?}");
        }
    }

    #[test]
    fn what_was_not_delivered_is_tried_again() {
        let book = Book::default();
        let stop = Sent::of(&op(Verb::Stop, 1, ""), reference(), Signal::TERM).unwrap();
        book.once(&stop, || Err(io::ErrorKind::Other.into()))
            .unwrap_err();
        book.once(&stop, || Ok(Delivery::NobodyThere)).unwrap();
        let mut is_sent = false;
        book.once(&stop, || {
            is_sent = true;
            Ok(Delivery::Sent)
        })
        .unwrap();
        assert!(is_sent);
        book.once(&stop, || panic!("it was sent")).unwrap();
    }

    #[test]
    fn the_last_are_remembered() {
        let book = Book::default();
        let number = |number: usize| {
            let call = number.to_string();
            Sent::of(&op(Verb::Signal, 1, &call), reference(), Signal::HUP).unwrap()
        };
        for count in 0..=REMEMBERED {
            book.once(&number(count), || Ok(Delivery::Sent)).unwrap();
        }
        assert_eq!(locked(&book.entries).len(), REMEMBERED);
        book.once(&number(1), || panic!("it was sent")).unwrap();
        let mut is_sent = false;
        book.once(&number(0), || {
            is_sent = true;
            Ok(Delivery::Sent)
        })
        .unwrap();
        assert!(is_sent, "the first of them is forgotten");
    }
}
