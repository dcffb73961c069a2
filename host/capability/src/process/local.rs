//! Processes of this machine.
//!
//! Holds no state of its own: every answer is read from the slots and the kernel, so a host that
//! starts again, or a second one by mistake, gives the same answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet_model::{Error, ErrorKind, ItemKey, Op};
use fleet_seam::Clock;
use futures::StreamExt;
use futures::stream;

pub use super::start::ShimCommand;
use super::evidence::Evidence;
use super::launcher::Launcher;
use super::record::RequestRecord;
use super::reference::Reference;
use super::shim::message::{Answer, Order};
use super::slot::Slot;
use super::{
    Caller, ListedProcess, Open, Prepared, ProcessState, ProcessStatus, Processes, Request, end, environment, signals,
    start,
};
use crate::cgroup::{Choice, Isolation, Placement};
use crate::log::{LogLimits, follow};
use crate::source::Source;
use crate::workspace::Workspaces;
use crate::{fault, removal};

/// How long `remove` waits for a killed process, and `start` for another start of the same op.
const PATIENCE: Duration = Duration::from_secs(30);

/// How soon to look again while waiting, and at most how late.
const LOOK_MS: (u64, u64) = (2, 100);

/// The longest page of a list.
const PAGE: u32 = 1_000;

/// What may be chosen beside the defaults.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// How strongly to isolate.
    pub isolation: Choice,
    /// How much output to keep.
    pub log: LogLimits,
}

/// Processes of this machine, each with a shim, below one folder.
pub struct LocalProcesses {
    inner: Arc<Inner>,
}

struct Inner {
    workspaces: Workspaces,
    shim: ShimCommand,
    clock: Arc<dyn Clock>,
    isolation: Isolation,
    log: LogLimits,
}

impl LocalProcesses {
    /// Processes whose workloads have their folders in `root`, which is made if it is not there.
    ///
    /// # Errors
    /// Where that folder cannot be used.
    pub fn open(root: &Path, shim: ShimCommand, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_with(root, shim, clock, Options::default())
    }

    /// The same, with choices.
    ///
    /// # Errors
    /// Where that folder cannot be used.
    pub fn open_with(
        root: &Path,
        shim: ShimCommand,
        clock: Arc<dyn Clock>,
        options: Options,
    ) -> Result<Self, Error> {
        let workspaces = Workspaces::open(root)?;
        if workspaces.root().to_str().is_none() {
            let shown = workspaces.root().display();
            return Err(Error::invalid("bad-folder", format!("the path {shown} is not UTF-8; choose another data folder")));
        }
        let isolation = Isolation::detect(options.isolation, workspaces.root());
        Ok(Self { inner: Arc::new(Inner { workspaces, shim, clock, isolation, log: options.log }) })
    }

    /// The folders of the workloads.
    #[must_use]
    pub fn workspaces(&self) -> &Workspaces {
        &self.inner.workspaces
    }

    /// Runs work that blocks on disk or kernel where blocking is allowed.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let inner = self.inner.clone();
        match tokio::task::spawn_blocking(move || work(&inner)).await {
            Ok(answer) => answer,
            Err(error) => Err(Error::internal("panicked", format!("a process call did not end: {error}"))),
        }
    }

    async fn own(&self, caller: &Caller, reference: &str) -> Result<Own, Error> {
        let reference: Reference = reference.parse()?;
        let caller = caller.clone();
        self.blocking(move |inner| inner.own(&caller, reference)).await
    }

    /// Asks until there is an answer, or time is up.
    async fn poll<T: Send + 'static>(
        &self,
        work: impl Fn(&Inner) -> Result<Option<T>, Error> + Send + Sync + 'static,
    ) -> Result<Option<T>, Error> {
        let work = Arc::new(work);
        let deadline = self.inner.clock.boot_ms() + u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        let mut pause = LOOK_MS.0;
        loop {
            let asked = work.clone();
            let answer = self.blocking(move |inner| asked(inner)).await?;
            if answer.is_some() || self.inner.clock.boot_ms() >= deadline {
                return Ok(answer);
            }
            self.inner.clock.sleep(Duration::from_millis(pause)).await;
            pause = (pause * 2).min(LOOK_MS.1);
        }
    }

    /// What became of a start, once that is decided.
    async fn outcome(&self, own: Own) -> Result<ProcessStatus, Error> {
        let found = self.poll(move |_| own.outcome()).await?;
        found.unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Deadline, "start-slow", "a start of this process is still under way; ask again"))
        })
    }
}

