//! The plugin folder as a mailbox.

use std::fs;
use std::time::Duration;

use fleet_model::plugin::PluginState;
use fleet_model::swap::{SwapCause, SwapVerdict};
use fleet_plugin::{Drivers, SwapPoint, Swaps};

use super::{good, serving};
use crate::support::guest::Said;
use crate::support::swaps::{News, active, digest, states, swap, until, version};
use crate::support::{Guest, Machine, driver, handle, item};

/// Puts a guest with its manifest in the place of what is there.
fn drop_in(machine: &Machine, guest: &Guest) {
    // Made before, so that the two come soon after each other.
    let component = guest.component();
    machine.file("mock.toml", guest.manifest(""));
    rename_over(machine, "mock.wasm", component);
}

/// Puts a file in the place of another, complete or not at all.
fn rename_over(machine: &Machine, file: &str, content: impl AsRef<[u8]>) {
    machine.file(".new", content);
    fs::rename(machine.folder().join(".new"), machine.folder().join(file)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_dropped_over_the_old_one_is_swapped_in() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 2, 1);
    let mut news = News::of(&host);
    drop_in(&machine, &good("0.2.0"));
    let report = news.report().await;
    assert_eq!(
        (report.verdict, report.cause),
        (SwapVerdict::Active, SwapCause::File),
        "{report:?}"
    );
    assert_eq!(report.file.as_deref(), Some("mock.wasm"));
    assert_eq!(report.handles.adopted, 2);
    let stages: Vec<_> = report
        .stages
        .iter()
        .map(|stage| stage.stage.as_str())
        .collect();
    assert_eq!(
        stages,
        [
            "verified", "compiled", "linked", "probed", "adopted", "active", "draining"
        ]
    );
    assert!(report.active_after_ms.unwrap() <= report.took_ms);
    assert_eq!(version(&host, "mock"), "0.2.0");
    // Written in place, the manifest first: it is the pair that counts.
    let last = good("0.3.0");
    let component = last.component();
    machine.file("mock.toml", last.manifest(""));
    machine.file("mock.wasm", component);
    let report = news.report().await;
    assert_eq!(
        (report.verdict, report.id),
        (SwapVerdict::Active, 2),
        "{report:?}"
    );
    // Back again: it has appeared once more.
    drop_in(&machine, &good("0.1.0"));
    let report = news.report().await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(report.remarks.len(), 1);
    assert_eq!(version(&host, "mock"), "0.1.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_the_same_is_no_request() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    // Written anew, and with another text of the same manifest.
    rename_over(&machine, "mock.wasm", good("0.1.0").component());
    machine.file(
        "mock.toml",
        format!("# mine\n{}", good("0.1.0").manifest("")),
    );
    // A second plugin comes after it: the first one was looked at by then.
    machine.plugin(&Guest::new("second"), "");
    until(&host, "the second", |rows| {
        rows.iter()
            .find(|row| row.name == "second" && row.state == PluginState::Active)
            .map(|_| ())
    })
    .await;
    drop_in(&machine, &good("0.2.0"));
    let report = news.report().await;
    assert_eq!((report.id, report.verdict), (1, SwapVerdict::Active));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_half_written_file_is_told_and_taken_when_it_is_whole() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    let next = good("0.2.0");
    let component = next.component();
    machine.file("mock.toml", next.manifest(""));
    machine.file("mock.wasm", &component[..component.len() / 2]);
    let report = news.report().await;
    assert_eq!(report.reason.unwrap().code, "bad-component");
    assert_eq!(states(&host, "mock").len(), 2);
    machine.file("mock.wasm", &component);
    let report = news.report().await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(host.plugins().len(), 1, "{:?}", host.plugins());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_keeps_changing_is_taken_when_it_lies_still() {
    let (mut machine, _) = serving().await;
    machine.swap.settle_ms = 300;
    let host = machine.host().await;
    let mut news = News::of(&host);
    let next = good("0.2.0");
    let component = next.component();
    machine.file("mock.toml", next.manifest(""));
    let mut file = fs::File::create(machine.folder().join("mock.wasm")).unwrap();
    for part in component.chunks(component.len() / 10 + 1) {
        std::io::Write::write_all(&mut file, part).unwrap();
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let report = news.report().await;
    assert_eq!(
        report.verdict,
        SwapVerdict::Active,
        "half of it was taken: {report:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_files_are_told_once_each() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    let file = machine.folder().join("mock.wasm");
    let huge = || {
        let sparse = fs::File::create(machine.folder().join(".huge")).unwrap();
        sparse.set_len(100 << 20).unwrap();
        fs::rename(machine.folder().join(".huge"), &file).unwrap();
    };
    let link = || {
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/bin/sh", &file).unwrap();
    };
    let typo = || {
        let component = good("0.2.0").component();
        machine.file(
            "mock.toml",
            "name = \"mock\"\nkind = \"backend\"\nversion = 1",
        );
        rename_over(&machine, "mock.wasm", component);
    };
    let other = || {
        drop_in(&machine, &Guest::new("other"));
    };
    let twin = || {
        let component = good("0.2.0").component();
        machine.file("twin.toml", good("0.2.0").manifest(""));
        machine.file("twin.wasm", component);
    };
    let cases: [(&dyn Fn(), &str, &str); 5] = [
        (&huge, "too-large", "is larger than 65536 KiB"),
        (&link, "link-out-of-folder", "outside of the plugin folder"),
        (&typo, "bad-manifest", "mock.toml:3"),
        (&other, "other-name", "put it into other.wasm"),
        (&twin, "name-taken", "mock.wasm brings already"),
    ];
    for (put, code, want) in cases {
        put();
        let report = news.report().await;
        let reason = report.reason.unwrap();
        assert_eq!(
            (report.plugin.as_str(), reason.code.as_str()),
            ("mock", code)
        );
        assert!(reason.message.contains(want), "{}", reason.message);
        let row = host
            .plugins()
            .into_iter()
            .find(|row| row.reason.as_deref() == Some(reason.message.as_str()))
            .unwrap();
        assert_eq!((row.state, row.usable), (PluginState::Rejected, false));
        assert_eq!(version(&host, "mock"), "0.1.0");
    }
    driver(&host, "mock")
        .inspect(&item(), &handle())
        .await
        .unwrap();
    // The twin goes, and what served comes back to its place: nothing is told of them any more.
    for name in ["twin.wasm", "twin.toml"] {
        fs::remove_file(machine.folder().join(name)).unwrap();
    }
    drop_in(&machine, &good("0.1.0"));
    until(&host, "one row", |rows| (rows.len() == 1).then_some(())).await;
    assert!(news.is_quiet());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_goes_takes_nothing_out_of_service() {
    let (machine, host) = serving().await;
    fs::remove_file(machine.folder().join("mock.wasm")).unwrap();
    let remark = until(&host, "a remark", |rows| rows[0].remarks.first().cloned()).await;
    assert!(
        remark.contains("mock.wasm is not in the plugin folder")
            && remark.contains("serves all the same"),
        "{remark}"
    );
    driver(&host, "mock")
        .inspect(&item(), &handle())
        .await
        .unwrap();
    assert_eq!(version(&host, "mock"), "0.1.0");
    drop(host);
    // Nor at the next start.
    let host = machine.host().await;
    assert_eq!(version(&host, "mock"), "0.1.0");
    machine.file("mock.wasm", good("0.1.0").component());
    until(&host, "no remark", |rows| {
        rows[0].remarks.is_empty().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plugin_moves_to_another_file() {
    let (machine, host) = serving().await;
    for end in ["toml", "wasm"] {
        let (from, to) = (format!("mock.{end}"), format!("moved.{end}"));
        fs::rename(machine.folder().join(from), machine.folder().join(to)).unwrap();
    }
    until(&host, "its move", |rows| {
        (rows[0].file == "moved.wasm").then_some(())
    })
    .await;
    assert_eq!(host.plugins().len(), 1);
    let mut news = News::of(&host);
    let next = good("0.2.0");
    let component = next.component();
    machine.file("moved.toml", next.manifest(""));
    rename_over(&machine, "moved.wasm", component);
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_plugins_are_installed_while_the_host_runs() {
    let (machine, host) = serving().await;
    machine.file("fresh.wasm", "this is no component");
    machine.file("fresh.toml", Guest::new("fresh").manifest(""));
    until(&host, "its refusal", |rows| {
        let row = rows.iter().find(|row| row.file == "fresh.wasm")?;
        (row.state == PluginState::Rejected).then_some(())
    })
    .await;
    machine.file("fresh.wasm", Guest::new("fresh").component());
    until(&host, "the plugin", |rows| {
        rows.iter()
            .find(|row| row.name == "fresh" && row.state == PluginState::Active)
            .map(|_| ())
    })
    .await;
    driver(&host, "fresh")
        .inspect(&item(), &handle())
        .await
        .unwrap();
    // Two of one name are both refused, until one of them goes.
    for file in ["one", "two"] {
        machine.file(&format!("{file}.toml"), Guest::new("twin").manifest(""));
        machine.file(&format!("{file}.wasm"), Guest::new("twin").component());
    }
    until(&host, "both refusals", |rows| {
        let twins = rows
            .iter()
            .filter(|row| row.name == "twin" && row.state == PluginState::Rejected);
        (twins.count() == 2).then_some(())
    })
    .await;
    fs::remove_file(machine.folder().join("one.wasm")).unwrap();
    until(&host, "the other one", |rows| {
        rows.iter()
            .find(|row| row.name == "twin" && row.state == PluginState::Active)
            .map(|_| ())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_files_at_once_do_not_wait_for_each_other() {
    let machine = Machine::new();
    let names = ["one", "two"];
    for name in names {
        machine.plugin(&Guest::new(name), "");
    }
    let host = machine.host().await;
    let mut news = News::of(&host);
    for name in names {
        machine.plugin(&Guest::new(name).version("0.2.0"), "");
    }
    let mut swapped = [news.report().await, news.report().await];
    swapped.sort_by(|a, b| a.plugin.cmp(&b.plugin));
    for (report, name) in swapped.iter().zip(names) {
        assert_eq!(
            (report.plugin.as_str(), report.verdict),
            (name, SwapVerdict::Active)
        );
        assert_eq!(version(&host, name), "0.2.0");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_comes_during_a_swap_waits_for_its_end() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    machine.stops.stop_at(SwapPoint::Probed);
    let first = tokio::spawn({
        let host = host.clone();
        async move { swap(&host, &good("0.2.0")).await }
    });
    machine.stops.reached(SwapPoint::Probed).await;
    // The last of several is meant.
    for version in ["0.3.0", "0.4.0"] {
        drop_in(&machine, &good(version));
    }
    machine.stops.go_on();
    first.await.unwrap();
    let mut last = news.report().await;
    while last.to.as_ref().unwrap().version != "0.4.0" {
        last = news.report().await;
    }
    assert_eq!(last.verdict, SwapVerdict::Active);
    assert_eq!(version(&host, "mock"), "0.4.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_disk_did_not_take_is_a_request_again_when_it_is_touched() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    let away = machine.store().with_extension("away");
    fs::rename(machine.store(), &away).unwrap();
    drop_in(&machine, &good("0.2.0"));
    assert_eq!(news.report().await.reason.unwrap().code, "storage");
    assert_eq!(version(&host, "mock"), "0.1.0");
    fs::rename(&away, machine.store()).unwrap();
    rename_over(&machine, "mock.wasm", good("0.2.0").component());
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    assert_eq!(version(&host, "mock"), "0.2.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_comes_during_a_rollback_by_hand_waits_for_its_end() {
    let (machine, host) = serving().await;
    let mut news = News::of(&host);
    swap(&host, &good("0.2.0")).await;
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    machine.stops.stop_at(SwapPoint::RollbackRecorded);
    let back = tokio::spawn({
        let host = host.clone();
        async move { host.rollback(&"mock".parse().unwrap(), None).await.unwrap() }
    });
    machine.stops.reached(SwapPoint::RollbackRecorded).await;
    // It is looked at, and found busy, while the way back has yet to end.
    drop_in(&machine, &good("0.3.0"));
    tokio::time::sleep(Duration::from_millis(600)).await;
    machine.stops.go_on();
    assert_eq!(back.await.unwrap().verdict, SwapVerdict::Active);
    assert_eq!(news.report().await.to.unwrap().version, "0.1.0");
    assert_eq!(news.report().await.to.unwrap().version, "0.3.0");
    assert_eq!(version(&host, "mock"), "0.3.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rejected_file_is_not_tried_again_until_something_else_appears() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 1, 1);
    let mut news = News::of(&host);
    let bad = good("0.2.0").knowing(Said::Lost);
    drop_in(&machine, &bad);
    assert_eq!(news.report().await.reason.unwrap().code, "adoption");
    let row = host.plugins().into_iter().nth(1).unwrap();
    assert_eq!(row.digest, Some(digest(&bad.component())));
    // The same once more: nothing has appeared.
    rename_over(&machine, "mock.wasm", bad.component());
    machine.plugin(&Guest::new("second"), "");
    until(&host, "the second", |rows| {
        rows.iter()
            .find(|row| row.name == "second" && row.state == PluginState::Active)
            .map(|_| ())
    })
    .await;
    assert!(news.is_quiet());
    // Gone and come again: it has.
    fs::remove_file(machine.folder().join("mock.wasm")).unwrap();
    until(&host, "its row to go", |rows| {
        let of_mock = rows.iter().filter(|row| row.name == "mock");
        (of_mock.count() == 1).then_some(())
    })
    .await;
    machine.alive.set("mock", 0, 1);
    machine.file("mock.wasm", bad.component());
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    assert_eq!(active(&host, "mock").remarks, Vec::<String>::new());
    assert_eq!(
        host.history(&"mock".parse().unwrap(), None, 9)
            .unwrap()
            .0
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_folder_in_its_place_is_seen() {
    let (mut machine, _) = serving().await;
    machine.swap.rescan_ms = 200;
    let host = machine.host().await;
    let mut news = News::of(&host);
    let (folder, away) = (machine.folder(), machine.folder().with_extension("away"));
    fs::rename(&folder, &away).unwrap();
    fs::create_dir(&folder).unwrap();
    let next = good("0.2.0");
    machine.plugin(&next, "");
    assert_eq!(news.report().await.verdict, SwapVerdict::Active);
    // And it is watched from then on.
    machine.plugin(&good("0.3.0"), "");
    assert_eq!(news.report().await.to.unwrap().version, "0.3.0");
}
