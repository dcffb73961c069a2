//! Does one step: at most one call to the backend, at most one transaction.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use fleet_capability::Secrets as _;
use fleet_capability::source::Source;
use fleet_model::driver::{Creation, Description, Observation, RunState, Wanted};
use fleet_model::event::Event;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_model::{Error, ErrorKind, Verb};
use fleet_plugin::Driver;
use fleet_store::WriteError;

use super::live::{Again, Live, Retry, Sent};
use super::plan::Step;
use super::{restart, transition};
use crate::context::Context;
use crate::ports::{self, Network};
use crate::state::{Backoff, Record, Run, Stage};
use crate::{files, outbox, spec};

/// The store takes no more writes: the node ends, and a new one reads what is true.
#[derive(Debug)]
pub(super) struct Halted;

/// One workload's hands: what [`super::supervise`] drives.
pub(super) struct Executor {
    pub(super) context: Arc<Context>,
    pub(super) key: ItemKey,
    pub(super) live: Live,
    /// The open watch, when `live.watched`.
    pub(super) watch: Option<Source>,
    /// The code that looked last, by what it says of itself.
    pub(super) seen_by: Option<Arc<Description>>,
}

/// Around which time after a swap the new code is asked what it sees.
const AFTER_SWAP: Duration = Duration::from_millis(200);

/// The longest pause between two tries of one step, whatever a backend asks for.
const MAX_PAUSE: Duration = Duration::from_secs(15);

/// What kind of failure back-off applies to.
#[derive(Clone, Copy)]
enum Repeat {
    /// The plan decides by the error whether to go on.
    AsPlanned,
    /// Whatever the error, it is tried again.
    Always,
}

impl Executor {
    /// Does `step`. A failing call is remembered in `live.retry`; only a dead store is an error.
    pub(super) async fn execute(
        &mut self,
        step: Step,
        record: &Record,
        intent: Option<&WorkloadIntent>,
    ) -> Result<(), Halted> {
        let repeat = match &step {
            Step::Create | Step::Start => Repeat::AsPlanned,
            _ => Repeat::Always,
        };
        let done = match (step, record.run.as_ref(), intent) {
            (Step::Begin, _, Some(intent)) => self.begin(record, intent).await,
            (Step::Create, Some(run), intent) => self.create(record, run, intent).await,
            (Step::Start, Some(run), _) => self.start(record, run).await,
            (Step::Look, Some(run), _) => self.look(record, run).await,
            (Step::Watch, Some(run), _) => self.open_watch(run).await,
            (Step::Stop, Some(run), _) => self.stop(record, run).await,
            (Step::Kill, Some(run), _) => self.kill(record, run).await,
            (Step::Record(stage), Some(run), intent) => {
                self.record(record, run, stage, intent).await
            }
            (Step::Destroy, Some(run), _) => self.destroy(record, run).await,
            (Step::Again, Some(run), Some(intent)) => self.again(record, run, intent).await,
            (Step::Remove, None, None) => self.remove().await,
            _ => Ok(()),
        };
        match done {
            Ok(()) => {
                self.live.retry = None;
                Ok(())
            }
            Err(Trouble::Call(error)) => {
                self.fail(error, repeat, record.item.generation);
                Ok(())
            }
            Err(Trouble::Again) => {
                let later_ms = self.context.clock.boot_ms() + millis(MAX_PAUSE / 5);
                if let Some(retry) = &mut self.live.retry {
                    retry.until_ms = later_ms;
                }
                Ok(())
            }
            Err(Trouble::Halted) => Err(Halted),
        }
    }

