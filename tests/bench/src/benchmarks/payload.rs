//! P2: the same with a spec of 1 KiB in and a status of 1 KiB out. Of the shipped backend's calls
//! `create` is the one of that shape: the workload's `[config]` goes in, and comes back in the
//! handle.

use fleet_model::Verb;
use fleet_model::driver::Creation;
use serde_json::json;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Unit};
use crate::floor::bare::{self, Bare, Clock};
use crate::peers::grpc::{self, GrpcDriver, Threads};
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::per_async_call;
use crate::subject::plugins::{Plugin, shipped};
use crate::subject::workload::{config_of, op, started, workload};

const BYTES: usize = 1_024;
const CALL: &str = "P1 (`inspect`)";

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let ours = Plugin::shipped(bench, "mock")?;
    let floor = Bare::new(&shipped(bench, "mock")?.0, Clock::Standing)?;
    let op = op(Verb::Create);
    let (large, small) = (workload(config_of(BYTES))?, workload(json!({}))?);
    let handle = bench.runtime.block_on(started(&*ours.driver))?;
    let bare_op = bare::op(&op);
    let bare_large = bare::workload(&large);

    let creation = bench.runtime.block_on(ours.driver.create(&op, &large))?;
    match creation {
        Creation::Ready { handle, .. } if handle.opaque.len() >= BYTES => {}
        other => return Err(format!("the answer does not hold what was sent: {other:?}").into()),
    }
    let create = |workload| {
        let (ours, op) = (&ours, &op);
        let call = move || async move { Ok(ours.driver.create(op, workload).await.map(drop)?) };
        Ok([bench
            .runtime
            .block_on(per_async_call(bench.window(), call))?])
    };
    let mut turns = vec![
        Contestant::new(Role::Ours, "fleet-host", || create(&large)),
        Contestant::new(Role::Floor, "bare wasmtime", || {
            let call = || async { floor.create(&bare_op, &bare_large).await.map(drop) };
            Ok([bench
                .runtime
                .block_on(per_async_call(bench.window(), call))?])
        }),
        Contestant::new(Role::Context, CALL, || {
            let call = || async { Ok(ours.driver.inspect(&op.item, &handle).await.map(drop)?) };
            Ok([bench
                .runtime
                .block_on(per_async_call(bench.window(), call))?])
        }),
        Contestant::new(Role::Context, "`create` with an empty `[config]`", || {
            create(&small)
        }),
    ];
    let mut missing = Vec::new();
    match bench.peers.grpc() {
        Ok(program) => {
            let (op, large) = (&op, &large);
            for (role, name, threads) in [
                (Role::Peer, grpc::NAME, Threads::Many),
                (Role::Context, grpc::ONE_THREAD, Threads::One),
            ] {
                let mut peer = GrpcDriver::start(bench, program, threads)?;
                turns.push(Contestant::new(role, name, move || {
                    Ok([peer.create(op, large)?])
                }));
            }
        }
        Err(peer) => missing.push(peer),
    }
    let [series] = interleave(bench.options.rounds(), turns)?;
    Ok(vec![Finding {
        id: "P2".into(),
        work: "a backend call with a spec of 1 KiB in and 1 KiB of status out (`mock.create`)".into(),
        unit: Unit::Seconds,
        series,
        missing,
        goals: vec![Goal::TimesSeries {
            series: CALL.into(),
            at_most: 1.5,
        }],
        notes: vec![
            "in all three the spec is JSON that is parsed, and written again into the answer; in the component that is done by code compiled for size.".into(),
        ],
    }])
}
