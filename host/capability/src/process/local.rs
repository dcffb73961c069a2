//! Processes of this machine.
//!
//! Holds no state of its own: every answer is read from the slots and the kernel, so a host that
//! starts again, or a second one by mistake, gives the same answers. Only which signals were sent is
//! known to nobody else (`signalled.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleet_model::exec::{ExecState, TerminalSize};
use fleet_model::{Error, ErrorKind, Name, Op, WorkloadId, stats};
use fleet_seam::Clock;
use futures::StreamExt;
use futures::future::{Either, select};
use futures::stream;

use super::exec::create::Door;
use super::exec::over::Shims;
use super::launcher::Launcher;
use super::owned::{self, Own, Told};
use super::reference::Reference;
use super::shim::message::{Answer, Order};
use super::signalled::{Book, Sent};
use super::slot::Slot;
pub use super::start::ShimCommand;
use super::stray::Strays;
use super::{
    Caller, ExecRequest, ListedProcess, Open, Prepared, ProcessStatus, Processes, Request, end,
    environment, prepare, send, signals, start, usage,
};
use crate::cgroup::{Choice, Isolation};
use crate::fault;
use crate::log::{LogLimits, follow};
use crate::packets::{PacketLimits, socket};
use crate::secret::{NoSecrets, SecretValue, Secrets};
use crate::source::Source;
use crate::workspace::Workspaces;

/// How long `remove` waits for a killed process, and `start` for all it needs: half of what a
/// plugin's call may take. Who is told `deadline` asks again with the same op.
const PATIENCE: Duration = Duration::from_secs(5);

/// When to ask again after that.
const RETRY_MS: u32 = 500;

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
    /// How many packets to keep.
    pub packets: PacketLimits,
}

/// Processes of this machine, each with a shim, below one folder.
pub struct LocalProcesses {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) workspaces: Workspaces,
    pub(super) shim: ShimCommand,
    pub(super) clock: Arc<dyn Clock>,
    /// Through which programs beside a process come in.
    pub(super) door: Door,
    secrets: Arc<dyn Secrets>,
    isolation: Isolation,
    log: LogLimits,
    packets: PacketLimits,
    /// The signals that were sent.
    signalled: Book,
}

impl LocalProcesses {
    /// Processes whose workloads have their folders in `root`, which is made if it is not there.
    /// None of them is given a secret.
    ///
    /// # Errors
    /// Where that folder cannot be used.
    pub fn open(root: &Path, shim: ShimCommand, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        Self::open_with(root, shim, clock, Arc::new(NoSecrets), Options::default())
    }

    /// The same, with choices, and with secrets that are asked for at each start.
    ///
    /// # Errors
    /// Where that folder cannot be used.
    pub fn open_with(
        root: &Path,
        shim: ShimCommand,
        clock: Arc<dyn Clock>,
        secrets: Arc<dyn Secrets>,
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
                door: Door::default(),
                secrets,
                isolation,
                log: options.log,
                packets: options.packets,
                signalled: Book::default(),
            }),
        })
    }

    /// The folders of the workloads.
    #[must_use]
    pub fn workspaces(&self) -> &Workspaces {
        &self.inner.workspaces
    }

    /// Runs work that blocks on disk or kernel where blocking is allowed.
    pub(super) async fn blocking<T: Send + 'static>(
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

    pub(super) async fn own(&self, caller: &Caller, reference: &str) -> Result<Own, Error> {
        let reference: Reference = reference.parse()?;
        let caller = caller.clone();
        self.blocking(move |inner| Own::find(&inner.workspaces, &caller, reference))
            .await
    }

    /// How long a call that begins now may take.
    pub(super) fn deadline(&self) -> Deadline {
        let patience_ms = u64::try_from(PATIENCE.as_millis()).unwrap_or(u64::MAX);
        Deadline {
            at_ms: self.inner.clock.boot_ms() + patience_ms,
        }
    }

    pub(super) fn left(&self, deadline: Deadline) -> Duration {
        let now_ms = self.inner.clock.boot_ms();
        Duration::from_millis(deadline.at_ms.saturating_sub(now_ms))
    }

    /// Asks until there is an answer, or time is up.
    pub(super) async fn poll<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl Fn(&Inner) -> Result<Option<T>, Error> + Send + Sync + 'static,
    ) -> Result<Option<T>, Error> {
        let work = Arc::new(work);
        let mut pause = LOOK_MS.0;
        loop {
            let asked = work.clone();
            let answer = self.blocking(move |inner| asked(inner)).await?;
            if answer.is_some() || self.left(deadline).is_zero() {
                return Ok(answer);
            }
            self.inner.clock.sleep(Duration::from_millis(pause)).await;
            pause = (pause * 2).min(LOOK_MS.1);
        }
    }

    /// What became of a start, once that is decided.
    async fn outcome(
        &self,
        own: Own,
        told: Told,
        deadline: Deadline,
    ) -> Result<ProcessStatus, Error> {
        let found = self.poll(deadline, move |_| own.outcome(told)).await?;
        found.unwrap_or_else(|| Err(start_slow()))
    }

    /// The values that a process is started with.
    pub(super) async fn secrets(
        &self,
        own: &Own,
        deadline: Deadline,
    ) -> Result<BTreeMap<Name, SecretValue>, Error> {
        let names: BTreeSet<Name> = own.request.request.secrets.values().cloned().collect();
        if names.is_empty() {
            return Ok(BTreeMap::new());
        }
        let time = self.inner.clock.sleep(self.left(deadline));
        match select(self.inner.secrets.values(&names), time).await {
            Either::Left((values, _)) => values,
            Either::Right(_) => Err(slow(
                "secrets-slow",
                "the values of its secrets have not come yet; ask again",
            )),
        }
    }
}