/// A slot that is the caller's.
#[derive(Clone)]
struct Own {
    reference: Reference,
    slot: Slot,
    request: RequestRecord,
}

impl Own {
    fn evidence(&self) -> Result<Evidence, Error> {
        self.slot.evidence().map_err(|error| fault::storage("read", self.slot.folder(), &error))
    }

    fn status(&self) -> Result<ProcessStatus, Error> {
        Ok(status(&self.evidence()?, &self.request.placement))
    }

    /// The answer to `start`; `None` while nobody can tell.
    fn outcome(&self) -> Result<Option<Result<ProcessStatus, Error>>, Error> {
        let evidence = self.evidence()?;
        if let Some(error) = evidence.exit.as_ref().and_then(|record| record.start_error.clone()) {
            return Ok(Some(Err(error)));
        }
        let status = status(&evidence, &self.request.placement);
        Ok(match &status.state {
            ProcessState::Prepared => None,
            ProcessState::Running if !self.slot.is_executed() => None,
            ProcessState::Lost(why) => {
                Some(Err(Error::new(ErrorKind::Other, "start-lost", format!("{}: {why}", self.reference))))
            }
            ProcessState::Running | ProcessState::Exited(_) => Some(Ok(status)),
        })
    }
}

fn status(evidence: &Evidence, placement: &Placement) -> ProcessStatus {
    let state = evidence.state();
    let started = evidence.started();
    let pid = started.filter(|_| evidence.program_lives).map(|started| started.program.pid);
    let mut attributes = BTreeMap::from([("isolation".to_owned(), placement.isolation().to_owned())]);
    attributes.extend(pid.map(|pid| ("pid".to_owned(), pid.to_string())));
    if let ProcessState::Exited(exit) = &state {
        attributes.extend(exit.signal.clone().map(|signal| ("signal".to_owned(), signal)));
    }
    if let Some(error) = evidence.exit.as_ref().and_then(|record| record.start_error.as_ref()) {
        attributes.insert("start-error".to_owned(), error.message.clone());
    }
    if evidence.is_orphaned() {
        attributes.insert("shim".to_owned(), "lost".to_owned());
    }
    ProcessStatus { state, pid, started_at_ms: started.map(|started| started.at_ms), attributes }
}

impl Inner {
    fn own(&self, caller: &Caller, reference: Reference) -> Result<Own, Error> {
        let slot = Slot::of(&self.workspaces, reference);
        let request = slot.request().map_err(|error| fault::storage("read", slot.folder(), &error))?;
        match request.filter(|request| request.plugin == caller.plugin) {
            Some(request) => Ok(Own { reference, slot, request }),
            None => Err(Error::not_found("no-process", format!("there is no process {reference}"))),
        }
    }

