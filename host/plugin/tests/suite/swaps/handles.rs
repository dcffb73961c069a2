//! Handles of several schemas, and what code may do before it serves.

use std::fs;
use std::path::PathBuf;

use fleet_model::driver::{Handle, RunState};
use fleet_model::swap::{Adoption, SwapEvent, SwapVerdict};
use fleet_model::{ErrorKind, Generation, Op, Verb};
use fleet_plugin::{CompileCommand, Drivers, SwapOptions, Swaps};

use super::{good, serving};
use crate::support::guest::{Said, answering};
use crate::support::swaps::{
    News, active, digest, swap, swap_as, until, upload_with, version, within,
};
use crate::support::{Guest, Machine, driver, item, op, workload_id};

/// Reads 1 and 2, and writes 2 unless it is told otherwise.
fn bilingual(version: &str) -> Guest {
    // `start` answers a handle of the schema it is to write; an option<u32> is at 700.
    let body = "
        i32.const 700 call $handles.write-schema
        i32.const 516
        i32.const 700 i32.load8_u
        if (result i32) i32.const 704 i32.load else i32.const 2 end
        i32.store
        i32.const 512";
    good(version).handles(2, &[1, 2]).with("start", body)
}

fn of_schema(schema: u32) -> Handle {
    Handle {
        schema,
        opaque: vec![7],
    }
}