/// When a call gives up: milliseconds of the boot clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deadline {
    at_ms: u64,
}

pub(super) fn slow(code: &str, message: impl Into<String>) -> Error {
    Error {
        retry_after_ms: Some(RETRY_MS),
        ..Error::new(ErrorKind::Deadline, code, message)
    }
}

fn start_slow() -> Error {
    slow(
        "start-slow",
        "a start of this process is still under way; ask again",
    )
}

pub(super) fn does_not_end(reference: &str) -> Error {
    slow(
        "does-not-end",
        format!(
            "{reference} was killed and has not ended for {} s: it may hang in the kernel; ask again",
            PATIENCE.as_secs()
        ),
    )
}

impl Inner {
    /// Ends what runs of a try whose records are gone, and says whether nothing did.
    fn end_strays(&self, reference: Reference) -> Result<bool, Error> {
        let end = || match Strays::of(&self.workspaces, &self.isolation, reference)? {
            Some(strays) => strays.end(),
            None => Ok(true),
        };
        end().map_err(|error| fault::storage("end what is left of", self.workspaces.root(), &error))
    }

    /// Where a workload emits packets.
    pub(super) fn packet_socket(&self, workload: WorkloadId) -> Result<PathBuf, Error> {
        let folder = self.workspaces.folder(workload);
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
        socket::place(&folder, runtime).map_err(|error| {
            fault::storage("find a place for the packet socket of", &folder, &error)
        })
    }

    fn kill(&self, own: &Own, shims: Shims) -> Result<(), Error> {
        end::kill(&own.slot, &own.request, self.clock.unix_ms(), shims)
            .map_err(|error| fault::storage("end the process of", own.slot.folder(), &error))
    }

    /// What a call that began at this boot time does with shims that should go by themselves.
    pub(super) fn patience_with_shims(&self, begun_ms: u64) -> Shims {
        let waited = Duration::from_millis(self.clock.boot_ms().saturating_sub(begun_ms));
        if waited < PATIENCE / 2 {
            Shims::Spared
        } else {
            Shims::Ended
        }
    }

    /// Whether nothing is left; what is left is ended once more.
    fn is_ended(&self, own: &Own, shims: Shims) -> Result<Option<()>, Error> {
        let over = end::is_over(&own.slot, &own.request)
            .map_err(|error| fault::storage("look at", own.slot.folder(), &error))?;
        if over {
            return Ok(Some(()));
        }
        self.kill(own, shims).map(|()| None)
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
        let deadline = self.deadline();
        let own = self.own(caller, reference).await?;
        let slot = own.slot.clone();
        if self.blocking(move |_| Ok(slot.is_claimed())).await? {
            return self.outcome(own, Told::Nothing, deadline).await;
        }
        let workload = own.reference.workload;
        let packet_socket = self
            .blocking(move |inner| inner.packet_socket(workload))
            .await?;
        let values = self.secrets(&own, deadline).await?;
        let order = Order {
            env: environment::whole(&own.request, &values)?,
            limits: match own.request.request.limits.log {
                Some(limit) => LogLimits::within(limit),
                None => self.inner.log,
            },
            packets: self.inner.packets,
            packet_socket,
        };
        drop(values);
        let (shim, left) = (&self.inner.shim, self.left(deadline));
        match start::run_shim(shim, &own.slot, order, &self.inner.clock, left).await? {
            Some(Answer::Started) => self.outcome(own, Told::Executed, deadline).await,
            Some(Answer::Claimed) => self.outcome(own, Told::Nothing, deadline).await,
            Some(Answer::Failed { error }) => Err(error),
            None => Err(start_slow()),
        }
    }

