//! What workloads use, looked at now and then and kept for an hour.
//!
//! * Every running workload is looked at once in [`PERIOD_MS`](fleet_model::stats::PERIOD_MS), each at
//!   its own place in the period and at most 8 at once of one backend. One that hangs is given up after
//!   5 s and left alone for a minute; so is a backend that hangs, with all its workloads ([`patience`]). One
//!   that does not tell is asked again after 10 minutes.
//! * The last hour is kept in memory, 17,280 bytes a workload at most ([`ring`]), over all its runs. A
//!   node that starts again begins with nothing.
//! * Whoever asks gets a look that is at most 2 s old: one is taken where there is none ([`look`]), the
//!   same for all who ask meanwhile. It waits for its place for 5 s at most.

mod ledger;
mod look;
mod patience;
mod ring;
mod track;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::item::ItemKey;
use fleet_model::stats::Sample;
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::{BulkStream, Pending, UsageOf};
use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::context::Context;
use crate::state::NodeState;
use ledger::{Target, target};
use look::fresh;

pub(crate) use ledger::Ledger;
pub(crate) use look::watch;

/// How long the looks at all workloads may take together; those that are not back by then are told as
/// they were seen last.
const TOGETHER: Duration = Duration::from_secs(3);

/// A look older than this many milliseconds does not say any more what a workload uses.
const STALE_MS: u64 = 30_000;

/// Answers one request.
pub(crate) async fn answer(
    context: &Arc<Context>,
    pending: Pending,
    item: Option<ItemKey>,
    history: bool,
    follow: bool,
) -> io::Result<()> {
    let mut told = Told {
        context,
        what: match &item {
            Some(item) => What::One(item),
            None => What::All,
        },
        until_ms: BTreeMap::new(),
    };
    // Before the first look: none that comes after it is missed.
    let mut news = context.stats.news();
    if let Err(error) = told.look().await {
        return pending.refuse(error).await;
    }
    let mut stream = pending.accept().await?;
    told.first(&mut stream, history).await?;
    while follow && told.goes_on() {
        tokio::select! {
            changed = news.changed() => if changed.is_err() { break },
            () = stream.closed() => return Ok(()),
        }
        told.next(&mut stream).await?;
    }
    stream.finish().await
}

/// Of what is asked.
#[derive(Clone, Copy)]
enum What<'a> {
    One(&'a ItemKey),
    All,
}

/// What one asker has been told.
struct Told<'a> {
    context: &'a Arc<Context>,
    what: What<'a>,
    /// When the last look it was told of was taken, by workload, in Unix milliseconds.
    until_ms: BTreeMap<ItemKey, u64>,
}

impl Told<'_> {
    /// The runs that are asked about.
    fn targets(&self, state: &NodeState) -> Vec<Target> {
        match self.what {
            What::One(item) => {
                let record = state.items.get(item);
                record
                    .and_then(|record| target(record))
                    .into_iter()
                    .collect()
            }
            What::All => state
                .items
                .values()
                .filter_map(|record| target(record))
                .collect(),
        }
    }

    /// Takes the looks that are needed. Of several, those that fail hold up no other.
    async fn look(&self) -> Result<(), Error> {
        let targets = self.targets(&self.context.store.snapshot().state);
        let mut looks: FuturesUnordered<_> = targets
            .iter()
            .map(|target| fresh(self.context, target))
            .collect();
        let all = async {
            let mut failure = None;
            while let Some(looked) = looks.next().await {
                failure = looked.err().or(failure);
            }
            failure
        };
        let failure = tokio::select! {
            failure = all => failure,
            () = self.context.clock.sleep(TOGETHER), if matches!(self.what, What::All) => None,
        };
        match (self.what, failure) {
            // It ended a moment ago.
            (What::One(_), Some(error)) if error.kind != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The history, if it is wanted, and the newest look; one frame at least for each that is asked about.
    async fn first(&mut self, stream: &mut BulkStream, history: bool) -> io::Result<()> {
        let snapshot = self.context.store.snapshot();
        let targets = self.targets(&snapshot.state);
        let of_one = match self.what {
            What::One(item) if targets.is_empty() => Some(item.clone()),
            _ => None,
        };
        let items = targets.iter().map(|target| target.item.clone());
        for item in items.chain(of_one) {
            let target = targets.iter().find(|target| target.item == item);
            let mut samples = if history {
                let unix_ms = self.context.clock.unix_ms();
                self.context.stats.history(&item, unix_ms)
            } else {
                Vec::new()
            };
            let newest = target.and_then(|target| self.newest(target));
            let newest = newest.filter(|newest| samples.last() != Some(newest));
            samples.extend(newest);
            if samples.is_empty() {
                self.tell(stream, &item, None).await?;
            }
            for sample in samples {
                self.tell(stream, &item, Some(sample)).await?;
            }
        }
        stream.flush().await
    }

    /// The looks that were taken since.
    async fn next(&mut self, stream: &mut BulkStream) -> io::Result<()> {
        let targets = self.targets(&self.context.store.snapshot().state);
        for target in targets {
            let known = self.until_ms.get(&target.item).copied();
            if let Some(sample) = self.newest(&target).filter(|now| Some(now.at_ms) != known) {
                self.tell(stream, &target.item, Some(sample)).await?;
            }
        }
        stream.flush().await
    }

    /// The newest look, if it still says something.
    fn newest(&self, target: &Target) -> Option<Sample> {
        let now_ms = self.context.clock.boot_ms();
        let last = self.context.stats.last(target)?;
        (now_ms.saturating_sub(last.boot_ms) < STALE_MS).then_some(last.sample)
    }

    /// Whether more may come: of one workload until it is removed, of all for ever.
    fn goes_on(&self) -> bool {
        match self.what {
            What::All => true,
            What::One(item) => {
                let snapshot = self.context.store.snapshot();
                let record = snapshot.state.items.get(item);
                record.is_some_and(|record| !record.removed)
            }
        }
    }

    async fn tell(
        &mut self,
        stream: &mut BulkStream,
        item: &ItemKey,
        sample: Option<Sample>,
    ) -> io::Result<()> {
        if let Some(sample) = &sample {
            self.until_ms.insert(item.clone(), sample.at_ms);
        }
        let frame = serde_json::to_vec(&UsageOf {
            item: item.clone(),
            sample,
        })?;
        stream.feed(frame.into()).await
    }
}
