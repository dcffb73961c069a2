//! A component called with nothing around it: no grants, no limits, no WASI, no conversion of what
//! comes back. Imports that the measured calls do not use trap.

use fleet_seam::{Clock as _, SystemClock};
use wasmtime::component::{Component, InstancePre, Linker, ResourceType};
use wasmtime::{Engine, Store};

use crate::Result;
use crate::floor::engine;

pub(crate) use bindings::exports::fleet::backend::driver::{Creation, Observation, Workload};
pub(crate) use bindings::fleet::common::types::{Error, Handle, Op};

use bindings::exports::fleet::backend::driver::{Guest, GuestIndices, Limits};

mod bindings {
    wasmtime::component::bindgen!({
        path: ["../../wit/common/0.1.0", "../../wit/host/0.1.0", "../../wit/backend/0.1.0"],
        inline: "
            package fleet:bench;

            world bare {
                export fleet:backend/driver@0.1.0;
            }
        ",
        world: "fleet:bench/bare",
        exports: { default: async },
    });
}

/// What the one import does that is served.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Clock {
    /// Nothing: the time is always the same.
    Standing,
    /// Reads the machine's clock.
    Running,
}

/// A linked component.
pub(crate) struct Bare {
    engine: Engine,
    pre: InstancePre<()>,
    driver: GuestIndices,
}

impl Bare {
    /// Compiles and links.
    ///
    /// # Errors
    /// When it is no backend.
    pub(crate) fn new(component: &[u8], clock: Clock) -> Result<Self> {
        let engine = engine::pooling()?;
        let component = Component::new(&engine, component)?;
        let mut linker = Linker::new(&engine);
        linker
            .instance("fleet:host/clock@0.1.0")?
            .func_wrap("now", move |_, (): ()| {
                let now_ms = match clock {
                    Clock::Standing => NOW_MS,
                    Clock::Running => SystemClock.unix_ms(),
                };
                Ok((Ok::<u64, Error>(now_ms),))
            })?;
        // Never made here; the types of exports and imports name it.
        for interface in ["fleet:host/sources@0.1.0", "fleet:host/lines@0.1.0"] {
            linker.instance(interface)?.resource(
                "source",
                ResourceType::host::<bindings::fleet::host::sources::Source>(),
                |_, _| Ok(()),
            )?;
        }
        linker.define_unknown_imports_as_traps(&component)?;
        let pre = linker.instantiate_pre(&component)?;
        let driver = GuestIndices::new(&pre)?;
        Ok(Self {
            engine,
            pre,
            driver,
        })
    }

    async fn instance(&self) -> Result<(Store<()>, Guest)> {
        let mut store = Store::new(&self.engine, ());
        store.set_epoch_deadline(1 << 40);
        let instance = self.pre.instantiate_async(&mut store).await?;
        let guest = self.driver.load(&mut store, &instance)?;
        Ok((store, guest))
    }

    /// A fresh instance, one call of `inspect`.
    pub(crate) async fn inspect(&self, handle: &Handle) -> Result<Observation> {
        let (mut store, guest) = self.instance().await?;
        told(guest.call_inspect(&mut store, handle).await?)
    }

    /// A fresh instance, one call of `create`.
    pub(crate) async fn create(&self, op: &Op, workload: &Workload) -> Result<Creation> {
        let (mut store, guest) = self.instance().await?;
        told(guest.call_create(&mut store, op, workload).await?)
    }
}

/// What a clock that stands says: any time will do.
const NOW_MS: u64 = 1_800_000_000_000;

fn told<T>(answer: std::result::Result<T, Error>) -> Result<T> {
    answer.map_err(|error| format!("{}: {}", error.code, error.message).into())
}

/// An op, in the contract's words.
pub(crate) fn op(op: &fleet_model::Op) -> Op {
    Op {
        id: op.to_string(),
        item: op.item.to_string(),
        generation: op.generation.0,
        attempt: op.attempt.0,
        verb: op.verb.as_str().to_owned(),
        call: op.call.clone(),
    }
}

/// A workload without ports and limits, in the contract's words.
pub(crate) fn workload(workload: &fleet_model::driver::Workload) -> Workload {
    Workload {
        id: workload.id.to_string(),
        name: workload.name.to_string(),
        node: workload.node.to_string(),
        command: workload.command.clone(),
        env: workload.env.clone().into_iter().collect(),
        ports: Vec::new(),
        labels: workload.labels.clone().into_iter().collect(),
        config: workload.config.to_string(),
        limits: Limits {
            cpu_millis: None,
            memory_bytes: None,
            processes: None,
            attributes: Vec::new(),
        },
        attributes: Vec::new(),
    }
}