    async fn begin(&mut self, record: &Record, intent: &WorkloadIntent) -> Result<(), Trouble> {
        let driver = self.context.drivers.driver(&intent.spec.backend)?;
        let network = match driver
            .description()
            .attributes
            .get("network")
            .map(String::as_str)
        {
            Some("mapped") => Network::Mapped,
            _ => Network::Shared,
        };
        let others = self.context.store.snapshot().state.items.len();
        let wanted = intent.spec.ports.clone();
        let fixed = wanted.clone();
        files::blocking(move || ports::check_fixed(&fixed, network)).await?;
        let held = ports::Candidates::find(ports::candidates_for(wanted.len(), others))?;
        let (free, boot, intent) = (held.numbers(), self.context.boot.clone(), intent.clone());
        let (key, generation) = (self.key.clone(), record.item.generation);
        let begun = self.context.store.write(move |tx| -> Result<(), Error> {
            let Some(record) = tx.get::<Record>(&key) else {
                return Ok(());
            };
            // The intent moved on meanwhile: the next step is planned on the newer one.
            if record.item.generation != generation || record.run.is_some() {
                return Ok(());
            }
            let taken: BTreeSet<u16> = tx
                .state()
                .items
                .values()
                .filter(|other| other.item.id != key)
                .flat_map(|other| other.ports.values().copied())
                .collect();
            let chosen = ports::choose(&wanted, &record.ports, network, &free, &taken)?;
            let mut record = Record::clone(&record);
            transition::begin(&mut record, &intent, chosen, &boot);
            tx.put(record);
            Ok(())
        });
        begun.await.map_err(|error| match error {
            WriteError::Refused(error) => Trouble::Call(error),
            other => Trouble::from_write(other),
        })?;
        self.live = Live::default();
        self.watch = None;
        Ok(())
    }

    async fn create(
        &mut self,
        record: &Record,
        run: &Run,
        now: Option<&WorkloadIntent>,
    ) -> Result<(), Trouble> {
        let driver = self.driver(run)?;
        let is_wanted = run.generation == record.item.generation
            && now.is_some_and(|now| now.desired == Desired::Running);
        let wanted = if is_wanted { Wanted::Yes } else { Wanted::No };
        let Some(intent) = &run.intent else {
            return Err(Error::internal(
                "run-record",
                "the record of this run does not say what it is for",
            )
            .into());
        };
        let workload = spec::workload(&self.context, record, run, intent, wanted)?;
        let op = transition::op(record, run, Verb::Create);
        driver.check_secrets(&op, &files::secrets(&intent.spec))?;
        write_files(self.context.clone(), &self.key, intent).await?;
        match driver.create(&op, &workload).await? {
            Creation::Ready {
                handle,
                kill_target,
            } => {
                self.live.progress = None;
                self.update_run(move |run| transition::created(run, handle, kill_target))
                    .await
            }
            Creation::Pending {
                message,
                done,
                retry_after_ms,
            } => {
                self.live.progress = Some(match done {
                    Some((done, total)) => format!("{message} ({done} of {total})"),
                    None => message,
                });
                Err(Trouble::Call(Error {
                    retry_after_ms: Some(retry_after_ms.clamp(20, 10_000)),
                    ..Error::unavailable(
                        "not-ready-yet",
                        self.live.progress.clone().unwrap_or_default(),
                    )
                }))
            }
        }
    }

    async fn start(&mut self, record: &Record, run: &Run) -> Result<(), Trouble> {
        let Some(handle) = &run.handle else {
            return Ok(());
        };
        let answered = self
            .driver(run)?
            .start(&transition::op(record, run, Verb::Start), handle)
            .await?;
        self.live.look_again();
        let now_ms = self.context.clock.boot_ms();
        self.update(move |record| {
            let run = record.run.as_mut()?;
            run.stage = Stage::Started;
            run.handle = Some(answered);
            run.started_boot_ms = Some(now_ms);
            transition::event(record)
        })
        .await
    }

