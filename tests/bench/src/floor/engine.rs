//! An engine that compiles and allocates as the host's does (`host/plugin/src/engine.rs`), without
//! its beat: nothing here is ever interrupted.

use wasmtime::{Config, Engine};

/// All that shapes compiled code.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .wasm_backtrace_details(wasmtime::WasmBacktraceDetails::Disable)
        .memory_reservation(4 << 30)
        .memory_guard_size(32 << 20)
        .memory_init_cow(true)
        .max_wasm_stack(1 << 20)
        .async_stack_size(2 << 20);
    config
}

/// An engine with a pool for a hundred instances.
#[allow(dead_code, reason = "the floor of a start needs no pool")]
pub(crate) fn pooling() -> wasmtime::Result<Engine> {
    let mut pool = wasmtime::PoolingAllocationConfig::default();
    pool.total_component_instances(100)
        .total_core_instances(3_200)
        .total_memories(100)
        .total_tables(400)
        .total_stacks(100)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_memory_size(1 << 30)
        .table_elements(20_000);
    let mut config = config();
    config.allocation_strategy(wasmtime::InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}
