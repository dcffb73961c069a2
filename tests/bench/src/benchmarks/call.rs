//! P1: one backend call as the product makes it, against a bare instantiation and call of the same
//! component, and against gRPC.

use fleet_model::driver::RunState;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Unit};
use crate::floor::bare::{self, Bare, Clock};
use crate::peers::grpc::{self, GrpcDriver, Threads};
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::per_async_call;
use crate::subject::plugins::{Plugin, shipped};
use crate::subject::workload::{item, started};

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let ours = Plugin::shipped(bench, "mock")?;
    let floor = Bare::new(&shipped(bench, "mock")?.0, Clock::Standing)?;
    let item = item();
    let handle = bench.runtime.block_on(started(&*ours.driver))?;
    let bare_handle = bare::Handle {
        schema: handle.schema,
        opaque: handle.opaque.clone(),
    };
    let seen = bench
        .runtime
        .block_on(ours.driver.inspect(&item, &handle))?;
    if seen.state != RunState::Running {
        return Err(format!("a started workload is {seen:?}").into());
    }
    let mut turns = vec![
        Contestant::new(Role::Ours, "fleet-host", || {
            let call = || async { Ok(ours.driver.inspect(&item, &handle).await.map(drop)?) };
            Ok([bench
                .runtime
                .block_on(per_async_call(bench.window(), call))?])
        }),
        Contestant::new(Role::Floor, "bare wasmtime", || {
            let call = || async { floor.inspect(&bare_handle).await.map(drop) };
            Ok([bench
                .runtime
                .block_on(per_async_call(bench.window(), call))?])
        }),
    ];
    let mut missing = Vec::new();
    match bench.peers.grpc() {
        Ok(program) => {
            let handle = &handle;
            for (role, name, threads) in [
                (Role::Peer, grpc::NAME, Threads::Many),
                (Role::Context, grpc::ONE_THREAD, Threads::One),
            ] {
                let mut peer = GrpcDriver::start(bench, program, threads)?;
                turns.push(Contestant::new(role, name, move || {
                    Ok([peer.inspect(handle)?])
                }));
            }
        }
        Err(peer) => missing.push(peer),
    }
    let [series] = interleave(bench.options.rounds(), turns)?;
    Ok(vec![Finding {
        id: "P1".into(),
        work: "one backend call (`mock.inspect`): fresh instance, grants, limits, audit".into(),
        unit: Unit::Seconds,
        series,
        missing,
        goals: vec![
            Goal::TimesFloor { at_most: 2.0 },
            Goal::PeersTake {
                peer: None,
                at_least: 15.0,
            },
        ],
        notes: vec![
            "the floor instantiates the same component from an `InstancePre` and calls the same export on an engine with the same pool and epochs: no grants, no limits, no WASI, no conversion of the answer.".into(),
            "the gRPC peer is a native server in a process of its own (tonic, one channel, one call at a time) that does with the handle what the component does. Both sides have the threads of a host; with one thread on each side, which no host has, it is quicker.".into(),
        ],
    }])
}
