//! Newcomers that are not taken: what served serves as before, and the reason is there to be read.

use std::sync::Arc;

use fleet_model::ErrorKind;
use fleet_model::plugin::PluginState;
use fleet_model::swap::{Adoption, SwapCause, SwapKind, SwapReport, SwapRun, SwapVerdict};
use fleet_plugin::{Drivers, PluginHost, SwapOptions, SwapPoint, Swaps, Upload};
use serde_json::json;

use super::back::{bad, fail};
use super::{good, serving};
use crate::support::guest::Said;
use crate::support::swaps::{
    News, active, digest, swap, swap_as, until, upload, upload_with, version, within,
};
use crate::support::{Guest, Machine, driver, handle, item, plugin};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_bad_version_is_rejected_with_its_reason_and_the_old_one_serves() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 3, 1);
    let mock = "mock".parse().unwrap();
    let next = || good("0.2.0");
    let cases: Vec<(&str, Upload, &[&str])> = vec![
        (
            "bad-component",
            Upload {
                component: next().component()[..900].to_vec().into(),
                manifest: Some(next().manifest("")),
            },
            &["broken WebAssembly"],
        ),
        (
            "describe",
            upload(&next().with("describe", "unreachable")),
            &["`describe` failed", "trapped"],
        ),
        // Its manifest says another version than it does.
        (
            "describe",
            Upload {
                component: next().component().into(),
                manifest: None,
            },
            &["says version `0.2.0`, its manifest says `0.1.0`"],
        ),
        (
            "adoption",
            upload(&next().with("recover", "unreachable")),
            &[
                "3 of 3",
                "web-0 is running",
                "error",
                "trapped in `recover`",
            ],
        ),
        (
            "adoption",
            upload(&next().knowing(Said::Lost)),
            &["web-0 is running to the version that serves and lost to this one"],
        ),
        (
            "adoption",
            upload(&next().knowing(Said::Unknown)),
            &["unknown to this one"],
        ),
        (
            "handle-schema",
            upload(&next().handles(2, &[2])),
            &[
                "reads handle schemas [2]",
                "3 handles are not among them",
                "schema 1",
            ],
        ),
        (
            "needs-grant",
            upload_with(&next(), "[capabilities]\nclock = true"),
            &["`clock`", "[mock]\nclock = true", "start the host again"],
        ),
        (
            "settings",
            upload_with(
                &next(),
                "[settings]\nn = 1\n[settings-schema.properties.n]\ntype = \"string\"",
            ),
            &["/n"],
        ),
        (
            "unusable",
            upload(&next().with("fingerprint", "unreachable")),
            &["cannot work on this machine", "trapped in `fingerprint`"],
        ),
        (
            "other-name",
            Upload {
                component: next().component().into(),
                manifest: Some(Guest::new("other").manifest("")),
            },
            &["it is `other`", "came as `mock`"],
        ),
    ];
    for (code, newcomer, wants) in cases {
        let report = within(
            code,
            host.swap(&mock, newcomer.clone(), SwapOptions::default()),
        );
        let report = report.await.unwrap();
        let reason = report.reason.clone().unwrap();
        assert_eq!(
            (report.verdict, reason.code.as_str()),
            (SwapVerdict::Rejected, code),
            "{report:?}"
        );
        for want in wants {
            assert!(reason.message.contains(want), "{code}: {}", reason.message);
        }
        assert_eq!(report.cause, SwapCause::Upload);
        let rows: Vec<_> = host
            .plugins()
            .into_iter()
            .map(|row| (row.state, row.version, row.reason))
            .collect();
        let was_read = report.to.map(|to| to.version);
        assert_eq!(
            rows,
            [
                (PluginState::Active, Some("0.1.0".to_owned()), None),
                (PluginState::Rejected, was_read, Some(reason.message)),
            ],
            "{code}"
        );
        driver(&host, "mock")
            .inspect(&item(), &handle())
            .await
            .unwrap();
    }
    assert_eq!(host.generations(), 1, "nothing of them is left in memory");
    // A good one is taken, and nothing is told of the bad ones any more.
    let report = swap(&host, &next()).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    let rows: Vec<_> = host.plugins().into_iter().map(|row| row.state).collect();
    assert_eq!(rows, [PluginState::Active]);
    assert_eq!(version(&host, "mock"), "0.2.0");
}