#[tokio::test]
async fn on_probation_handles_are_written_so_that_the_one_before_reads_them() {
    let mut machine = Machine::new();
    let clock = std::sync::Arc::new(fleet_seam::SimClock::new(0));
    machine.clock = clock.clone();
    machine.swap.settle_ms = 0;
    machine.plugin(&good("0.1.0"), "");
    machine.alive.set("mock", 1, 1);
    let host = machine.host().await;
    let mut news = News::of(&host);
    let written = async || {
        let mock = driver(&host, "mock");
        let started = mock.start(&op(Verb::Start), &of_schema(1)).await.unwrap();
        started.schema
    };
    let report = swap(&host, &bilingual("0.2.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(written().await, 1);
    // Its successor on probation is held to what would be put back, not to it.
    swap(&host, &bilingual("0.3.0")).await;
    assert_eq!(written().await, 1);
    clock.advance(std::time::Duration::from_secs(60));
    assert!(matches!(news.other().await, SwapEvent::Proven { .. }));
    assert_eq!(written().await, 2);
    // From one that reads both to another nothing is held back.
    swap(&host, &bilingual("0.4.0")).await;
    assert_eq!(written().await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_code_answers_for_the_handles_that_only_it_reads() {
    let mut machine = Machine::new();
    machine.swap.rescan_ms = 200;
    let (old, new) = strangers();
    machine.plugin(&old, "");
    machine.alive.set("mock", 2, 1);
    let host = machine.host().await;
    let report = swap_as(&host, &new, lenient()).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    let state = async |host: &fleet_plugin::PluginHost, schema| {
        let mock = driver(host, "mock");
        mock.inspect(&item(), &of_schema(schema))
            .await
            .unwrap()
            .state
    };
    use RunState::{Created, Running};
    assert_eq!(
        (state(&host, 1).await, state(&host, 2).await),
        (Running, Created)
    );
    let mixed = [of_schema(1), of_schema(2), of_schema(1)];
    assert_eq!(
        driver(&host, "mock").recover(&mixed).await.unwrap().len(),
        3
    );
    assert_eq!(host.generations(), 2);
    drop(host);
    // Over a restart as well.
    let host = machine.host().await;
    assert_eq!(host.generations(), 2);
    assert_eq!(
        (state(&host, 1).await, state(&host, 2).await),
        (Running, Created)
    );
    // It goes with the last of them.
    machine.alive.set("mock", 2, 2);
    let gone = async {
        while host.generations() > 1 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    within("the old code to go", gone).await;
    assert_eq!(state(&host, 2).await, Created);
}

/// A guest in version 0.1.0 that knows handles of schema 1, and one in 0.2.0 that traps on them.
fn strangers() -> (Guest, Guest) {
    let old = good("0.1.0").with(
        "inspect",
        "i32.const 520 i32.const 1 i32.store8 i32.const 512",
    );
    let new = good("0.2.0").handles(2, &[2]).with(
        "inspect",
        "local.get 0 i32.const 1 i32.eq if unreachable end i32.const 512",
    );
    (old, new)
}

fn lenient() -> SwapOptions {
    SwapOptions {
        adoption: Adoption::Lenient,
        way: fleet_plugin::SwapWay::OneWay,
        ..SwapOptions::default()
    }
}

/// A machine on which the second of them serves, beside the first. The host is not there any more, nor
/// is the compiled form of the first.
async fn both_before_a_restart() -> Machine {
    let machine = Machine::new();
    let (old, new) = strangers();
    machine.plugin(&old, "");
    machine.alive.set("mock", 2, 1);
    let host = machine.host().await;
    let compiled: Vec<PathBuf> = fs::read_dir(machine.cache())
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    let report = swap_as(&host, &new, lenient()).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    drop(host);
    for file in compiled {
        fs::remove_file(file).unwrap();
    }
    machine
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_asked_after_a_start_before_all_code_is_there() {
    let mut machine = both_before_a_restart().await;
    // The compiler says that it was asked, and waits.
    let (asked, may) = (machine.folder().join("asked"), machine.folder().join("may"));
    let script =
        ": > \"$1\"; while [ ! -e \"$2\" ]; do /bin/sleep 0.02; done; shift 2; exec \"$@\"";
    let CompileCommand { program, .. } = machine.compile.clone();
    machine.compile = CompileCommand {
        program: "/bin/sh".into(),
        args: vec![
            "-c".into(),
            script.into(),
            "sh".into(),
            asked.clone().into(),
            may.clone().into(),
            program.into(),
        ],
    };
    let host = machine.open().unwrap();
    let compiles = async {
        while !asked.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    within("the compiler", compiles).await;
    let mock = "mock".parse().unwrap();
    assert!(
        host.driver(&mock).is_err(),
        "it serves without the old code"
    );
    fs::write(&may, "").unwrap();
    within("the start", host.settled()).await;
    let seen = driver(&host, "mock").inspect(&item(), &of_schema(1)).await;
    assert_eq!(seen.unwrap().state, RunState::Running);
    assert_eq!(version(&host, "mock"), "0.2.0");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_is_not_asked_about_what_it_does_not_read() {
    let machine = both_before_a_restart().await;
    // The old code is lost for good.
    let copy = digest(&strangers().0.component());
    fs::remove_file(machine.store().join(format!("{copy}.wasm"))).unwrap();
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    for number in 0..6 {
        let item = crate::support::item_of(number);
        let error = mock.inspect(&item, &of_schema(1)).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Unavailable, "handle-schema"),
            "{error}"
        );
    }
    mock.inspect(&item(), &of_schema(2)).await.unwrap();
    // That is no failure of the new code, and what reads both ends it.
    assert!(active(&host, "mock").probation_until_ms.is_some());
    assert_eq!(version(&host, "mock"), "0.2.0");
    let report = swap(&host, &bilingual("0.3.0").knowing(Said::Lost)).await;
    assert_eq!(report.failed_handles[0].was, "recorded", "{report:?}");
    let report = swap(&host, &bilingual("0.3.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    mock.inspect(&item(), &of_schema(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_of_other_code_are_shown_to_what_would_take_them_over() {
    let machine = Machine::new();
    machine.plugin(&good("0.1.0"), "");
    machine.alive.set("mock", 3, 1);
    let host = machine.host().await;
    let other = good("0.2.0").handles(2, &[2]);
    let report = swap_as(&host, &other, lenient()).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    // What goes on being the other code's is no matter of it.
    let third = good("0.3.0").handles(2, &[2]).knowing(Said::Lost);
    let report = swap(&host, &third).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(report.handles.looked_at, 0);
    let reader = bilingual("0.4.0").knowing(Said::Lost);
    let report = swap(&host, &reader).await;
    assert_eq!(report.verdict, SwapVerdict::Rejected, "{report:?}");
    assert_eq!(report.reason.unwrap().code, "adoption");
    assert_eq!(report.failed_handles[0].was, "running");
    let report = swap(&host, &bilingual("0.5.0")).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!((report.handles.looked_at, report.handles.adopted), (3, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_to_and_fro_between_schemas_keeps_nothing_twice() {
    let mut machine = Machine::new();
    machine.swap.limits.probation_ms = 0;
    let (one, both) = (good("0.1.0"), bilingual("0.2.0"));
    machine.plugin(&one, "");
    machine.alive.set("mock", 1, 1);
    let host = machine.host().await;
    for _ in 0..5 {
        for (next, generations) in [(&both, 1), (&one, 2)] {
            let report = swap(&host, next).await;
            assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
            // The newer one is kept for handles that it may have made just now.
            assert_eq!(host.generations(), generations);
        }
    }
    drop(host);
    let record = fs::read_to_string(machine.records().join("mock.json")).unwrap();
    let record: serde_json::Value = serde_json::from_str(&record).unwrap();
    assert_eq!(record["kept"].as_array().unwrap().len(), 1, "{record}");
    assert_eq!(machine.host().await.generations(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_serve_yet_can_only_look() {
    let mut machine = Machine::new();
    machine.grants = "[mock]\n[mock.process.launchers.dev]\nany = true".to_owned();
    let asks = "[capabilities]\nprocess = { launchers = [\"dev\"] }";
    machine.plugin(&good("0.1.0"), asks);
    machine.alive.set("mock", 2, 1);
    let host = machine.host().await;
    // `recover` and `fingerprint` kill a process under an op that looks right.
    let mut killer = good("0.2.0");
    let kill = Op {
        generation: Generation(3),
        ..op(Verb::Kill)
    };
    let (id, item) = (
        killer.text(&kill.to_string()),
        killer.text(&kill.item.to_string()),
    );
    let (verb, reference) = (
        killer.text("kill"),
        killer.text(&format!("{}/3.1", workload_id())),
    );
    let text = |text: crate::support::guest::Text| {
        format!("i32.const {} i32.const {}", text.at, text.length)
    };
    let call = format!(
        "{} {} i64.const 3 i64.const 1 {} i32.const 0 i32.const 0 {} i32.const 700 call $process.kill",
        text(id),
        text(item),
        text(verb),
        text(reference)
    );
    let killer = killer
        .with("recover", &format!("{call} {}", answering(Said::Running)))
        .with("fingerprint", &format!("{call} i32.const 512"))
        // And `kill` as it should be, to see that the call as such is right.
        .with(
            "kill",
            &format!("{call} i32.const 700 i32.load8_u if unreachable end i32.const 512"),
        );
    let mock = "mock".parse().unwrap();
    let report = host.swap(&mock, upload_with(&killer, asks), SwapOptions::default());
    let report = within("a swap", report).await.unwrap();
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!(report.handles.adopted, 2);
    let calls = machine.processes.calls.lock().unwrap().clone();
    assert!(
        calls.is_empty(),
        "it did something before it served: {calls:?}"
    );
    driver(&host, "mock")
        .kill(&kill, &of_schema(1))
        .await
        .unwrap();
    let calls = machine.processes.calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 1, "{calls:?}");
}

#[tokio::test]
async fn what_goes_while_it_is_asked_about_is_not_lost() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 5, 1);
    // One look for the schemas, one for the first question; none of them is there at the second.
    machine.alive.gone_after(3);
    let report = swap(&host, &good("0.2.0").knowing(Said::Lost)).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    assert_eq!((report.handles.looked_at, report.handles.failed), (5, 0));
}

#[tokio::test]
async fn an_item_that_ends_meanwhile_is_not_lost() {
    let (machine, host) = serving().await;
    machine.alive.set("mock", 1, 1);
    // The old code says that it runs, the new one that it is over.
    let report = swap(&host, &good("0.2.0").knowing(Said::Exited)).await;
    assert_eq!(report.verdict, SwapVerdict::Active, "{report:?}");
    until(&host, "its row", |rows| {
        rows[0].version.clone().filter(|is| is == "0.2.0")
    })
    .await;
    assert!(host.swaps().is_some());
}
