//! Processes of this machine.
//!
//! Holds no state of its own: every answer is read from the slots and the kernel, so a host that
//! starts again, or a second one by mistake, gives the same answers.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleet_model::{Error, ErrorKind, Op};
use fleet_seam::Clock;
use futures::StreamExt;
use futures::stream;

use super::launcher::Launcher;
use super::owned::{self, Own};
use super::reference::Reference;
use super::shim::message::{Answer, Order};
use super::slot::Slot;
pub use super::start::ShimCommand;
use super::{
    Caller, ListedProcess, Open, Prepared, ProcessStatus, Processes, Request, end, prepare,
    signals, start,
};
use crate::cgroup::{Choice, Isolation};
use crate::fault;
use crate::log::{LogLimits, follow};
use crate::source::Source;
use crate::workspace::Workspaces;

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
            return Err(Error::invalid(
                "bad-folder",
                format!("the path {shown} is not UTF-8; choose another data folder"),
            ));
        }
        let isolation = Isolation::detect(options.isolation, workspaces.root());
        Ok(Self {
            inner: Arc::new(Inner {
                workspaces,
                shim,
                clock,
                isolation,
                log: options.log,
            }),
        })
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
            Err(error) => Err(Error::internal(
                "panicked",
                format!("a process call did not end: {error}"),
            )),
        }
    }

    async fn own(&self, caller: &Caller, reference: &str) -> Result<Own, Error> {
        let reference: Reference = reference.parse()?;
        let caller = caller.clone();
        self.blocking(move |inner| Own::find(&inner.workspaces, &caller, reference))
            .await
    }

    /// Asks until there is an answer, or time is up.
    async fn poll<T: Send + 'static>(
        &self,
        work: impl Fn(&Inner) -> Result<Option<T>, Error> + Send + Sync + 'static,
    ) -> Result<Option<T>, Error> {
        let work = Arc::new(work);
        let deadline =
            self.inner.clock.boot_ms() + u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
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
            Err(Error::new(
                ErrorKind::Deadline,
                "start-slow",
                "a start of this process is still under way; ask again",
            ))
        })
    }
}

impl Inner {
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
        self.blocking(move |inner| {
            prepare::prepare(
                &inner.workspaces,
                &inner.isolation,
                &caller,
                &launcher,
                &op,
                request,
            )
        })
        .await
    }

    async fn start(
        &self,
        caller: &Caller,
        _op: &Op,
        reference: &str,
    ) -> Result<ProcessStatus, Error> {
        let own = self.own(caller, reference).await?;
        let slot = own.slot.clone();
        if self.blocking(move |_| Ok(slot.is_claimed())).await? {
            return self.outcome(own).await;
        }
        let mut env = own.request.base_env.clone();
        env.extend(own.request.request.env.clone());
        let order = Order {
            env,
            limits: self.inner.log,
        };
        match start::run_shim(&self.inner.shim, &own.slot, &order, &self.inner.clock).await? {
            Answer::Started | Answer::Claimed => self.outcome(own).await,
            Answer::Failed { error } => Err(error),
        }
    }

    async fn signal(
        &self,
        caller: &Caller,
        _op: &Op,
        reference: &str,
        signal: &str,
    ) -> Result<(), Error> {
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
        if self
            .poll(move |inner| inner.is_ended(&watched))
            .await?
            .is_none()
        {
            return Err(Error::new(
                ErrorKind::Deadline,
                "does-not-end",
                format!(
                    "{reference} was killed and has not ended for {} s: it may hang in the kernel; ask again",
                    PATIENCE.as_secs()
                ),
            ));
        }
        self.blocking(move |_| {
            end::erase(&own.slot, &own.request.placement)
                .map_err(|error| fault::storage("remove", own.slot.folder(), &error))
        })
        .await
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
        self.blocking(move |inner| owned::list(&inner.workspaces, &caller, after, limit))
            .await
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
                stream::once(super::watch::ended(own.slot, clock))
                    .filter_map(|end| async { end.err().map(Err) })
                    .boxed()
            }
        };
        Ok(Source {
            output,
            input: None,
        })
    }
}