#[tokio::test]
async fn what_was_begun_for_a_live_config_must_go_on() {
    let (machine, host) = serving().await;
    let strict = || {
        Guest {
        schema: r#"{"type":"object","properties":{"depth":{"type":"integer"}},"additionalProperties":false}"#
            .to_owned(),
        ..good("0.2.0")
    }
    };
    machine.alive.config("mock", json!({"depth": "deep"}));
    let report = swap(&host, &strict()).await;
    let reason = report.reason.unwrap();
    assert_eq!(reason.code, "config");
    for want in ["config of web", "/depth"] {
        assert!(reason.message.contains(want), "{}", reason.message);
    }
    machine.alive.config("mock", json!({"depth": 1}));
    let report = swap(&host, &strict()).await;
    assert_eq!((report.verdict, report.configs), (SwapVerdict::Active, 1));
    // What does not fit what serves says nothing against a newcomer.
    machine.alive.config("mock", json!({"depth": "deep"}));
    let other = Guest {
        version: "0.3.0".to_owned(),
        ..strict()
    };
    let report = swap(&host, &other).await;
    assert_eq!((report.verdict, report.configs), (SwapVerdict::Active, 0));
}

#[tokio::test]
async fn nothing_is_begun_for_what_cannot_be_a_swap() {
    let (_machine, host) = serving().await;
    let mut news = News::of(&host);
    let (mock, other) = ("mock".parse().unwrap(), "other".parse().unwrap());
    let huge = Upload {
        component: vec![0; (64 << 20) + 1].into(),
        manifest: None,
    };
    let typo = upload_with(&good("0.2.0"), "[capabilities]\nlgo = true");
    let same_text = upload_with(&good("0.1.0"), "# only a remark\n");
    for (plugin, upload, kind, code, want) in [
        (
            &other,
            upload(&good("0.2.0")),
            ErrorKind::NotFound,
            "no-plugin",
            "there are: mock",
        ),
        (&mock, huge, ErrorKind::Invalid, "too-large", "65536 KiB"),
        (
            &mock,
            typo,
            ErrorKind::Invalid,
            "bad-manifest",
            "mock.toml:5",
        ),
        (
            &mock,
            upload(&good("0.1.0")),
            ErrorKind::Conflict,
            "already-active",
            "already active: same digest",
        ),
        (
            &mock,
            same_text,
            ErrorKind::Conflict,
            "already-active",
            "same digest",
        ),
    ] {
        let swap = host.swap(plugin, upload, SwapOptions::default());
        let error = within(code, swap).await.unwrap_err();
        assert_eq!((error.kind, error.code.as_str()), (kind, code), "{error}");
        assert!(error.message.contains(want), "{error}");
    }
    assert!(news.is_quiet());
    assert!(host.history(&mock, None, 10).unwrap().0.is_empty());
    assert_eq!(
        host.history(&other, None, 10).unwrap_err().code,
        "no-plugin"
    );
}

#[tokio::test]
async fn the_same_component_under_another_manifest_is_another_generation() {
    let (_machine, host) = serving().await;
    let mock = "mock".parse().unwrap();
    let component = good("0.1.0").component();
    let more = upload_with(&good("0.1.0"), "description = \"more\"");
    let report = host.swap(&mock, more, SwapOptions::default());
    let report = within("a swap", report).await.unwrap();
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    let (from, to) = (report.from.unwrap(), report.to.unwrap());
    assert_eq!(
        (&from.digest, &to.digest),
        (&digest(&component), &digest(&component))
    );
    assert_ne!(from.manifest, to.manifest);
    assert_eq!(active(&host, "mock").attributes["description"], "more");
}

