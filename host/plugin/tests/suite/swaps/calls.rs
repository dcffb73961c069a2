//! Calls while code is swapped: each has one answer, and each op one effect.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use fleet_model::swap::SwapVerdict;
use fleet_model::{Name, Verb};
use fleet_plugin::{
    Driver, PluginHost, SwapOptions, SwapPoint, Swaps, Upload, default_grants, manifests,
};
use serde_json::json;

use super::good;
use crate::shipped::ready;
use crate::support::swaps::{News, restamped, swap, until, upload_with, within};
use crate::support::{Guest, Machine, driver, handle, item, item_of, op, op_of, shipped, workload};

/// How often a backend is swapped under traffic.
const SWAPS: u32 = 50;

/// A machine on which the shipped `native` serves.
async fn native() -> (Machine, Arc<PluginHost>) {
    let mut machine = Machine::new();
    machine.file("native.wasm", shipped("native.wasm"));
    machine.file("native.toml", shipped("native.toml"));
    let names: [Name; 1] = ["native".parse().unwrap()];
    machine.grants = default_grants(&manifests(&machine.folder()).unwrap(), &names, &[]);
    let host = machine.host().await;
    (machine, host)
}

async fn swap_native(host: &PluginHost, stamp: u32) -> fleet_model::swap::SwapReport {
    let upload = Upload {
        component: restamped(&shipped("native.wasm"), stamp),
        manifest: None,
    };
    let plugin = "native".parse().unwrap();
    let swap = host.swap(&plugin, upload, SwapOptions::default());
    within("a swap", swap).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_swaps_under_traffic_lose_and_double_nothing() {
    let (machine, host) = native().await;
    let made = ready(
        driver(&host, "native").as_ref(),
        &workload(&["x"], json!({})),
    )
    .await;
    let (stop, calls, answers) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
        Arc::new(AtomicU64::new(0)),
    );
    let clients: Vec<_> = (0..4_u64)
        .map(|client| {
            let (native, made) = (driver(&host, "native"), made.clone());
            let (stop, calls, answers) = (stop.clone(), calls.clone(), answers.clone());
            tokio::spawn(async move {
                let mut number = 0;
                while !stop.load(Ordering::Relaxed) {
                    number += 1;
                    calls.fetch_add(2, Ordering::Relaxed);
                    native.inspect(&item(), &made).await.unwrap();
                    answers.fetch_add(1, Ordering::Relaxed);
                    // An effect of its own: a command under a key.
                    let op = fleet_model::Op {
                        call: format!("{client}-{number}"),
                        ..op(Verb::Send)
                    };
                    native.send(&op, &made, "say\n".into()).await.unwrap();
                    answers.fetch_add(1, Ordering::Relaxed);
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for stamp in 0..SWAPS {
        let report = swap_native(&host, stamp).await;
        assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
        let before = answers.load(Ordering::Relaxed);
        // Each version serves some of them.
        let served = async {
            while answers.load(Ordering::Relaxed) < before + 20 {
                tokio::task::yield_now().await;
            }
        };
        within("answers", served).await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    let (calls, answers) = (
        calls.load(Ordering::Relaxed),
        answers.load(Ordering::Relaxed),
    );
    assert_eq!(calls, answers);
    let mut effects = BTreeMap::<String, u32>::new();
    for call in machine.processes.calls.lock().unwrap().iter() {
        if let Some(op) = call.strip_prefix("native send ") {
            *effects
                .entry(op.split(' ').next().unwrap().to_owned())
                .or_default() += 1;
        }
    }
    assert_eq!(effects.len() as u64, answers / 2);
    let doubled: Vec<_> = effects.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert!(host.generations() <= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_too_long_is_asked_of_the_new_code() {
    let mut machine = Machine::new();
    machine.swap.drain_ms = 100;
    let limits = "[limits]\ncpu_ms = 60000\ndeadline_ms = 60000";
    let slow = good("0.1.0").with("start", "(loop br 0) unreachable");
    machine.plugin(&slow, limits);
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    let slow_again = upload_with(&slow.clone().version("0.1.1"), limits);
    let next = upload_with(&good("0.2.0"), limits);
    let plugin = "mock".parse().unwrap();
    let swap = async |upload: &Upload| {
        let swap = host.swap(&plugin, upload.clone(), SwapOptions::default());
        within("a swap", swap).await.unwrap()
    };
    // A swap may be over before the call has begun: then it is for another try.
    let mut tries = 0..20;
    let handle = loop {
        assert!(tries.next().is_some(), "never was a call in the way");
        let mock = mock.clone();
        let started = tokio::spawn(async move { mock.start(&op(Verb::Start), &handle()).await });
        // It computes: it is in the way of the drain.
        let report = swap(&next).await;
        let handle = within("an answer", started).await.unwrap().unwrap();
        if report.calls.reissued == 1 {
            break handle;
        }
        swap(&slow_again).await;
    };
    assert_eq!(handle.schema, 0, "the new code's own answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_host_has_begun_ends_before_the_same_op_is_asked_again() {
    let (mut machine, _) = native().await;
    machine.swap.drain_ms = 50;
    let host = machine.host().await;
    let native = driver(&host, "native");
    let made = ready(native.as_ref(), &workload(&["x"], json!({}))).await;
    machine.processes.hold_starts();
    let started = tokio::spawn({
        let (native, made) = (native.clone(), made.clone());
        async move { native.start(&op(Verb::Start), &made).await }
    });
    within("the start", machine.processes.starts_begun(1)).await;
    let swapped = tokio::spawn({
        let host = host.clone();
        async move { swap_native(&host, 1).await }
    });
    machine.stops.reached(SwapPoint::Published).await;
    // The new code serves others meanwhile.
    native.inspect(&item_of(5), &made).await.unwrap();
    until(&host, "the new code", |rows| rows[0].probation_until_ms).await;
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(!started.is_finished() && !swapped.is_finished());
    assert_eq!(
        machine.processes.starts(),
        1,
        "the same op twice at one time"
    );
    machine.processes.release_starts();
    within("the answer", started).await.unwrap().unwrap();
    let report = within("the swap", swapped).await.unwrap();
    assert_eq!(
        (report.calls.drained, report.calls.reissued),
        (0, 1),
        "{report:?}"
    );
    // Asked twice under one op, one after the other: that is one effect to whoever does it.
    assert_eq!(machine.processes.starts(), 2);
    assert!(!machine.processes.overlapped());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_end_in_time_end_on_the_old_code() {
    let (machine, host) = native().await;
    let native = driver(&host, "native");
    let made = ready(native.as_ref(), &workload(&["x"], json!({}))).await;
    machine.processes.hold_starts();
    let started = tokio::spawn({
        let (native, made) = (native.clone(), made.clone());
        async move { native.start(&op(Verb::Start), &made).await }
    });
    within("the start", machine.processes.starts_begun(1)).await;
    let mut news = News::of(&host);
    let swapped = tokio::spawn({
        let host = host.clone();
        async move { swap_native(&host, 1).await }
    });
    machine.stops.reached(SwapPoint::Published).await;
    machine.processes.release_starts();
    within("the answer", started).await.unwrap().unwrap();
    let report = within("the swap", swapped).await.unwrap();
    assert_eq!(
        (report.calls.drained, report.calls.reissued),
        (1, 0),
        "{report:?}"
    );
    assert_eq!(machine.processes.starts(), 1);
    assert_eq!(news.report().await.id, report.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_for_a_place_goes_to_the_new_code() {
    let machine = Machine::new();
    let limits = "[limits]\nconcurrency = 1\ncpu_ms = 60000\ndeadline_ms = 20000";
    let slow = good("0.1.0").with("start", "(loop br 0) unreachable");
    machine.plugin(&slow, limits);
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    let hog = tokio::spawn({
        let mock = mock.clone();
        async move { mock.start(&op_of(1, Verb::Start), &handle()).await }
    });
    let waiting: Vec<_> = (2..10)
        .map(|number| {
            let mock = mock.clone();
            tokio::spawn(async move { mock.start(&op_of(number, Verb::Start), &handle()).await })
        })
        .collect();
    // They have no place while that one computes; the old code would never give them one.
    machine.stops.stop_at(SwapPoint::Drained);
    let swapped = tokio::spawn({
        let host = host.clone();
        let next = upload_with(&good("0.2.0"), limits);
        async move {
            let plugin = "mock".parse().unwrap();
            let swap = host.swap(&plugin, next, SwapOptions::default());
            swap.await.unwrap()
        }
    });
    machine.stops.reached(SwapPoint::Published).await;
    for waiting in waiting {
        within("an answer", waiting).await.unwrap().unwrap();
    }
    machine.stops.go_on();
    within("the hog's answer", hog).await.unwrap().unwrap();
    let report = within("the swap", swapped).await.unwrap();
    assert_eq!(report.verdict, SwapVerdict::Active);
}

#[tokio::test]
async fn the_driver_stays_the_same_and_says_what_serves_now() {
    let (_machine, host) = super::serving().await;
    let mock: Arc<dyn Driver> = driver(&host, "mock");
    assert_eq!(mock.description().version, "0.1.0");
    swap(&host, &Guest::new("mock").version("0.2.0")).await;
    assert_eq!(mock.description().version, "0.2.0");
    let missing = mock.logs(&item(), &handle(), &Default::default()).await;
    assert!(missing.unwrap_err().message.contains("`mock` 0.2.0"));
}
