//! Probation: new code that fails is taken back by itself, and what is put back is what had proven
//! itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fleet_model::Verb;
use fleet_model::driver::Handle;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{SwapCause, SwapEvent, SwapKind, SwapRun, SwapVerdict, SwapWay};
use fleet_plugin::{Driver, Drivers, PluginHost, SwapLimits, SwapOptions, SwapPoint, Swaps};
use fleet_seam::SimClock;

use super::{good, serving};
use crate::support::swaps::{
    News, active, digest, states, swap, swap_as, until, upload, upload_with, version, within,
};
use crate::support::{Guest, Machine, driver, handle, item, item_of, op_of};

/// One that traps when it is asked to start something, and answers everything else.
pub(super) fn bad(version: &str) -> Guest {
    good(version).with("start", "unreachable")
}

/// Fails it so often, each time for an item that was never failed before.
pub(super) async fn fail(driver: &Arc<dyn Driver>, times: u32) {
    fail_with(driver, times, &handle()).await;
}

async fn fail_with(driver: &Arc<dyn Driver>, times: u32, handle: &Handle) {
    static NEXT: AtomicU32 = AtomicU32::new(100);
    for _ in 0..times {
        let op = op_of(NEXT.fetch_add(1, Ordering::Relaxed), Verb::Start);
        let error = driver.start(&op, handle).await.unwrap_err();
        assert_eq!(error.code, "trap");
    }
}

