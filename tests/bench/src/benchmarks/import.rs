//! P3: a guest's call of the host, with its grant checked and counted, against the same call of a
//! function that does nothing.
//!
//! One export of a component made for this (`guest/`) calls `fleet:host/clock.now` n times. What n more calls
//! take beyond n is the calls alone, without the instance around them.

use fleet_model::driver::Handle;

use super::Bench;
use crate::Result;
use crate::finding::{Finding, Goal, Role, Unit};
use crate::floor::bare::{self, Bare, Clock};
use crate::rounds::{Contestant, interleave};
use crate::stopwatch::now;
use crate::subject::plugins::Plugin;
use crate::subject::workload::item;

/// What the component asks for.
const MANIFEST: &str = include_str!("../../guest/caller.toml");

/// Imports in the shorter call; the longer one makes twice as many.
const CALLS: u32 = 20_000;
/// Pairs of calls in one turn.
const PAIRS: u32 = 40;

pub(super) fn run(bench: &Bench) -> Result<Vec<Finding>> {
    let component = std::fs::read(&bench.options.guest)?;
    let ours = Plugin::open(bench, "caller", &component, MANIFEST)?;
    let floor = Bare::new(&component, Clock::Standing)?;
    let reads = Bare::new(&component, Clock::Running)?;
    let item = item();
    let our_call = |calls| {
        let handle = Handle {
            schema: calls,
            opaque: Vec::new(),
        };
        bench
            .runtime
            .block_on(ours.driver.inspect(&item, &handle))
            .map(drop)?;
        Ok(())
    };
    let bare_call = |bare: &Bare, calls| {
        let handle = bare::Handle {
            schema: calls,
            opaque: Vec::new(),
        };
        bench.runtime.block_on(bare.inspect(&handle)).map(drop)
    };
    let turns = vec![
        Contestant::new(Role::Ours, "fleet-host", || Ok([per_import(our_call)?])),
        Contestant::new(Role::Floor, "a function that does nothing", || {
            Ok([per_import(|calls| bare_call(&floor, calls))?])
        }),
        Contestant::new(Role::Context, "a function that reads the clock", || {
            Ok([per_import(|calls| bare_call(&reads, calls))?])
        }),
    ];
    let [series] = interleave(bench.options.rounds(), turns)?;
    Ok(vec![Finding {
        id: "P3".into(),
        work: "guest to host (`fleet:host/clock.now`), grant checked and counted".into(),
        unit: Unit::Seconds,
        series,
        missing: Vec::new(),
        goals: vec![Goal::TimesFloor { at_most: 1.5 }],
        notes: vec![
            "by difference: a call that imports 40,000 times less one that imports 20,000 times. Both answer `result<u64, error>`; ours reads the clock besides.".into(),
        ],
    }])
}

/// Seconds of one import. Of each length the quickest call counts: whatever disturbs a call only
/// adds to it.
fn per_import(call: impl Fn(u32) -> Result<()>) -> Result<f64> {
    let mut least = [f64::MAX, f64::MAX];
    for _ in 0..PAIRS {
        for (times, least) in [1, 2].into_iter().zip(&mut least) {
            let began = now();
            call(CALLS * times)?;
            *least = least.min(began.elapsed().as_secs_f64());
        }
    }
    let [shorter, longer] = least;
    Ok((longer - shorter) / f64::from(CALLS))
}
