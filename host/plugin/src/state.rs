//! What belongs to one call: the store's data. Made for it, dropped with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use fleet_capability::endpoint::{Endpoints, Target};
use fleet_capability::{Processes, Redactor, Source};
use fleet_model::{Error, Name, Op};
use fleet_seam::Clock;
use tokio::sync::Semaphore;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::convert::{Intake, bad_answer};
use crate::imports::MAX_BYTES_PER_CALL;
use crate::limits::{Cpu, Memory};
use crate::manifest::Limits;
use crate::output::{Channel, Output};
use crate::permission::{Need, Permissions};
use crate::sent::Sent;
use crate::terms::Terms;
use crate::turn::Turns;

/// How many host resources one call may hold.
const MAX_RESOURCES: usize = 1_024;
/// How many refusals of one call are written down, each once.
const MAX_AUDITED: usize = 16;
/// How much of the host's work for one plugin may be under way: as much as calls of one plugin may,
/// and as much again that calls which are over have left behind.
pub(crate) const MAX_HOST_WORK: usize = 256;

/// What the host's imports are made of.
pub(crate) struct Services {
    /// Programs; absent where nothing is ever granted.
    pub(crate) processes: Option<Arc<dyn Processes>>,
    /// HTTP services; absent where none is ever granted.
    pub(crate) endpoints: Option<Endpoints>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// Knows the values that no text of a guest may carry.
    pub(crate) redactor: Redactor,
    /// How often a call was refused, by plugin and capability.
    pub(crate) refusals: Mutex<BTreeMap<(Name, String), u64>>,
}

/// On whose behalf a call is made, and what that one may do. Shared by all calls of a plugin
/// generation; `describe` gets one with no permissions.
pub(crate) struct Scope {
    pub(crate) plugin: Name,
    pub(crate) permissions: Permissions,
    /// The endpoints it may use.
    pub(crate) targets: BTreeMap<Name, Arc<Target>>,
    /// The `config` import's answer, as JSON.
    pub(crate) settings: Arc<str>,
    pub(crate) services: Arc<Services>,
    /// A place for each thing the host does for it.
    pub(crate) host_work: Arc<Semaphore>,
    access: Access,
    /// The handle schema it is to write, where that is not for it to say.
    write_schema: Arc<Mutex<Option<u32>>>,
}

/// Whether calls may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// As far as they are permitted.
    Full,
    /// Not at all, whatever they are permitted.
    ReadOnly,
}

impl Scope {
    pub(crate) fn new(
        plugin: &Name,
        permissions: Permissions,
        targets: BTreeMap<Name, Arc<Target>>,
        settings: &str,
        services: Arc<Services>,
    ) -> Self {
        Self {
            plugin: plugin.clone(),
            permissions,
            targets,
            settings: settings.into(),
            services,
            host_work: Arc::new(Semaphore::new(MAX_HOST_WORK)),
            access: Access::Full,
            write_schema: Arc::default(),
        }
    }

    /// The same for calls that may only look: those of code that does not serve yet.
    pub(crate) fn read_only(&self) -> Arc<Self> {
        Arc::new(Self {
            plugin: self.plugin.clone(),
            permissions: self.permissions.clone(),
            targets: self.targets.clone(),
            settings: self.settings.clone(),
            services: self.services.clone(),
            host_work: self.host_work.clone(),
            access: Access::ReadOnly,
            write_schema: self.write_schema.clone(),
        })
    }