/// Stops a newcomer when it has been held against `bad("0.2.0")`, lets that fail, and lets it go on.
async fn while_the_one_before_is_put_back(
    machine: &Machine,
    host: &Arc<PluginHost>,
    newcomer: Upload,
) -> SwapReport {
    machine.stops.stop_at(SwapPoint::Adopted);
    let swap = tokio::spawn({
        let host = host.clone();
        async move {
            let mock = "mock".parse().unwrap();
            let report = host.swap(&mock, newcomer, SwapOptions::default()).await;
            report.unwrap()
        }
    });
    until(host, "the newcomer", |rows| {
        let swapping = rows[0].swapping.as_ref()?;
        (swapping.state == PluginState::Adopted).then_some(())
    })
    .await;
    fail(&driver(host, "mock"), 4).await;
    until(host, "the one before", |rows| {
        let active = rows.iter().find(|row| row.state == PluginState::Active)?;
        (active.version.as_deref() == Some("0.1.0")).then_some(())
    })
    .await;
    machine.stops.go_on();
    swap.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newcomer_is_held_against_what_serves_when_it_takes_its_place() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 3, 1);
    // What fails knows nothing of what is running, so whatever came after it would lose nothing.
    let failing = bad("0.2.0").knowing(Said::Lost);
    let lenient = SwapOptions {
        adoption: Adoption::Lenient,
        ..SwapOptions::default()
    };
    let report = swap_as(&host, &failing, lenient).await;
    assert_eq!(report.verdict, SwapVerdict::Active);
    let forgetful = upload(&good("0.3.0").knowing(Said::Lost));
    let report = while_the_one_before_is_put_back(&machine, &host, forgetful).await;
    assert_eq!(report.verdict, SwapVerdict::Rejected, "{report:?}");
    assert_eq!(report.reason.unwrap().code, "adoption");
    assert_eq!(version(&host, "mock"), "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_quarantined_meanwhile_does_not_take_the_place() {
    let (machine, host) = serving().await;
    let report = swap(&host, &bad("0.2.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active);
    let same_code = upload_with(&bad("0.2.0"), "description = \"mended\"");
    let report = while_the_one_before_is_put_back(&machine, &host, same_code).await;
    assert_eq!(report.verdict, SwapVerdict::Rejected, "{report:?}");
    assert_eq!(report.reason.unwrap().code, "quarantined");
    assert_eq!(version(&host, "mock"), "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_swap_of_a_plugin_at_a_time_and_those_of_others_beside_it() {
    let (machine, host) = serving().await;
    machine.plugin(&Guest::new("other"), "");
    until(&host, "the other", |rows| {
        rows.iter()
            .find(|row| row.name == "other" && row.state == PluginState::Active)
            .map(|_| ())
    })
    .await;
    machine.stops.stop_at(SwapPoint::Compiled);
    let first = tokio::spawn({
        let host = host.clone();
        async move { swap(&host, &good("0.2.0")).await }
    });
    machine.stops.reached(SwapPoint::Compiled).await;
    let shown = active(&host, "mock").swapping.unwrap();
    assert_eq!(
        (shown.state, shown.version.as_deref()),
        (PluginState::Compiled, Some("0.2.0"))
    );
    let mock = "mock".parse().unwrap();
    for error in [
        host.swap(&mock, upload(&good("0.3.0")), SwapOptions::default())
            .await
            .unwrap_err(),
        host.rollback(&mock, None).await.unwrap_err(),
    ] {
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Conflict, "swap-under-way")
        );
        assert!(error.retry_after_ms.is_some());
    }
    // The other one gets as far as that by itself.
    let second = tokio::spawn({
        let host = host.clone();
        async move { swap(&host, &Guest::new("other").version("0.2.0")).await }
    });
    until(&host, "the other's swap", |rows| {
        let row = rows.iter().find(|row| row.name == "other")?;
        row.swapping
            .as_ref()
            .filter(|swapping| swapping.state == PluginState::Compiled)?;
        Some(())
    })
    .await;
    machine.stops.go_on();
    for swap in [first, second] {
        assert_eq!(swap.await.unwrap().verdict, SwapVerdict::Active);
    }
    assert_eq!(active(&host, "mock").swapping, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_goes_away_changes_nothing() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    machine.stops.stop_at(SwapPoint::Linked);
    let caller = tokio::spawn({
        let host = host.clone();
        async move { swap(&host, &good("0.2.0")).await }
    });
    machine.stops.reached(SwapPoint::Linked).await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    machine.stops.go_on();
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    assert_eq!(version(&host, "mock"), "0.2.0");
}

#[tokio::test]
async fn a_dry_run_leaves_nothing_behind() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 2, 1);
    let before = std::fs::read(machine.records().join("mock.json")).unwrap();
    let dry = SwapOptions {
        run: SwapRun::Dry,
        request: Some("my key".to_owned()),
        ..SwapOptions::default()
    };
    let report = swap_as(&host, &good("0.2.0"), dry.clone()).await;
    assert_eq!(
        (report.verdict, report.dry_run),
        (SwapVerdict::DryRun, true)
    );
    assert_eq!(report.request.as_deref(), Some("my key"));
    assert_eq!(report.handles.adopted, 2);
    let stages: Vec<_> = report.stages.iter().map(|stage| stage.stage).collect();
    assert_eq!(stages.last(), Some(&PluginState::Adopted));
    let bad = good("0.3.0").knowing(Said::Lost);
    let report = swap_as(&host, &bad, dry).await;
    assert_eq!(report.verdict, SwapVerdict::Rejected);
    assert_eq!(version(&host, "mock"), "0.1.0");
    assert_eq!((host.plugins().len(), host.generations()), (1, 1));
    assert_eq!(
        std::fs::read(machine.records().join("mock.json")).unwrap(),
        before
    );
    assert_eq!(
        machine.copies(),
        [format!("{}.wasm", digest(&good("0.1.0").component()))]
    );
    let (history, next) = host.history(&"mock".parse().unwrap(), None, 1).unwrap();
    assert_eq!((history[0].id, next), (2, Some(2)));
    let (history, next) = host.history(&"mock".parse().unwrap(), next, 5).unwrap();
    assert_eq!((history[0].id, history.len(), next), (1, 1, None));
}

