//! The one wasmtime engine of a host: what code is compiled for, how much may run at one time, and
//! the beat on which a guest's processor time is counted.
//!
//! [`shape`] alone decides what compiled code looks like, with and without a compiler in the build,
//! so that either finds the same cache entries. The host's own engine never compiles: that is done
//! by a child with limits of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::manifest::MAX_MEMORY_BYTES;

/// How long one tick is.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How many instances may live at one time, best first: a machine that refuses the address space
/// of the larger pool gets the smaller.
const POOLS: [u32; 2] = [1_000, 100];

/// Raised by hand whenever [`shape`] changes: it is part of the key of compiled code.
pub(crate) const CONFIG_VERSION: u32 = 1;

/// An engine and its beat. Dropping the last clone ends the beat.
#[derive(Clone)]
pub(crate) struct HostEngine {
    engine: Engine,
    beat: Arc<Beat>,
}

struct Beat {
    ticks: Arc<AtomicU64>,
    /// Never sent to; its end is what the thread waits for.
    _alive: SyncSender<()>,
}

impl HostEngine {
    /// An engine with a pool of instances, or without one where the machine allows none.
    pub(crate) fn new() -> wasmtime::Result<Self> {
        let engine = POOLS
            .into_iter()
            .find_map(|size| {
                let mut config = host_config();
                config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(size)));
                Engine::new(&config)
                    .inspect_err(|error| tracing::info!(size, "no pool of instances: {error:#}"))
                    .ok()
            })
            .map_or_else(|| Engine::new(&host_config()), Ok)?;
        let ticks = Arc::new(AtomicU64::new(0));
        let (alive, ended) = sync_channel(0);
        std::thread::Builder::new()
            .name("plugin-epoch".to_owned())
            .spawn({
                let (engine, ticks) = (engine.weak(), ticks.clone());
                move || {
                    while let Err(RecvTimeoutError::Timeout) = ended.recv_timeout(TICK) {
                        let Some(engine) = engine.upgrade() else {
                            return;
                        };
                        ticks.fetch_add(1, Ordering::Relaxed);
                        engine.increment_epoch();
                    }
                }
            })?;
        Ok(Self {
            engine,
            beat: Arc::new(Beat {
                ticks,
                _alive: alive,
            }),
        })
    }

    /// The engine itself.
    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How often it has ticked.
    pub(crate) fn ticks(&self) -> Arc<AtomicU64> {
        self.beat.ticks.clone()
    }
}

/// All that shapes compiled code. A change here raises [`CONFIG_VERSION`].
fn shape() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        // Set, because the default depends on the environment.
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        // Guards this wide spare every bounds check of a 32-bit memory.
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .memory_init_cow(true);
    config
}

fn host_config() -> Config {
    let mut config = shape();
    #[cfg(feature = "compiler")]
    config.enable_compiler(false);
    config.max_wasm_stack(1 << 20).async_stack_size(2 << 20);
    config
}

/// The engine of the compiling child: the same code, no pool.
#[cfg(feature = "compiler")]
pub(crate) fn compiling_engine() -> wasmtime::Result<Engine> {
    Engine::new(&shape())
}

/// A pool for so many instances. Only address space is reserved: 4 GiB for each memory.
fn pool(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    // A component in Rust has about 4 core instances, one from Python about 30.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(32))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(4))
        .total_stacks(instances)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_core_instances_per_component(128)
        .max_memories_per_component(8)
        .max_tables_per_component(64)
        .max_memories_per_module(8)
        .max_tables_per_module(16)
        .max_memory_size(MAX_MEMORY_BYTES)
        .table_elements(20_000);
    pool
}