    /// The handle schema it is to write; its own where there is none.
    pub(crate) fn write_schema(&self) -> Option<u32> {
        *self
            .write_schema
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is to write this handle schema, or its own.
    pub(crate) fn set_write_schema(&self, schema: Option<u32>) {
        *self
            .write_schema
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = schema;
    }

    /// Whether the plugin may do something. A refusal is counted.
    fn check(&self, need: &Need) -> Result<(), Error> {
        self.permissions.check(need).inspect_err(|_| {
            let counted = (self.plugin.clone(), self.permissions.counted_as(need));
            let refusals = self.services.refusals.lock();
            *refusals
                .unwrap_or_else(PoisonError::into_inner)
                .entry(counted)
                .or_default() += 1;
        })
    }

    /// Whether a secret may be put into what is made under an op. A refusal is counted and audited.
    pub(crate) fn check_secret(&self, op: &Op, name: &Name) -> Result<(), Error> {
        let need = Need::Secret(name.clone());
        self.check(&need)
            .inspect_err(|error| self.audit(&need, Some(op), error))
    }

    fn audit(&self, need: &Need, op: Option<&Op>, error: &Error) {
        let plugin = &self.plugin;
        let need = need.to_string();
        let need = self.services.redactor.text(&need);
        let op = op.map(ToString::to_string).unwrap_or_default();
        tracing::info!(target: "audit", %plugin, capability = %need, %op, verdict = %error.code, "refused");
    }

    /// What a text of the guest goes through.
    pub(crate) fn intake(&self) -> Intake<'_> {
        Intake(&self.services.redactor)
    }
}

/// The data of one call.
pub(crate) struct CallState {
    wasi: WasiCtx,
    pub(crate) table: ResourceTable,
    pub(crate) memory: Memory,
    pub(crate) cpu: Cpu,
    pub(crate) output: Output,
    pub(crate) scope: Arc<Scope>,
    /// The op this call was given, if any: an import that changes something takes no other.
    pub(crate) op: Option<Op>,
    /// The terms of the workload this call makes, if it makes one.
    pub(crate) terms: Option<Terms>,
    /// How many bytes of lines this call may still bring.
    pub(crate) lines_left: usize,
    /// What the host is doing for this call.
    pub(crate) sent: Sent,
    /// What was refused in this call, so that one audit line is written for each, not a thousand.
    refused: BTreeSet<Need>,
}

impl CallState {
    pub(crate) fn new(
        scope: Arc<Scope>,
        limits: &Limits,
        ticks: Arc<AtomicU64>,
        turns: Arc<Turns>,
    ) -> Self {
        let output = Output::new(&scope.plugin, &scope.services.redactor);
        let mut wasi = WasiCtxBuilder::new();
        wasi.stdout(output.stream(Channel::Stdout))
            .stderr(output.stream(Channel::Stderr))
            .allow_tcp(false)
            .allow_udp(false)
            .allow_ip_name_lookup(false);
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_RESOURCES);
        Self {
            wasi: wasi.build(),
            table,
            memory: Memory::new(limits.memory_bytes),
            cpu: Cpu::new(limits.cpu_ms, ticks, turns),
            output,
            scope,
            op: None,
            terms: None,
            lines_left: MAX_BYTES_PER_CALL,
            sent: Sent::default(),
            refused: BTreeSet::new(),
        }
    }

    /// Whether this call may do something. A refusal is counted, and audited once per call.
    pub(crate) fn allow(&mut self, need: Need) -> Result<(), Error> {
        self.scope.check(&need).inspect_err(|error| {
            if self.refused.len() < MAX_AUDITED && self.refused.insert(need.clone()) {
                self.scope.audit(&need, self.op.as_ref(), error);
                if self.refused.len() == MAX_AUDITED {
                    let plugin = &self.scope.plugin;
                    let op = self.op.as_ref().map(ToString::to_string);
                    let op = op.unwrap_or_default();
                    tracing::info!(target: "audit", %plugin, %op, "more refusals of this call are counted and not written");
                }
            }
        })
    }

    /// Takes a source that the guest has returned.
    ///
    /// # Errors
    /// `internal` (`bad-answer`) when it holds no such source.
    pub(crate) fn take(&mut self, source: Resource<Source>) -> Result<Source, Error> {
        self.table
            .delete(source)
            .map_err(|error| bad_answer(format!("a source it returned is none: {error}")))
    }

    /// The op of this call, if that is the one the guest names.
    ///
    /// # Errors
    /// `denied` (`foreign-op`): an effect is done under the op it was asked for, or not at all.
    /// `denied` (`read-only`): none is done.
    pub(crate) fn op(&self, id: &str) -> Result<Op, Error> {
        if self.scope.access == Access::ReadOnly {
            return Err(Error::denied(
                "read-only",
                "this call may only look: its code does not serve yet",
            ));
        }
        match &self.op {
            Some(op) if op.to_string() == id => Ok(op.clone()),
            Some(op) => Err(Error::denied(
                "foreign-op",
                format!("this call was given the op `{op}`: pass on that one and no other"),
            )),
            None => Err(Error::denied(
                "foreign-op",
                "this call was given no op, so it may not change anything",
            )),
        }
    }
}