    async fn look(&mut self, record: &Record, run: &Run) -> Result<(), Trouble> {
        let Some(handle) = &run.handle else {
            self.live.observed = Some(lost("the backend never said how to find it"));
            return Ok(());
        };
        let driver = self.driver(run)?;
        self.seen_by = Some(driver.description());
        let seen = match driver.inspect(&self.key, handle).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                lost(&format!("its backend does not know it any more: {error}"))
            }
            other => other?,
        };
        self.live.look_at_ms = match self.live.looked(record.item.generation) {
            Again::InAWhile => Some(self.in_a_while()),
            Again::WhenWoken => None,
        };
        self.live.observed = Some(seen);
        Ok(())
    }

    async fn open_watch(&mut self, run: &Run) -> Result<(), Trouble> {
        let Some(handle) = &run.handle else {
            return Ok(());
        };
        let watch = match self.driver(run)?.watch(&self.key, handle).await {
            Ok(watch) => watch,
            Err(error) => {
                tracing::debug!(item = %self.key, %error, "no watch: looking now and then");
                None
            }
        };
        self.live.watched = watch.is_some();
        self.watch = watch;
        if self.live.watched {
            // What happened between the last look and the watch would never wake us.
            self.live.look_again();
        } else {
            self.live.look_at_ms = Some(self.in_a_while());
            self.live.polls = self.live.polls.saturating_add(1);
        }
        Ok(())
    }

    async fn stop(&mut self, record: &Record, run: &Run) -> Result<(), Trouble> {
        let now_ms = self.context.clock.boot_ms();
        let sent = Sent {
            generation: record.item.generation,
            at_ms: now_ms,
        };
        if let Some(handle) = &run.handle {
            match self
                .driver(run)?
                .stop(&transition::op(record, run, Verb::Stop), handle, "TERM")
                .await
            {
                Ok(handle) => {
                    self.update_run(move |run| run.handle = Some(handle))
                        .await?
                }
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) if error.kind.is_retryable() || error.kind == ErrorKind::Internal => {
                    return Err(error.into());
                }
                Err(error) => {
                    tracing::warn!(item = %self.key, %error, "cannot be asked to end; it will be killed");
                    self.live.stop = Some(Sent { at_ms: 0, ..sent });
                    return Ok(());
                }
            }
        }
        self.live.stop = Some(sent);
        self.look_soon(now_ms);
        Ok(())
    }

    async fn kill(&mut self, record: &Record, run: &Run) -> Result<(), Trouble> {
        let now_ms = self.context.clock.boot_ms();
        if let Some(handle) = &run.handle {
            match self
                .driver(run)?
                .kill(&transition::op(record, run, Verb::Kill), handle)
                .await
            {
                Ok(handle) => {
                    self.update_run(move |run| run.handle = Some(handle))
                        .await?
                }
                Err(error) if error.kind == ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.live.kill = Some(Sent {
            generation: record.item.generation,
            at_ms: now_ms,
        });
        self.look_soon(now_ms);
        Ok(())
    }

    async fn record(
        &mut self,
        record: &Record,
        run: &Run,
        stage: Stage,
        intent: Option<&WorkloadIntent>,
    ) -> Result<(), Trouble> {
        if let (
            Stage::Failed { .. } | Stage::Lost { .. } | Stage::Ended { exit: None },
            Some(handle),
        ) = (&stage, &run.handle)
        {
            // A start that failed, or whose answer was not waited for, may start it all the same; of a
            // run that is lost something may be left: what is called over must not run.
            match self
                .driver(run)?
                .kill(&transition::op(record, run, Verb::Kill), handle)
                .await
            {
                Ok(_) => {}
                Err(error)
                    if matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unsupported) => {}
                Err(error) => {
                    tracing::warn!(item = %self.key, %error, "what is over cannot be made sure of yet");
                    return Err(self
                        .live
                        .retry
                        .as_ref()
                        .map_or(Trouble::Call(error), |_| Trouble::Again));
                }
            }
        }
        let observed = self.live.observed.clone();
        let backoff = self.backoff(record, run, &stage, intent);
        let generation = record.item.generation;
        if stage.is_over() {
            self.live = Live::default();
            self.watch = None;
        }
        let now_ms = self.context.clock.boot_ms();
        self.update(move |record| {
            // A newer intent decides for itself what becomes of the run.
            record.backoff = backoff.filter(|_| record.item.generation == generation);
            let run = record.run.as_mut()?;
            if stage == Stage::Started {
                run.started_boot_ms.get_or_insert(now_ms);
            }
            run.stage = stage;
            if let Some(observed) = &observed {
                transition::seen(run, observed);
            }
            transition::event(record)
        })
        .await
    }

    async fn destroy(&mut self, record: &Record, run: &Run) -> Result<(), Trouble> {
        if let Some(handle) = &run.handle {
            match self
                .driver(run)?
                .destroy(&transition::op(record, run, Verb::Destroy), handle)
                .await
            {
                Err(error) if error.kind != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        self.live = Live::default();
        self.watch = None;
        self.update(|record| {
            record.run = None;
            None
        })
        .await
    }

    /// What is left of the run that is over goes, and the next try is recorded in its place.
    async fn again(
        &mut self,
        record: &Record,
        run: &Run,
        intent: &WorkloadIntent,
    ) -> Result<(), Trouble> {
        if let Some(handle) = &run.handle {
            match self
                .driver(run)?
                .destroy(&transition::op(record, run, Verb::Destroy), handle)
                .await
            {
                Err(error) if error.kind != ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        self.live = Live::default();
        self.watch = None;
        let (generation, attempt) = (record.item.generation, run.attempt);
        let (intent, boot) = (intent.clone(), self.context.boot.clone());
        self.update(move |record| {
            let is_same = record.item.generation == generation
                && record
                    .run
                    .as_ref()
                    .is_some_and(|run| run.attempt == attempt);
            if is_same {
                transition::again(record, &intent, &boot);
            } else if record
                .run
                .as_ref()
                .is_some_and(|run| run.attempt == attempt)
            {
                // Destroyed, and a newer intent has come: it begins with nothing.
                record.run = None;
            }
            None
        })
        .await
    }

    /// The pause before the next try, if there is to be one after this stage.
    fn backoff(
        &self,
        record: &Record,
        run: &Run,
        stage: &Stage,
        intent: Option<&WorkloadIntent>,
    ) -> Option<Backoff> {
        let intent = intent.filter(|intent| {
            intent.desired == Desired::Running && run.generation == record.item.generation
        })?;
        if !stage.is_over() {
            return record.backoff.clone();
        }
        if !restart::is_wanted(intent.spec.restart, run.attempt, stage) {
            return None;
        }
        let (boot, now_ms) = (&self.context.boot, self.context.clock.boot_ms());
        let (in_a_row, around) = restart::pause(record.backoff.as_ref(), run, boot, now_ms);
        Some(Backoff {
            in_a_row,
            boot: boot.clone(),
            from_ms: now_ms,
            delay_ms: millis(self.context.entropy.jitter(around)),
        })
    }

    async fn remove(&mut self) -> Result<(), Trouble> {
        if let Ok(workload) = self.key.key.parse() {
            self.context.files.remove(workload).await?;
            self.context.packets.forget(workload);
        }
        self.update(|record| {
            // A newer intent may have brought the item back; then it is not removed.
            if record.item.is_tombstone() && record.run.is_none() {
                record.removed = true;
                record.backoff = None;
                record.ports.clear();
                record.signals.clear();
            }
            None
        })
        .await
    }

    /// The watch woke, or ended.
    pub(super) fn woken(&mut self, ended: bool) {
        self.live.look_again();
        if ended {
            self.watch = None;
            self.live.watched = false;
            self.live.look_at_ms = None;
            self.live.polls = self.live.polls.saturating_add(1);
        }
    }

    fn driver(&self, run: &Run) -> Result<Arc<dyn Driver>, Error> {
        // The backend may be on its way (compiled, swapped): asked again when a plugin changes.
        self.context
            .drivers
            .driver(&run.backend)
            .map_err(|error| Error {
                kind: ErrorKind::Unavailable,
                ..error
            })
    }

    /// What is known was seen by the code that serves now.
    pub(super) fn recovered(&mut self) {
        let snapshot = self.context.store.snapshot();
        let record = snapshot.state.items.get(&self.key);
        let run = record.and_then(|record| record.run.as_ref());
        self.seen_by = run.and_then(|run| self.serving(run));
    }

    /// What the code that serves a run says of itself: another one where the code is another.
    fn serving(&self, run: &Run) -> Option<Arc<Description>> {
        Some(self.driver(run).ok()?.description())
    }

    /// Plugins have changed: a step that failed is tried again, and new code is asked what it sees, for
    /// it may see more than the code before it.
    pub(super) fn plugins_changed(&mut self, record: &Record) {
        self.live.retry = None;
        let serving = record.run.as_ref().and_then(|run| self.serving(run));
        let (Some(serving), Some(seen_by)) = (serving, &self.seen_by) else {
            return;
        };
        if !Arc::ptr_eq(&serving, seen_by) && self.live.look_at_ms.is_none() {
            // Not all at once: there may be thousands.
            let delay = self.context.entropy.jitter(AFTER_SWAP);
            self.live.look_at_ms = Some(self.context.clock.boot_ms() + millis(delay));
        }
    }

    fn look_soon(&mut self, now_ms: u64) {
        self.live.polls = 0;
        self.live.look_at_ms = Some(now_ms + 50);
    }

    fn in_a_while(&self) -> u64 {
        let around =
            Duration::from_millis(200 << self.live.polls.min(5)).min(Duration::from_secs(5));
        self.context.clock.boot_ms() + millis(self.context.entropy.jitter(around))
    }

    fn fail(&mut self, error: Error, repeat: Repeat, generation: Generation) {
        let error = self.context.redactor.error(error);
        let before = self
            .live
            .retry
            .as_ref()
            .filter(|retry| retry.generation == generation);
        let failures = before.map_or(0, |retry| retry.failures) + 1;
        let waits = matches!(repeat, Repeat::Always)
            || error.kind.is_retryable()
            || error.kind == ErrorKind::Internal;
        let around = match error.retry_after_ms {
            Some(asked) => Duration::from_millis(asked.into()).min(MAX_PAUSE),
            None => Duration::from_millis(200 << failures.min(7)).min(MAX_PAUSE),
        };
        let delay = if waits {
            millis(self.context.entropy.jitter(around))
        } else {
            0
        };
        tracing::debug!(item = %self.key, %error, failures, delay, "a step failed");
        self.live.retry = Some(Retry {
            generation,
            failures,
            until_ms: self.context.clock.boot_ms() + delay,
            error,
        });
    }

    fn update_run<F>(&self, change: F) -> impl Future<Output = Result<(), Trouble>> + use<F>
    where
        F: FnOnce(&mut Run) + Send + 'static,
    {
        self.update(move |record| {
            if let Some(run) = &mut record.run {
                change(run);
            }
            None
        })
    }

    /// Changes this item's record, and tells of it in the same transaction. The future holds nothing
    /// of `self`, whose open watch cannot be shared between threads.
    fn update<F>(&self, change: F) -> impl Future<Output = Result<(), Trouble>> + use<F>
    where
        F: FnOnce(&mut Record) -> Option<Event> + Send + 'static,
    {
        let (store, key) = (self.context.store.clone(), self.key.clone());
        let now_ms = self.context.clock.unix_ms();
        let redactor = self.context.redactor.clone();
        async move {
            let written = store.write(move |tx| -> Result<(), Infallible> {
                if let Some(record) = tx.get::<Record>(&key) {
                    let mut changed = Record::clone(&record);
                    let event = change(&mut changed);
                    if changed != *record {
                        tx.put(changed);
                    }
                    if let Some(mut event) = event {
                        redactor.string(&mut event.message);
                        redactor.facts(&mut event.details);
                        outbox::append(tx, now_ms, event);
                    }
                }
                Ok(())
            });
            written.await.map_err(Trouble::from_write)
        }
    }
}

/// Puts the intent's files into the workspace, before anything that may read them is made. Holds
/// nothing of the executor, as [`Executor::update`].
async fn write_files(
    context: Arc<Context>,
    key: &ItemKey,
    intent: &WorkloadIntent,
) -> Result<(), Error> {
    let Ok(workload) = key.key.parse() else {
        return Ok(());
    };
    if intent.spec.files.is_empty() {
        return Ok(());
    }
    let secrets = files::secrets(&intent.spec);
    let values = context.secrets.values(&secrets).await?;
    let files = files::contents(&intent.spec, &values)?;
    context.files.write(workload, files).await
}

/// Why a step was not done.
enum Trouble {
    /// A call failed, or the disk is full: tried again or given up as the plan says.
    Call(Error),
    /// Not now; the failure that led here stands.
    Again,
    /// The store is gone.
    Halted,
}

impl Trouble {
    fn from_write<E>(error: WriteError<E>) -> Self {
        match error {
            WriteError::Full(_) => Self::Call(Error::new(
                ErrorKind::Exhausted,
                "disk-full",
                "the data folder's disk is full: free some space",
            )),
            WriteError::Busy(_) => Self::Call(Error::unavailable(
                "database-busy",
                "another process holds the database",
            )),
            WriteError::Closed | WriteError::Failed(_) => Self::Halted,
            WriteError::Refused(_) | WriteError::Panicked(_) | WriteError::Encode { .. } => {
                Self::Call(Error::internal(
                    "record",
                    "the node could not record a step",
                ))
            }
        }
    }
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Call(error)
    }
}

fn lost(reason: &str) -> Observation {
    Observation {
        state: RunState::Lost {
            reason: reason.to_owned(),
        },
        started_at_ms: None,
        attributes: std::collections::BTreeMap::new(),
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
