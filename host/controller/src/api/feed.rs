//! Reads the event log from a place on, without loss and without repeat.
//!
//! The place is the number of the last event looked at. What is after it is read; when there is
//! nothing, the feed waits for a commit and reads again. The commits are watched from before the
//! first read, so none falls between reading and waiting.

use std::collections::VecDeque;
use std::sync::Arc;

use fleet_model::Error;
use fleet_model::event::Event;
use fleet_store::StoreError;
use tokio::sync::watch;

use super::events::unreadable;
use crate::controller::Inner;
use crate::journal::plain;

/// Events read at once.
const CHUNK: usize = 256;

/// Events looked at for one page; a rare match is found on a later one.
const LOOKED_AT: usize = 10_000;

/// Which events are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Filter {
    /// About this id or name.
    pub(super) subject: Option<String>,
    /// Of this type.
    pub(super) kind: Option<String>,
}

impl Filter {
    fn takes(&self, event: &Event) -> bool {
        let is_about =
            |wanted: &String| event.subject == *wanted || event.name.as_ref() == Some(wanted);
        self.subject.as_ref().is_none_or(is_about)
            && self.kind.as_ref().is_none_or(|kind| event.kind == *kind)
    }
}

/// One step of following.
#[derive(Debug)]
pub(super) enum Step {
    /// The next event.
    Event(Event),
    /// The log cannot be read.
    Failed(Error),
    /// The host stops.
    End,
}

/// A place in the event log.
pub(super) struct Feed {
    inner: Arc<Inner>,
    filter: Filter,
    after: u64,
    commits: watch::Receiver<u64>,
    ready: VecDeque<Event>,
}

impl Feed {
    /// A feed of what is after this number.
    pub(super) fn new(inner: Arc<Inner>, filter: Filter, after: u64) -> Self {
        let commits = inner.store.changes();
        Self {
            inner,
            filter,
            after,
            commits,
            ready: VecDeque::new(),
        }
    }

    /// The number of the last event looked at.
    pub(super) fn after(&self) -> u64 {
        self.after
    }

    /// Up to `limit` events that are there now, and whether the newest was looked at.
    ///
    /// # Errors
    /// The log cannot be read.
    pub(super) async fn page(&mut self, limit: usize) -> Result<(Vec<Event>, bool), StoreError> {
        let mut items = Vec::new();
        let mut looked_at = 0;
        loop {
            let entries = self
                .inner
                .store
                .read_log::<Event>(self.after, CHUNK)
                .await?;
            if entries.is_empty() {
                return Ok((items, true));
            }
            for (seq, at_ms, event) in entries {
                // The next match begins the next page.
                let event = Event {
                    seq,
                    at_ms,
                    ..event
                };
                if self.filter.takes(&event) {
                    if items.len() == limit {
                        return Ok((items, false));
                    }
                    items.push(event);
                }
                self.after = seq;
                looked_at += 1;
            }
            if looked_at >= LOOKED_AT {
                let is_at_end = self.after >= self.inner.store.snapshot().log_head::<Event>();
                return Ok((items, is_at_end));
            }
        }
    }

    /// The next event, whenever it happens.
    pub(super) async fn next(&mut self) -> Step {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Step::Event(event);
            }
            self.commits.borrow_and_update();
            match self.inner.store.read_log::<Event>(self.after, CHUNK).await {
                Err(error) => return Step::Failed(unreadable(error)),
                Ok(entries) if entries.is_empty() => {
                    tokio::select! {
                        changed = self.commits.changed() => if changed.is_err() { return Step::End },
                        () = self.inner.closing.cancelled() => return Step::End,
                    }
                }
                Ok(entries) => self.take(entries),
            }
        }
    }

    fn take(&mut self, entries: Vec<(u64, u64, Event)>) {
        for (seq, at_ms, event) in entries {
            if self.after > 0 && seq > self.after + 1 {
                self.ready.push_back(gap(self.after + 1, seq - 1, at_ms));
            }
            self.after = seq;
            let event = Event {
                seq,
                at_ms,
                ..event
            };
            if self.filter.takes(&event) {
                self.ready.push_back(event);
            }
        }
    }
}

/// What stands for events that were dropped for age.
fn gap(from: u64, to: u64, at_ms: u64) -> Event {
    let message = format!("events {from} to {to} are no longer kept");
    let details = [
        ("from".to_owned(), from.to_string()),
        ("to".to_owned(), to.to_string()),
    ]
    .into();
    Event {
        seq: to,
        at_ms,
        details,
        ..plain("events.gap", "events", message)
    }
}