impl WasiView for CallState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

#[cfg(test)]
impl CallState {
    /// A call that may do nothing, on a clock that stands still.
    pub(crate) fn bare(op: Option<Op>) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(fleet_seam::SimClock::new(0));
        let plugin: Name = "native".parse().unwrap();
        let services = Services {
            processes: None,
            endpoints: None,
            clock: clock.clone(),
            redactor: Redactor::default(),
            refusals: Mutex::default(),
        };
        let permissions = Permissions::none(&plugin);
        let scope = Scope::new(
            &plugin,
            permissions,
            BTreeMap::new(),
            "{}",
            Arc::new(services),
        );
        let turns = Arc::new(Turns::new(clock));
        Self {
            op,
            ..Self::new(Arc::new(scope), &Limits::default(), Arc::default(), turns)
        }
    }
}

#[cfg(test)]
mod tests {
    use fleet_model::{Attempt, ErrorKind, Generation, ItemKey, Verb, WorkloadId};

    use super::*;

    #[test]
    fn an_effect_is_done_under_the_op_of_its_call_or_not_at_all() {
        let op = |verb| Op {
            item: ItemKey::workload(WorkloadId::new(1, 2)),
            generation: Generation(3),
            attempt: Attempt(1),
            verb,
            call: String::new(),
        };
        let (mine, other) = (op(Verb::Start), op(Verb::Kill));
        let with = CallState::bare(Some(mine.clone()));
        assert_eq!(with.op(&mine.to_string()).unwrap(), mine);
        for (state, id) in [(&with, &other), (&CallState::bare(None), &mine)] {
            let error = state.op(&id.to_string()).unwrap_err();
            assert_eq!(
                (error.kind, error.code.as_str()),
                (ErrorKind::Denied, "foreign-op")
            );
        }
    }

    #[test]
    fn a_call_that_may_only_look_has_no_effect_under_any_op() {
        let op = Op {
            item: ItemKey::workload(WorkloadId::new(1, 2)),
            generation: Generation(3),
            attempt: Attempt(1),
            verb: Verb::Start,
            call: String::new(),
        };
        let mut state = CallState::bare(Some(op.clone()));
        state.op(&op.to_string()).unwrap();
        state.scope.set_write_schema(Some(7));
        state.scope = state.scope.read_only();
        let error = state.op(&op.to_string()).unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Denied, "read-only")
        );
        assert_eq!(state.scope.write_schema(), Some(7));
    }

    #[test]
    fn refusals_are_counted_each_time() {
        let mut state = CallState::bare(None);
        for _ in 0..3 {
            assert!(state.allow(Need::Clock).is_err());
        }
        let refusals = state.scope.services.refusals.lock().unwrap();
        assert_eq!(refusals.values().copied().collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn names_that_a_guest_makes_up_fill_neither_the_counters_nor_the_audit() {
        let mut state = CallState::bare(None);
        for number in 0..1_000 {
            let made_up = format!("x{number}").parse().unwrap();
            assert!(state.allow(Need::Launcher(made_up)).is_err());
        }
        assert_eq!(state.refused.len(), MAX_AUDITED);
        let refusals = state.scope.services.refusals.lock().unwrap();
        let (name, count) = refusals.iter().next().unwrap();
        assert_eq!((name.1.as_str(), *count), ("process.launcher *", 1_000));
        assert_eq!(refusals.len(), 1);
    }
}