    async fn signal(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
        signal: &str,
    ) -> Result<(), Error> {
        let signal = signals::by_name(signal)?;
        let own = self.own(caller, reference).await?;
        let op = op.clone();
        self.blocking(move |inner| {
            let sent = Sent::of(&op, own.reference, signal);
            let deliver = || end::signal(&own.slot, signal);
            let delivered = match sent {
                Some(sent) => inner.signalled.once(&sent, deliver),
                None => deliver().map(drop),
            };
            delivered
                .map_err(|error| fault::storage("signal the process of", own.slot.folder(), &error))
        })
        .await
    }

    async fn send(
        &self,
        caller: &Caller,
        op: &Op,
        reference: &str,
        bytes: Bytes,
    ) -> Result<(), Error> {
        let own = self.own(caller, reference).await?;
        send::send(own, op, bytes, &self.inner.clock, PATIENCE).await
    }

    async fn kill(&self, caller: &Caller, _op: &Op, reference: &str) -> Result<(), Error> {
        match self.own(caller, reference).await {
            Err(error) if error.kind == ErrorKind::NotFound => {
                let parsed: Reference = reference.parse()?;
                self.blocking(move |inner| inner.end_strays(parsed)).await?;
                Err(error)
            }
            own => {
                let own = own?;
                self.blocking(move |inner| inner.kill(&own, Shims::Spared))
                    .await
            }
        }
    }

    async fn inspect(&self, caller: &Caller, reference: &str) -> Result<ProcessStatus, Error> {
        let own = self.own(caller, reference).await?;
        self.blocking(move |_| own.status()).await
    }

    async fn remove(&self, caller: &Caller, _op: &Op, reference: &str) -> Result<(), Error> {
        let deadline = self.deadline();
        let parsed: Reference = reference.parse()?;
        let slot = Slot::of(&self.inner.workspaces, parsed);
        let is_recorded = move |_: &Inner| {
            slot.request()
                .map(|request| request.is_some())
                .map_err(|error| fault::storage("read", slot.folder(), &error))
        };
        if !self.blocking(is_recorded).await? {
            let strays = move |inner: &Inner| Ok(inner.end_strays(parsed)?.then_some(()));
            let ended = self.poll(deadline, strays).await?;
            return ended.ok_or_else(|| does_not_end(reference));
        }
        let own = self.own(caller, reference).await?;
        let killed = own.clone();
        self.blocking(move |inner| inner.kill(&killed, Shims::Spared))
            .await?;
        let watched = own.clone();
        let begun_ms = self.inner.clock.boot_ms();
        if self
            .poll(deadline, move |inner| {
                inner.is_ended(&watched, inner.patience_with_shims(begun_ms))
            })
            .await?
            .is_none()
        {
            return Err(does_not_end(reference));
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
        if let Open::Exec { exec, after } = &what {
            return self.open_beside(caller, reference, exec, *after).await;
        }
        let own = self.own(caller, reference).await?;
        let output = match what {
            Open::Output(options) => {
                let logs = self.inner.workspaces.logs(own.reference.workload);
                follow::open(logs, options, self.inner.clock.clone()).await?
            }
            Open::End | Open::Exec { .. } => {
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

    async fn launcher_of(&self, caller: &Caller, reference: &str) -> Result<Name, Error> {
        let own = self.own(caller, reference).await?;
        Ok(own.request.request.launcher)
    }

    async fn exec(
        &self,
        caller: &Caller,
        launcher: &Launcher,
        op: &Op,
        reference: &str,
        request: ExecRequest,
    ) -> Result<String, Error> {
        self.start_beside(caller, launcher, op, reference, request)
            .await
    }

    async fn inspect_exec(&self, caller: &Caller, exec: &str) -> Result<ExecState, Error> {
        self.look_beside(caller, exec).await
    }

    async fn resize_exec(
        &self,
        caller: &Caller,
        exec: &str,
        size: TerminalSize,
    ) -> Result<(), Error> {
        self.resize_beside(caller, exec, size).await
    }

    async fn signal_exec(
        &self,
        caller: &Caller,
        op: &Op,
        exec: &str,
        signal: &str,
    ) -> Result<(), Error> {
        self.signal_beside(caller, op, exec, signal).await
    }

    async fn remove_exec(&self, caller: &Caller, _op: &Op, exec: &str) -> Result<(), Error> {
        self.remove_beside(caller, exec).await
    }

    async fn usage(&self, caller: &Caller, reference: &str) -> Result<stats::Usage, Error> {
        let own = self.own(caller, reference).await?;
        self.blocking(move |_| usage::of(&own)).await
    }
}