async fn settled_on(host: &PluginHost, version: &str) {
    until(host, "the one before", |rows| {
        let active = rows.iter().find(|row| row.state == PluginState::Active)?;
        (active.version.as_deref() == Some(version)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_traps_only_under_load_is_rolled_back_and_quarantined() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    let report = swap(&host, &bad("0.2.0")).await;
    assert_eq!(
        (report.verdict, report.probation_ms),
        (SwapVerdict::Active, Some(60_000))
    );
    assert!(active(&host, "mock").probation_until_ms.is_some());
    news.report().await;
    let mock = driver(&host, "mock");
    // As many as are borne, and then one more.
    fail(&mock, 3).await;
    assert_eq!(version(&host, "mock"), "0.2.0");
    fail(&mock, 1).await;
    let report = news.report().await;
    assert_eq!(
        (report.kind, report.cause, report.verdict),
        (SwapKind::Rollback, SwapCause::Failures, SwapVerdict::Active)
    );
    let reason = report.reason.unwrap();
    assert_eq!(reason.code, "failures");
    for part in ["failed 4 times on probation", "trapped in `start`"] {
        assert!(reason.message.contains(part), "{}", reason.message);
    }
    assert_eq!(version(&host, "mock"), "0.1.0");
    assert_eq!(active(&host, "mock").probation_until_ms, None);
    mock.start(&op_of(1, Verb::Start), &handle()).await.unwrap();

    // It is seen, and not taken again: neither by hand nor in the folder, nor after a restart.
    let banned = digest(&bad("0.2.0").component());
    let row = host.plugins().into_iter().nth(1).unwrap();
    assert_eq!(
        (row.state, row.digest.as_ref()),
        (PluginState::Quarantined, Some(&banned))
    );
    assert!(row.reason.unwrap().contains("failed 4 times"));
    assert_eq!(host.quarantined()[0].digest, banned);
    let name = "mock".parse().unwrap();
    let refused = host.swap(&name, upload(&bad("0.2.0")), SwapOptions::default());
    let error = refused.await.unwrap_err();
    assert_eq!(error.code, "quarantined");
    assert!(
        error.message.contains(&format!("unquarantine {banned}")),
        "{error}"
    );
    drop((mock, host));
    let host = machine.host().await;
    assert_eq!(
        states(&host, "mock").into_iter().collect::<Vec<_>>(),
        ["active", "quarantined"]
    );
    let mut news = News::of(&host);
    let component = bad("0.2.0").component();
    machine.file("mock.toml", bad("0.2.0").manifest(""));
    machine.file("mock.wasm", component);
    assert_eq!(news.report().await.reason.unwrap().code, "quarantined");

    // Until somebody allows it.
    for (digits, code) in [("12", "bad-digest"), ("00000000", "not-quarantined")] {
        assert_eq!(host.unquarantine(digits).await.unwrap_err().code, code);
    }
    let allowed = host.unquarantine(&banned[..12]).await.unwrap();
    assert_eq!((allowed.len(), allowed[0].version.as_str()), (1, "0.2.0"));
    assert!(
        matches!(news.other().await, SwapEvent::Unquarantined { digest, .. } if digest == banned)
    );
    assert!(host.quarantined().is_empty());
    let report = swap(&host, &bad("0.2.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active);
    assert_eq!(states(&host, "mock").len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_comment_is_no_way_round_the_quarantine_of_a_manifest() {
    let machine = Machine::new();
    machine.plugin(&bad("0.1.0"), "");
    let host = machine.host().await;
    let mut news = News::of(&host);
    let mock = "mock".parse().unwrap();
    let under = |more: &str| {
        let upload = upload_with(&bad("0.1.0"), more);
        host.swap(&mock, upload, SwapOptions::default())
    };
    let report = under("[limits]\ncpu_ms = 900").await.unwrap();
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    news.report().await;
    fail(&driver(&host, "mock"), 4).await;
    assert_eq!(news.report().await.kind, SwapKind::Rollback);
    for written in [
        "[limits]\ncpu_ms = 900 # enough",
        "# Limits.\n\n[limits]\ncpu_ms  =  0x384\n",
        "limits = { cpu_ms = 900 }",
    ] {
        let error = under(written).await.unwrap_err();
        assert_eq!(error.code, "quarantined", "{written}");
    }
    // Neither in the folder.
    machine.file("mock.toml", bad("0.1.0").manifest("limits.cpu_ms = 900"));
    assert_eq!(news.report().await.reason.unwrap().code, "quarantined");
    let report = under("[limits]\ncpu_ms = 901").await.unwrap();
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_put_back_had_proven_itself() {
    let (_machine, host) = serving().await;
    let mut news = News::of(&host);
    // The second never proves itself: the third supersedes it.
    swap(&host, &good("0.2.0")).await;
    let report = swap(&host, &bad("0.3.0")).await;
    assert_eq!(report.from.unwrap().version, "0.2.0");
    news.report().await;
    news.report().await;
    fail(&driver(&host, "mock"), 4).await;
    let report = news.report().await;
    assert_eq!(report.to.unwrap().version, "0.1.0");
    assert_eq!(version(&host, "mock"), "0.1.0");
    // The second is not to blame.
    let quarantined: Vec<_> = host
        .quarantined()
        .into_iter()
        .map(|ban| ban.version)
        .collect();
    assert_eq!(quarantined, ["0.3.0"]);
}

#[tokio::test]
async fn time_proves_it_and_then_nothing_is_counted() {
    let clock = Arc::new(SimClock::new(1_000_000));
    let mut machine = Machine::new();
    machine.clock = clock.clone();
    machine.swap.settle_ms = 0;
    machine.plugin(&good("0.1.0"), "");
    let host = machine.host().await;
    let mut news = News::of(&host);
    swap(&host, &bad("0.2.0")).await;
    assert_eq!(host.generations(), 2, "the one before is at hand");
    let mock = driver(&host, "mock");
    fail(&mock, 3).await;
    clock.advance(Duration::from_millis(59_999));
    tokio::task::yield_now().await;
    assert!(active(&host, "mock").probation_until_ms.is_some());
    clock.advance(Duration::from_millis(1));
    let event = news.other().await;
    assert!(matches!(event, SwapEvent::Proven { version, .. } if version == "0.2.0"));
    assert_eq!(active(&host, "mock").probation_until_ms, None);
    assert_eq!(host.generations(), 1);
    fail(&mock, 20).await;
    assert_eq!(version(&host, "mock"), "0.2.0");
    // And the next one falls back to it.
    swap(&host, &bad("0.3.0")).await;
    fail(&mock, 4).await;
    settled_on(&host, "0.2.0").await;
}

#[tokio::test]
async fn what_failed_before_says_nothing() {
    let (_machine, host) = serving().await;
    let broken = good("0.1.1").with("inspect", "unreachable");
    swap(&host, &broken).await;
    let mock = driver(&host, "mock");
    mock.inspect(&item_of(1), &handle()).await.unwrap_err();
    // This one fails the same item, and no other.
    swap(&host, &broken.clone().version("0.2.0")).await;
    for _ in 0..20 {
        mock.inspect(&item_of(1), &handle()).await.unwrap_err();
    }
    assert_eq!(version(&host, "mock"), "0.2.0");
    for number in 2..=5 {
        mock.inspect(&item_of(number), &handle()).await.unwrap_err();
    }
    settled_on(&host, "0.1.0").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_by_hand_goes_the_same_way() {
    let (mut machine, host) = serving().await;
    let mock = "mock".parse().unwrap();
    let error = host.rollback(&mock, None).await.unwrap_err();
    assert_eq!(error.code, "nothing-to-roll-back-to");
    let report = host
        .rollback(&"other".parse().unwrap(), None)
        .await
        .unwrap_err();
    assert_eq!(report.code, "no-plugin");
    // On probation.
    swap(&host, &good("0.2.0")).await;
    let report = host.rollback(&mock, Some("key".to_owned())).await.unwrap();
    assert_eq!(
        (report.kind, report.cause, report.request.as_deref()),
        (SwapKind::Rollback, SwapCause::Operator, Some("key"))
    );
    assert_eq!(version(&host, "mock"), "0.1.0");
    assert_eq!(host.quarantined().len(), 1);
    drop(host);
    // After it, also when nothing of the one before is in memory.
    machine.swap.limits = SwapLimits {
        probation_ms: 0,
        ..SwapLimits::default()
    };
    let host = machine.host().await;
    swap(&host, &good("0.3.0")).await;
    swap(&host, &good("0.4.0")).await;
    assert_eq!(host.generations(), 1);
    for want in ["0.3.0", "0.1.0"] {
        let report = within("a rollback", host.rollback(&mock, None))
            .await
            .unwrap();
        assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
        assert_eq!(version(&host, "mock"), want);
    }
    let error = host.rollback(&mock, None).await.unwrap_err();
    assert_eq!(error.code, "nothing-to-roll-back-to");
}

#[tokio::test]
async fn without_a_way_back_it_takes_a_word() {
    let (_machine, host) = serving().await;
    let next = good("0.2.0").handles(2, &[2]);
    let report = swap(&host, &next).await;
    let reason = report.reason.unwrap();
    assert_eq!(reason.code, "one-way");
    assert!(reason.message.contains("--one-way"), "{}", reason.message);
    let one_way = |run| SwapOptions {
        way: SwapWay::OneWay,
        run,
        ..SwapOptions::default()
    };
    let tried = swap_as(&host, &next, one_way(SwapRun::Dry)).await;
    assert!(tried.one_way);
    let report = swap_as(&host, &next, one_way(SwapRun::Real)).await;
    assert!(report.one_way, "{report:?}");
    let remark = active(&host, "mock").remarks.remove(0);
    assert!(remark.contains("no way back"), "{remark}");
    let error = host
        .rollback(&"mock".parse().unwrap(), None)
        .await
        .unwrap_err();
    assert_eq!(error.code, "rollback-off");
    // Where there is a way back the word changes nothing.
    let report = swap_as(
        &host,
        &next.clone().version("0.3.0"),
        one_way(SwapRun::Real),
    )
    .await;
    assert!(!report.one_way);
}

#[tokio::test]
async fn what_fails_without_a_way_back_is_told() {
    let (_machine, host) = serving().await;
    let mut news = News::of(&host);
    let next = bad("0.2.0").handles(2, &[2]);
    let one_way = SwapOptions {
        way: SwapWay::OneWay,
        ..SwapOptions::default()
    };
    swap_as(&host, &next, one_way).await;
    // Others are the old code's.
    let own = Handle {
        schema: 2,
        ..handle()
    };
    fail_with(&driver(&host, "mock"), 4, &own).await;
    let event = news.other().await;
    assert!(matches!(event, SwapEvent::Failing { reason, .. } if reason.contains("4 times")));
    assert_eq!(version(&host, "mock"), "0.2.0");
    let remarks = active(&host, "mock").remarks;
    assert!(
        remarks
            .iter()
            .any(|remark| remark.contains("none to go back to")),
        "{remarks:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probation_goes_on_over_a_restart() {
    let (machine, host) = serving().await;
    swap(&host, &bad("0.2.0")).await;
    drop(host);
    let host = machine.host().await;
    assert_eq!(version(&host, "mock"), "0.2.0");
    assert!(active(&host, "mock").probation_until_ms.is_some());
    // What is put back is loaded for that.
    assert_eq!(host.generations(), 1);
    let mut news = News::of(&host);
    fail(&driver(&host, "mock"), 4).await;
    assert_eq!(news.report().await.to.unwrap().version, "0.1.0");
    assert_eq!(version(&host, "mock"), "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_does_not_wait_for_the_next_newcomer() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    swap(&host, &bad("0.2.0")).await;
    news.report().await;
    machine.stops.stop_at(SwapPoint::Adopted);
    let third = tokio::spawn({
        let host = host.clone();
        async move { swap(&host, &good("0.3.0")).await }
    });
    // Of this swap: the one before has been there too.
    until(&host, "the newcomer", |rows| {
        let swapping = rows[0].swapping.as_ref()?;
        (swapping.state == PluginState::Adopted).then_some(())
    })
    .await;
    fail(&driver(&host, "mock"), 4).await;
    assert_eq!(news.report().await.to.unwrap().version, "0.1.0");
    machine.stops.go_on();
    let report = third.await.unwrap();
    assert_eq!(
        report.from.unwrap().version,
        "0.1.0",
        "it took the place of what was put back"
    );
    assert_eq!(version(&host, "mock"), "0.3.0");
    driver(&host, "mock")
        .inspect(&item(), &handle())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn generations_and_copies_do_not_pile_up() {
    let mut machine = Machine::new();
    machine.swap.limits.probation_ms = 0;
    machine.plugin(&good("0.1.0"), "");
    let host = machine.host().await;
    for number in 2..30 {
        let report = swap(&host, &good(&format!("0.{number}.0"))).await;
        assert_eq!(report.verdict, SwapVerdict::Active);
        assert_eq!(host.generations(), 1);
    }
    assert_eq!(machine.copies().len(), 3, "those that can be put back");
    let (history, _) = host.history(&"mock".parse().unwrap(), None, 1_000).unwrap();
    assert_eq!(history.len(), 28);
}