    fn prepare(&self, caller: &Caller, launcher: &Launcher, op: &Op, request: Request) -> Result<Prepared, Error> {
        if op.item != ItemKey::workload(request.workload) {
            return Err(Error::invalid("bad-op", format!("the op {op} is not one of workload {}", request.workload)));
        }
        let reference = Reference { workload: request.workload, generation: op.generation, attempt: op.attempt };
        let slot = Slot::of(&self.workspaces, reference);
        let read = || slot.request().map_err(|error| fault::storage("read", slot.folder(), &error));
        let wanted = |found: &RequestRecord| {
            found.op == op.to_string() && found.plugin == caller.plugin && found.request == request
        };
        if let Some(found) = read()? {
            return if wanted(&found) { Ok(prepared(reference, &found.placement)) } else { Err(taken(reference)) };
        }
        let workspace = self.workspaces.path(request.workload);
        let program = launcher.check(&request.command, &request.env, &workspace)?;
        self.workspaces.create(request.workload)?;
        let record = RequestRecord {
            op: op.to_string(),
            plugin: caller.plugin.clone(),
            request: request.clone(),
            program,
            base_env: environment::base(launcher),
            placement: self.isolation.place(&format!("{}.{}", reference.workload, reference.try_name())),
        };
        let created = slot.create(&record).map_err(|error| fault::storage("write", slot.folder(), &error))?;
        match read()? {
            Some(found) if created || wanted(&found) => Ok(prepared(reference, &found.placement)),
            _ => Err(taken(reference)),
        }
    }

    fn list(
        &self,
        caller: &Caller,
        after: Option<Reference>,
        limit: usize,
    ) -> Result<(Vec<ListedProcess>, Option<String>), Error> {
        let mut found = Vec::new();
        for workload in self.workspaces.ids()? {
            if after.is_some_and(|after| workload < after.workload) {
                continue;
            }
            for reference in self.tries(workload)? {
                let is_past = after.is_none_or(|after| reference > after);
                if !is_past || self.own(caller, reference).is_err() {
                    continue;
                }
                if found.len() == limit {
                    let next = found.last().map(|last: &ListedProcess| last.reference.clone());
                    return Ok((found, next));
                }
                found.push(ListedProcess {
                    reference: reference.to_string(),
                    workload: workload.to_string(),
                    generation: reference.generation.0,
                });
            }
        }
        Ok((found, None))
    }

    fn tries(&self, workload: fleet_model::WorkloadId) -> Result<Vec<Reference>, Error> {
        let folder = self.workspaces.runs(workload);
        let read = || {
            let mut found = Vec::new();
            for entry in std::fs::read_dir(&folder)? {
                let name = entry?.file_name();
                found.extend(name.to_str().and_then(|name| Reference::from_parts(workload, name)));
            }
            found.sort();
            Ok::<_, std::io::Error>(found)
        };
        match read() {
            Ok(found) => Ok(found),
            // Removed meanwhile, or not all there yet.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(fault::storage("read the folder", &folder, &error)),
        }
    }

    fn kill(&self, own: &Own) -> Result<(), Error> {
        end::kill(&own.slot, &own.request.placement, self.clock.unix_ms())
            .map_err(|error| fault::storage("end the process of", own.slot.folder(), &error))
    }

    /// Whether nothing is left; what is left is ended once more.
    fn is_ended(&self, own: &Own) -> Result<Option<()>, Error> {
        let over = end::is_over(&own.slot, &own.request.placement)
            .map_err(|error| fault::storage("look at", own.slot.folder(), &error))?;
        if over {
            return Ok(Some(()));
        }
        self.kill(own).map(|()| None)
    }

    fn erase(&self, own: &Own) -> Result<(), Error> {
        let placement = &own.request.placement;
        placement.remove().map_err(|error| fault::storage("remove the cgroup of", own.slot.folder(), &error))?;
        placement.remove_parents();
        let runs = self.workspaces.runs(own.reference.workload);
        removal::remove_folder(&runs, &own.reference.try_name())
            .and_then(|()| crate::durable::sync_folder(&runs))
            .map_err(|error| fault::storage("remove", own.slot.folder(), &error))
    }
}

fn prepared(reference: Reference, placement: &Placement) -> Prepared {
    Prepared { reference: reference.to_string(), kill_target: placement.kill_target() }
}

fn taken(reference: Reference) -> Error {
    Error::conflict("prepared-otherwise", format!("{reference} was prepared before, with another request; a new try needs a new attempt"))
}

