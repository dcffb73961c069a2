//! The host ends at every moment of a swap in turn. Afterwards one generation serves, the one that is
//! written down, and every handle is known.

use std::sync::Arc;

use fleet_model::Verb;
use fleet_model::plugin::PluginState;
use fleet_model::swap::SwapVerdict;
use fleet_plugin::{PluginHost, SwapPoint, Swaps};

use super::{good, serving};
use crate::support::swaps::{active, swap, until, version};
use crate::support::{Guest, Machine, Stops, driver, handle, item, op_of};

/// What serves after a crash there.
#[derive(Debug, PartialEq)]
enum After {
    Old,
    New,
}

const SWAP: [(SwapPoint, After); 12] = [
    (SwapPoint::Discovered, After::Old),
    (SwapPoint::Copied, After::Old),
    (SwapPoint::Verified, After::Old),
    (SwapPoint::Compiled, After::Old),
    (SwapPoint::Linked, After::Old),
    (SwapPoint::Probed, After::Old),
    (SwapPoint::Adopted, After::Old),
    (SwapPoint::BeforeDurable, After::Old),
    (SwapPoint::Durable, After::New),
    (SwapPoint::Published, After::New),
    (SwapPoint::Drained, After::New),
    (SwapPoint::Recorded, After::New),
];

/// The same machine after the host was killed: what hung there hangs for ever.
async fn again(machine: &mut Machine) -> Arc<PluginHost> {
    machine.stops = Arc::new(Stops::default());
    machine.host().await
}

async fn answers(host: &PluginHost) {
    let mock = driver(host, "mock");
    mock.inspect(&item(), &handle()).await.unwrap();
    let known = mock.recover(&[handle(), handle()]).await.unwrap();
    assert_eq!(known.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_arrow_of_a_swap_leaves_what_is_written_down() {
    for (point, after) in SWAP {
        let (mut machine, host) = serving().await;
        machine.alive.set("mock", 2, 1);
        machine.stops.stop_at(point);
        tokio::spawn({
            let host = host.clone();
            async move { swap(&host, &good("0.2.0")).await }
        });
        machine.stops.reached(point).await;
        // Nothing serves that is not written down.
        let serves = driver(&host, "mock").description().version.clone();
        let is_old = after == After::Old || point == SwapPoint::Durable;
        assert_eq!(serves, if is_old { "0.1.0" } else { "0.2.0" }, "{point}");
        answers(&host).await;
        let host = again(&mut machine).await;
        let want = match after {
            After::Old => "0.1.0",
            After::New => "0.2.0",
        };
        assert_eq!(version(&host, "mock"), want, "{point}");
        answers(&host).await;
        let mock = "mock".parse().unwrap();
        let (history, _) = host.history(&mock, None, 9).unwrap();
        match after {
            After::Old => assert!(history.is_empty(), "{point}"),
            After::New => {
                assert_eq!(history.len(), 1, "{point}");
                assert_eq!(history[0].verdict, SwapVerdict::Active, "{point}");
                let told = history[0]
                    .remarks
                    .iter()
                    .any(|remark| remark.contains("the host ended"));
                assert_eq!(told, point != SwapPoint::Recorded, "{point}");
                // It has yet to prove itself.
                assert!(
                    active(&host, "mock").probation_until_ms.is_some(),
                    "{point}"
                );
            }
        }
        // And the next swap goes all the way.
        let report = swap(&host, &good("0.3.0")).await;
        assert_eq!(report.verdict, SwapVerdict::Active, "{point}: {report:?}");
        assert!(history.iter().all(|known| known.id < report.id), "{point}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_whose_swap_a_crash_cut_short_is_taken_up_again() {
    for point in [
        SwapPoint::Copied,
        SwapPoint::Adopted,
        SwapPoint::BeforeDurable,
    ] {
        let (mut machine, _host) = serving().await;
        machine.stops.stop_at(point);
        machine.plugin(&good("0.2.0"), "");
        machine.stops.reached(point).await;
        let host = again(&mut machine).await;
        until(&host, "the swap", |rows| {
            rows[0].version.clone().filter(|version| version == "0.2.0")
        })
        .await;
        answers(&host).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_every_arrow_of_a_rollback_leaves_what_is_written_down() {
    for (point, want) in [
        (SwapPoint::RollbackBeforeDurable, "0.2.0"),
        (SwapPoint::RollbackDurable, "0.1.0"),
        (SwapPoint::RollbackPublished, "0.1.0"),
        (SwapPoint::RollbackRecorded, "0.1.0"),
    ] {
        let (mut machine, host) = serving().await;
        let bad: Guest = good("0.2.0").with("start", "unreachable");
        swap(&host, &bad).await;
        machine.stops.stop_at(point);
        let fail = async |host: &PluginHost| {
            for number in 0..4 {
                let op = op_of(number, Verb::Start);
                driver(host, "mock")
                    .start(&op, &handle())
                    .await
                    .unwrap_err();
            }
        };
        fail(&host).await;
        machine.stops.reached(point).await;
        let host = again(&mut machine).await;
        assert_eq!(version(&host, "mock"), want, "{point}");
        answers(&host).await;
        if want == "0.1.0" {
            assert_eq!(host.quarantined().len(), 1, "{point}");
            let (history, _) = host.history(&"mock".parse().unwrap(), None, 9).unwrap();
            assert_eq!(history.len(), 2, "{point}");
            continue;
        }
        // It is on probation still, and fails still.
        fail(&host).await;
        until(&host, "the one before", |rows| {
            let active = rows.iter().find(|row| row.state == PluginState::Active)?;
            (active.version.as_deref() == Some("0.1.0")).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_the_end_of_a_probation_begins_it_again_or_ends_it() {
    for (point, is_over) in [(SwapPoint::BeforeProven, false), (SwapPoint::Proven, true)] {
        let (mut machine, _) = serving().await;
        machine.swap.limits.probation_ms = 300;
        machine.stops.stop_at(point);
        let host = machine.host().await;
        swap(&host, &good("0.2.0")).await;
        machine.stops.reached(point).await;
        machine.swap.limits.probation_ms = 60_000;
        let host = again(&mut machine).await;
        assert_eq!(version(&host, "mock"), "0.2.0", "{point}");
        let is_on_probation = active(&host, "mock").probation_until_ms.is_some();
        assert_eq!(is_on_probation, !is_over, "{point}");
    }
}
