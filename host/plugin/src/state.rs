//! What belongs to one call: the store's data. Made for it, dropped with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use fleet_capability::{Processes, Source};
use fleet_model::{Error, Name, Op};
use fleet_seam::Clock;
use wasmtime::component::{Resource, ResourceTable};
use wasmtime_wasi::{WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

use crate::convert::bad_answer;
use crate::limits::{Cpu, Memory};
use crate::manifest::Limits;
use crate::output::{Channel, Output};
use crate::permission::{Need, Permissions};

/// How many host resources one call may hold.
const MAX_RESOURCES: usize = 1_024;

/// What the host's imports are made of.
pub(crate) struct Services {
    /// Programs; absent where nothing is ever granted.
    pub(crate) processes: Option<Arc<dyn Processes>>,
    /// Time.
    pub(crate) clock: Arc<dyn Clock>,
    /// How often a call was refused, by plugin and capability.
    pub(crate) refusals: Mutex<BTreeMap<(Name, String), u64>>,
}

/// On whose behalf a call is made, and what that one may do. Shared by all calls of a plugin
/// generation; `describe` gets one with no permissions.
pub(crate) struct Scope {
    pub(crate) plugin: Name,
    pub(crate) permissions: Permissions,
    /// The `config` import's answer, as JSON.
    pub(crate) settings: Arc<str>,
    pub(crate) services: Arc<Services>,
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
    /// What was refused in this call, so that one audit line is written for each, not a thousand.
    refused: BTreeSet<Need>,
}

impl CallState {
    pub(crate) fn new(
        scope: Arc<Scope>,
        limits: &Limits,
        op: Option<Op>,
        ticks: Arc<AtomicU64>,
    ) -> Self {
        let output = Output::new(&scope.plugin);
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
            cpu: Cpu::new(limits.cpu_ms, ticks),
            output,
            scope,
            op,
            refused: BTreeSet::new(),
        }
    }

    /// Whether this call may do something. A refusal is counted, and audited once per call.
    pub(crate) fn allow(&mut self, need: Need) -> Result<(), Error> {
        self.scope.permissions.check(&need).inspect_err(|error| {
            let plugin = &self.scope.plugin;
            let mut refusals = self.scope.services.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            *refusals.entry((plugin.clone(), need.to_string())).or_default() += 1;
            drop(refusals);
            if self.refused.insert(need.clone()) {
                let op = self.op.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::info!(target: "audit", %plugin, capability = %need, %op, verdict = %error.code, "refused");
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
    pub(crate) fn op(&self, id: &str) -> Result<Op, Error> {
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
mod tests {
    use fleet_model::{Attempt, ErrorKind, Generation, ItemKey, Verb, WorkloadId};
    use fleet_seam::SimClock;

    use super::*;

    fn state(op: Option<Op>) -> CallState {
        let plugin: Name = "native".parse().unwrap();
        let services = Services {
            processes: None,
            clock: Arc::new(SimClock::new(0)),
            refusals: Mutex::default(),
        };
        let scope = Scope {
            permissions: Permissions::none(&plugin),
            plugin,
            settings: "{}".into(),
            services: Arc::new(services),
        };
        CallState::new(Arc::new(scope), &Limits::default(), op, Arc::default())
    }

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
        let with = state(Some(mine.clone()));
        assert_eq!(with.op(&mine.to_string()).unwrap(), mine);
        for (state, id) in [(&with, &other), (&state(None), &mine)] {
            let error = state.op(&id.to_string()).unwrap_err();
            assert_eq!(
                (error.kind, error.code.as_str()),
                (ErrorKind::Denied, "foreign-op")
            );
        }
    }

    #[test]
    fn refusals_are_counted_each_time() {
        let mut state = state(None);
        for _ in 0..3 {
            assert!(state.allow(Need::Clock).is_err());
        }
        let refusals = state.scope.services.refusals.lock().unwrap();
        assert_eq!(refusals.values().copied().collect::<Vec<_>>(), [3]);
    }
}