#[async_trait]
impl Processes for LocalProcesses {
    fn facilities(&self) -> BTreeMap<String, String> {
        self.inner.isolation.describe()
    }

    async fn prepare(
        &self,
        caller: &Caller,
        launcher: &Launcher,
        op: &Op,
        request: Request,
    ) -> Result<Prepared, Error> {
        let (caller, launcher, op) = (caller.clone(), launcher.clone(), op.clone());
        self.blocking(move |inner| inner.prepare(&caller, &launcher, &op, request)).await
    }

    async fn start(&self, caller: &Caller, _op: &Op, reference: &str) -> Result<ProcessStatus, Error> {
        let own = self.own(caller, reference).await?;
        let slot = own.slot.clone();
        if self.blocking(move |_| Ok(slot.is_claimed())).await? {
            return self.outcome(own).await;
        }
        let mut env = own.request.base_env.clone();
        env.extend(own.request.request.env.clone());
        let order = Order { env, limits: self.inner.log };
        match start::run_shim(&self.inner.shim, &own.slot, &order, &self.inner.clock).await? {
            Answer::Started | Answer::Claimed => self.outcome(own).await,
            Answer::Failed { error } => Err(error),
        }
    }

    async fn signal(&self, caller: &Caller, _op: &Op, reference: &str, signal: &str) -> Result<(), Error> {
        let signal = signals::by_name(signal)?;
        let own = self.own(caller, reference).await?;
        self.blocking(move |_| {
            end::signal(&own.slot, signal)
                .map_err(|error| fault::storage("signal the process of", own.slot.folder(), &error))
        })
        .await
    }

    async fn kill(&self, caller: &Caller, _op: &Op, reference: &str) -> Result<(), Error> {
        let own = self.own(caller, reference).await?;
        self.blocking(move |inner| inner.kill(&own)).await
    }

    async fn inspect(&self, caller: &Caller, reference: &str) -> Result<ProcessStatus, Error> {
        let own = self.own(caller, reference).await?;
        self.blocking(move |_| own.status()).await
    }

    async fn remove(&self, caller: &Caller, _op: &Op, reference: &str) -> Result<(), Error> {
        let parsed: Reference = reference.parse()?;
        let slot = Slot::of(&self.inner.workspaces, parsed);
        if !self.blocking(move |_| Ok(slot.folder().exists())).await? {
            return Ok(());
        }
        let own = self.own(caller, reference).await?;
        let killed = own.clone();
        self.blocking(move |inner| inner.kill(&killed)).await?;
        let watched = own.clone();
        if self.poll(move |inner| inner.is_ended(&watched)).await?.is_none() {
            return Err(Error::new(
                ErrorKind::Deadline,
                "does-not-end",
                format!("{reference} was killed and has not ended for {} s: it may hang in the kernel; ask again", PATIENCE.as_secs()),
            ));
        }
        self.blocking(move |inner| inner.erase(&own)).await
    }

    async fn list(
        &self,
        caller: &Caller,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<ListedProcess>, Option<String>), Error> {
        let after = cursor.map(str::parse::<Reference>).transpose()?;
        let caller = caller.clone();
        let limit = limit.clamp(1, PAGE) as usize;
        self.blocking(move |inner| inner.list(&caller, after, limit)).await
    }

    async fn open(&self, caller: &Caller, reference: &str, what: Open) -> Result<Source, Error> {
        let own = self.own(caller, reference).await?;
        let output = match what {
            Open::Output(options) => {
                let logs = self.inner.workspaces.logs(own.reference.workload);
                follow::open(logs, options, self.inner.clock.clone()).await?
            }
            Open::End => {
                let clock = self.inner.clock.clone();
                stream::once(super::watch::ended(own.slot, clock)).filter_map(|end| async { end.err().map(Err) }).boxed()
            }
        };
        Ok(Source { output, input: None })
    }
}
