//! A start: what is written down serves, whatever lies in the folder.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use fleet_model::plugin::PluginState;
use fleet_model::swap::{SwapCause, SwapKind, SwapVerdict};
use fleet_plugin::{CompileCommand, Drivers, SwapPoint, Swaps};

use super::{good, serving};
use crate::support::guest::Said;
use crate::support::swaps::{News, active, digest, swap, until, version, within};
use crate::support::{Machine, driver, handle, item, rejection};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_written_down_wins_over_the_file() {
    let (machine, host) = serving().await;
    swap(&host, &good("0.2.0")).await;
    let remark = until(&host, "a remark", |rows| {
        // The file is looked at when something changes.
        machine.file("mock.toml", good("0.1.0").manifest(""));
        rows[0].remarks.first().cloned()
    });
    assert!(remark.await.contains("version 0.1.0"));
    drop(host);
    let host = machine.host().await;
    let mut news = News::of(&host);
    assert_eq!(version(&host, "mock"), "0.2.0");
    until(&host, "the same remark", |rows| {
        rows[0].remarks.first().cloned()
    })
    .await;
    assert!(news.is_quiet());
    // What appears is a request all the same.
    let next = good("0.3.0");
    let component = next.component();
    machine.file("mock.toml", next.manifest(""));
    machine.file("mock.wasm", component);
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    assert_eq!(version(&host, "mock"), "0.3.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_came_while_the_host_was_down_is_a_request() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 1, 1);
    drop(host);
    machine.plugin(&good("0.2.0"), "");
    let host = machine.host().await;
    let swapped = until(&host, "the swap", |rows| {
        rows[0].version.clone().filter(|version| version == "0.2.0")
    });
    swapped.await;
    let mock = "mock".parse().unwrap();
    // The report is whole when the old code has answered its last call.
    let told = async {
        loop {
            let (history, _) = host.history(&mock, None, 9).unwrap();
            if !history.is_empty() {
                return history;
            }
            tokio::task::yield_now().await;
        }
    };
    let history = within("the report", told).await;
    assert_eq!(
        (history[0].cause, history[0].handles.adopted),
        (SwapCause::File, 1)
    );
    assert!(active(&host, "mock").probation_until_ms.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_is_tried_again_at_the_next_start() {
    let (mut machine, host) = serving().await;
    let mut news = News::of(&host);
    let next = good("0.2.0");
    let component = next.component();
    machine.file("mock.toml", next.manifest("[capabilities]\nclock = true"));
    machine.file("mock.wasm", component);
    assert_eq!(news.report().await.reason.unwrap().code, "needs-grant");
    drop(host);
    // The line it names is the one it takes.
    machine.grants = "[mock]\nclock = true".to_owned();
    let host = machine.host().await;
    until(&host, "the swap", |rows| {
        rows[0].version.clone().filter(|version| version == "0.2.0")
    })
    .await;
    assert!(active(&host, "mock").capabilities[0].effective);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_copy_is_not_run_and_what_was_before_it_serves() {
    let (mut machine, host) = serving().await;
    machine.swap.limits.probation_ms = 0;
    let next = good("0.2.0");
    swap(&host, &next).await;
    drop(host);
    let copy = machine
        .store()
        .join(format!("{}.wasm", digest(&next.component())));
    fs::write(&copy, "damaged").unwrap();
    fs::remove_dir_all(machine.cache()).unwrap();
    let host = machine.host().await;
    // That is no proof against the component: the compiled form is gone, and the copy may come back.
    let reason = rejection(&host, "mock.wasm");
    assert!(reason.contains("damaged"), "{reason}");
    drop(host);
    fs::write(&copy, next.component()).unwrap();
    let host = machine.host().await;
    assert_eq!(version(&host, "mock"), "0.2.0");
    drop(host);
    // Without the copy of its manifest nobody knows what it may do.
    let record = fs::read_to_string(machine.records().join("mock.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let manifest = record["active"]["manifest"].as_str().unwrap();
    let manifest = manifest.strip_prefix("sha256:").unwrap();
    fs::remove_file(machine.store().join(format!("{manifest}.toml"))).unwrap();
    let host = machine.host().await;
    assert_eq!(version(&host, "mock"), "0.1.0");
    let (history, _) = host.history(&"mock".parse().unwrap(), None, 1).unwrap();
    assert_eq!(
        (history[0].kind, history[0].verdict),
        (SwapKind::Rollback, SwapVerdict::Active)
    );
    assert!(
        history[0]
            .reason
            .as_ref()
            .unwrap()
            .message
            .contains("cannot be loaded")
    );
    assert_eq!(history[0].to.as_ref().unwrap().version, "0.1.0");
    driver(&host, "mock")
        .inspect(&item(), &handle())
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_that_cannot_be_loaded_comes_back_with_a_good_file() {
    let (machine, host) = serving().await;
    drop(host);
    fs::remove_dir_all(machine.store()).unwrap();
    fs::remove_dir_all(machine.cache()).unwrap();
    // The file is what served, so it is put back into service.
    let host = machine.host().await;
    until(&host, "the plugin", |rows| {
        (rows[0].state == PluginState::Active).then_some(())
    })
    .await;
    assert_eq!(version(&host, "mock"), "0.1.0");
    assert_eq!(host.plugins().len(), 1);
}

/// The compiler of this machine refuses everything while that file is there.
fn a_compiler_that_fails(machine: &mut Machine) -> PathBuf {
    let fails = machine.folder().join("fails");
    let script = "if [ -e \"$1\" ]; then echo 'no room' >&2; exit 1; fi; shift; exec \"$@\"";
    let CompileCommand { program, .. } = machine.compile.clone();
    machine.compile = CompileCommand {
        program: "/bin/sh".into(),
        args: vec![
            "-c".into(),
            script.into(),
            "sh".into(),
            fails.clone().into(),
            program.into(),
        ],
    };
    fs::write(&fails, "").unwrap();
    fails
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_could_not_be_loaded_in_passing_goes_before_any_file() {
    let (mut machine, host) = serving().await;
    swap(&host, &good("0.2.0")).await;
    drop(host);
    fs::remove_dir_all(machine.cache()).unwrap();
    let fails = a_compiler_that_fails(&mut machine);
    machine.alive.set("mock", 2, 1);
    let host = machine.host().await;
    let rejected = until(&host, "the refusal", |rows| {
        let reason = rows[0].reason.clone()?;
        (rows[0].state == PluginState::Rejected).then_some(reason)
    });
    let reason = rejected.await;
    assert!(reason.contains("no room"), "{reason}");
    let mut news = News::of(&host);
    fs::remove_file(fails).unwrap();
    let next = good("0.3.0");
    let component = next.component();
    machine.file("mock.toml", next.manifest(""));
    machine.file("mock.wasm", component);
    // It takes the place of what served, as any other does.
    let report = news.report().await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(report.from.unwrap().version, "0.2.0");
    assert_eq!((report.handles.looked_at, report.handles.adopted), (2, 2));
    // Neither of the two has proven itself by that.
    let back = host.rollback(&"mock".parse().unwrap(), None).await.unwrap();
    assert_eq!(back.to.unwrap().version, "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_in_the_place_of_what_is_lost_has_to_know_what_is_recorded() {
    let (machine, host) = serving().await;
    swap(&host, &good("0.2.0")).await;
    drop(host);
    fs::remove_dir_all(machine.store()).unwrap();
    fs::remove_dir_all(machine.cache()).unwrap();
    machine.alive.set("mock", 2, 1);
    let host = machine.host().await;
    let put = |guest: &crate::support::Guest| {
        let component = guest.component();
        machine.file("mock.toml", guest.manifest(""));
        machine.file("mock.wasm", component);
    };
    let refused = async |part: &str| {
        let reason = until(&host, part, |rows| {
            let reason = rows[0].reason.clone()?;
            (rows[0].state == PluginState::Rejected && reason.contains(part)).then_some(reason)
        });
        reason.await
    };
    put(&good("0.3.0").handles(2, &[2]));
    refused("reads handle schemas [2]").await;
    put(&good("0.4.0").knowing(Said::Lost));
    let reason = refused("does not know what is recorded as running").await;
    for part in [
        "2 of 2",
        "web-0 is lost",
        "Version 0.2.0 served",
        "mock.json",
    ] {
        assert!(reason.contains(part), "{reason}");
    }
    put(&good("0.5.0"));
    until(&host, "the plugin", |rows| {
        (rows[0].state == PluginState::Active).then_some(())
    })
    .await;
    assert_eq!(version(&host, "mock"), "0.5.0");
    // It has yet to prove itself, and what had proven itself before is known.
    assert!(active(&host, "mock").probation_until_ms.is_some());
    let record = fs::read_to_string(machine.records().join("mock.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(
        record["probation"]["fallback"]["version"], "0.1.0",
        "{record}"
    );
    assert_eq!(record["proven"][0]["version"], "0.1.0", "{record}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_with_what_served_does_not_prove_it() {
    let (machine, host) = serving().await;
    swap(&host, &good("0.2.0")).await;
    drop(host);
    for lost in [machine.store(), machine.cache()] {
        fs::remove_dir_all(lost).unwrap();
    }
    machine.plugin(&good("0.2.0"), "");
    let host = machine.host().await;
    until(&host, "the plugin", |rows| {
        (rows[0].state == PluginState::Active).then_some(())
    })
    .await;
    assert_eq!(version(&host, "mock"), "0.2.0");
    assert!(active(&host, "mock").probation_until_ms.is_some());
    // The way back leads to the same, and is as good as its copy.
    let back = host.rollback(&"mock".parse().unwrap(), None).await.unwrap();
    assert_eq!(back.to.unwrap().version, "0.1.0");
    assert_eq!(back.verdict, SwapVerdict::Rejected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_that_a_crash_cut_short_is_there_before_it_serves() {
    for _ in 0..5 {
        let (mut machine, host) = serving().await;
        machine.stops.stop_at(SwapPoint::Published);
        tokio::spawn(async move { swap(&host, &good("0.2.0")).await });
        machine.stops.reached(SwapPoint::Published).await;
        machine.stops = Arc::default();
        let host = machine.open().unwrap();
        let mock = "mock".parse().unwrap();
        let serves = async {
            while host.driver(&mock).is_err() {
                tokio::task::yield_now().await;
            }
        };
        within("the start", serves).await;
        let (history, _) = host.history(&mock, None, 9).unwrap();
        assert_eq!(history.len(), 1, "who asks the same again finds it");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_rejected_does_not_come_back_over_what_was_swapped_in_later() {
    let (mut machine, host) = serving().await;
    let mut news = News::of(&host);
    let refused = good("0.2.0");
    let component = refused.component();
    machine.file(
        "mock.toml",
        refused.manifest("[capabilities]\nclock = true"),
    );
    machine.file("mock.wasm", component);
    assert_eq!(news.report().await.reason.unwrap().code, "needs-grant");
    let report = swap(&host, &good("0.3.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    drop((news, host));
    // It would pass now, and nothing appeared in the folder.
    machine.grants = "[mock]\nclock = true".to_owned();
    let host = machine.host().await;
    let found = until(&host, "a remark, or a swap", |rows| {
        let swapped = rows[0].version.clone().filter(|is| is != "0.3.0");
        swapped.or_else(|| rows[0].remarks.first().cloned())
    });
    let remark = found.await;
    assert!(remark.contains("is version 0.2.0"), "{remark}");
    assert_eq!(version(&host, "mock"), "0.3.0");
}

#[tokio::test]
async fn a_damaged_record_is_told_and_nothing_is_guessed() {
    let (machine, host) = serving().await;
    drop(host);
    fs::write(machine.records().join("mock.json"), "{").unwrap();
    let error = machine.open().err().unwrap();
    assert_eq!(error.code, "no-plugin-data");
    assert!(error.message.contains("mock.json is damaged"), "{error}");
}