#[tokio::test]
async fn what_cannot_be_written_down_does_not_serve() {
    let (machine, host) = serving().await;
    let away = machine.records().with_extension("away");
    std::fs::rename(machine.records(), &away).unwrap();
    let report = swap(&host, &good("0.2.0")).await;
    assert_eq!(report.reason.unwrap().code, "storage");
    assert_eq!(version(&host, "mock"), "0.1.0");
    driver(&host, "mock")
        .inspect(&item(), &handle())
        .await
        .unwrap();
    std::fs::rename(&away, machine.records()).unwrap();
    let report = swap(&host, &good("0.2.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active);
    // Nor what cannot be copied.
    let away = machine.store().with_extension("away");
    std::fs::rename(machine.store(), &away).unwrap();
    let report = swap(&host, &good("0.3.0")).await;
    assert_eq!(report.reason.unwrap().code, "storage");
    assert_eq!(version(&host, "mock"), "0.2.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_cannot_be_written_down_is_tried_until_it_can() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    swap(&host, &bad("0.2.0")).await;
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    let away = machine.records().with_extension("away");
    std::fs::rename(machine.records(), &away).unwrap();
    fail(&driver(&host, "mock"), 4).await;
    let report = news.report().await;
    assert_eq!(
        (report.kind, report.verdict),
        (SwapKind::Rollback, SwapVerdict::Rejected)
    );
    assert_eq!(version(&host, "mock"), "0.2.0");
    std::fs::rename(&away, machine.records()).unwrap();
    let report = news.report().await;
    assert_eq!(
        (report.kind, report.verdict),
        (SwapKind::Rollback, SwapVerdict::Active)
    );
    assert_eq!(version(&host, "mock"), "0.1.0");
}

#[tokio::test]
async fn an_older_version_is_taken_with_a_remark() {
    let (_machine, host) = serving().await;
    let report = swap(&host, &good("0.0.9")).await;
    assert_eq!(report.verdict, SwapVerdict::Active);
    assert_eq!(report.remarks, ["it goes back from 0.1.0 to 0.0.9"]);
}

#[tokio::test]
async fn what_is_lost_can_be_accepted() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 250, 1);
    let forgetful = good("0.2.0").knowing(Said::Lost);
    let report = swap(&host, &forgetful).await;
    assert_eq!(report.verdict, SwapVerdict::Rejected);
    assert_eq!(report.failed_handles.len(), 3, "it is clear by then");
    let lenient = SwapOptions {
        adoption: Adoption::Lenient,
        ..SwapOptions::default()
    };
    let report = swap_as(&host, &forgetful, lenient).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(
        (report.handles.looked_at, report.handles.failed),
        (250, 250)
    );
    assert_eq!(plugin(&host, "mock.wasm").version.as_deref(), Some("0.2.0"));
}
