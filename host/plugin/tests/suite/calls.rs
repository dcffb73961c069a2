//! One call and its limits: whatever a guest does, its call ends with a typed error and its
//! neighbours are served.

use std::time::Duration;

use fleet_model::driver::{Creation, RunState};
use fleet_model::{ErrorKind, Verb};

use crate::support::{Guest, Machine, driver, handle, item, item_of, op, workload, workload_id};

const SPIN: &str = "(loop br 0) unreachable";
const GROW: &str = "(loop i32.const 16 memory.grow i32.const -1 i32.ne br_if 0) unreachable";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_limit_ends_with_its_error_and_harms_no_neighbour() {
    let machine = Machine::new();
    let wild = Guest::new("wild")
        .with("start", "unreachable")
        .with("stop", SPIN)
        .with("kill", GROW)
        .with("recover", "(loop i32.const 32768 global.set $free i32.const 640 call $clock.now br 0) unreachable")
        // A text that begins where memory ends.
        .with("inspect", &format!("i32.const 65535 local.set $at i32.const 9 local.set $length {}", crate::support::guest::LOST))
        .with("list", "i32.const 65534")
        .with("watch", "i32.const 512 i32.const 0x01010101 i32.store i32.const 516 i32.const 1 i32.store i32.const 520 i32.const 99 i32.store i32.const 512");
    machine.plugin(
        &wild,
        "[limits]\ncpu_ms = 100\nmemory_bytes = 4194304\ndeadline_ms = 5000",
    );
    machine.plugin(&Guest::new("calm"), "");
    let host = machine.host().await;
    let (wild, calm) = (driver(&host, "wild"), driver(&host, "calm"));

    let neighbour = tokio::spawn(async move {
        for _ in 0..200 {
            let seen = calm.inspect(&item(), &handle()).await.unwrap();
            assert_eq!(seen.state, RunState::Created);
        }
    });
    let start = wild.start(&op(Verb::Start), &handle()).await.unwrap_err();
    assert_eq!(
        (start.kind, start.code.as_str()),
        (ErrorKind::Internal, "trap")
    );
    assert!(
        start.message.contains("`wild` trapped in `start`"),
        "{start}"
    );
    assert!(
        start.details["backtrace"].contains("start"),
        "{:?}",
        start.details
    );
    let stop = wild
        .stop(&op(Verb::Stop), &handle(), "TERM")
        .await
        .unwrap_err();
    assert_eq!(
        (stop.kind, stop.code.as_str()),
        (ErrorKind::Deadline, "cpu-budget")
    );
    assert!(
        stop.message.contains("100 ms") && stop.message.contains("cpu_ms"),
        "{stop}"
    );
    let kill = wild.kill(&op(Verb::Kill), &handle()).await.unwrap_err();
    assert_eq!(
        (kill.kind, kill.code.as_str()),
        (ErrorKind::Exhausted, "memory")
    );
    assert!(
        kill.message.contains("4194304") && kill.message.contains("memory_bytes"),
        "{kill}"
    );
    // One that calls the host all the time does not escape its budget.
    let recover = wild.recover(&[handle()]).await.unwrap_err();
    assert_eq!(recover.code, "cpu-budget");
    let inspect = wild.inspect(&item_of(1), &handle()).await.unwrap_err();
    assert_eq!(
        (inspect.kind, inspect.code.as_str()),
        (ErrorKind::Internal, "trap")
    );
    assert!(wild.list(None, 10).await.is_err());
    assert!(wild.watch(&item_of(2), &handle()).await.is_err());
    neighbour.await.unwrap();
    // And the next call of the same plugin is a new instance.
    wild.destroy(&op(Verb::Destroy), &handle()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_takes_too_long_ends_when_its_time_is_over() {
    let machine = Machine::new();
    machine.plugin(
        &Guest::new("slow").with("inspect", SPIN),
        "[limits]\ncpu_ms = 60000\ndeadline_ms = 100",
    );
    let host = machine.host().await;
    let error = driver(&host, "slow")
        .inspect(&item(), &handle())
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Deadline, "wall-clock")
    );
    assert!(
        error.message.contains("`slow`") && error.message.contains("100 ms"),
        "{error}"
    );
}

/// One worker thread: spinning guests give way to others at every tick.
#[tokio::test]
async fn a_plugin_that_hangs_fills_its_own_lane_only() {
    let machine = Machine::new();
    let limits = "[limits]\nconcurrency = 2\ncpu_ms = 60000\ndeadline_ms = 300";
    machine.plugin(&Guest::new("hung").with("inspect", SPIN), limits);
    machine.plugin(&Guest::new("calm"), "");
    let host = machine.host().await;
    let (hung, calm) = (driver(&host, "hung"), driver(&host, "calm"));
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let hung = hung.clone();
            let item = item_of(number);
            tokio::spawn(async move { hung.inspect(&item, &handle()).await.unwrap_err().code })
        })
        .collect();
    for _ in 0..20 {
        calm.inspect(&item(), &handle()).await.unwrap();
    }
    let mut codes = Vec::new();
    for call in calls {
        codes.push(
            tokio::time::timeout(Duration::from_secs(20), call)
                .await
                .unwrap()
                .unwrap(),
        );
    }
    assert!(
        codes
            .iter()
            .all(|code| code == "wall-clock" || code == "queue"),
        "{codes:?}"
    );
    assert!(codes.iter().any(|code| code == "queue"), "{codes:?}");
    calm.inspect(&item(), &handle()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_run_at_one_time() {
    let machine = Machine::new();
    machine.plugin(&Guest::new("calm"), "[limits]\nconcurrency = 128");
    let host = machine.host().await;
    let calm = driver(&host, "calm");
    let calls: Vec<_> = (0..1_000)
        .map(|_| {
            let calm = calm.clone();
            tokio::spawn(async move { calm.inspect(&item(), &handle()).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn what_is_told_arrives_and_what_is_answered_comes_back() {
    let machine = Machine::new();
    // `create` answers `ready` with a handle of the workload's id; its parameters are in memory at
    // local 0: the op takes 48 bytes, then come the id's place and length.
    let body = "
        i32.const 520 i32.const 0 i32.store8
        i32.const 528 i32.const 9 i32.store
        i32.const 532 local.get 0 i32.const 48 i32.add i32.load i32.store
        i32.const 536 local.get 0 i32.const 52 i32.add i32.load i32.store
        i32.const 512";
    machine.plugin(&Guest::new("echo").with("create", body), "");
    let host = machine.host().await;
    let echo = driver(&host, "echo");
    let workload = workload(&["true"], serde_json::json!({}));
    let Creation::Ready {
        handle,
        kill_target,
    } = echo.create(&op(Verb::Create), &workload).await.unwrap()
    else {
        panic!("not ready")
    };
    assert_eq!((handle.schema, kill_target), (9, None));
    assert_eq!(
        String::from_utf8(handle.opaque).unwrap(),
        workload_id().to_string()
    );
    let many = vec![self::handle(); 3];
    let error = echo.recover(&many).await.unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Internal, "bad-answer")
    );
    assert_eq!(echo.list(None, 5).await.unwrap(), (vec![], None));
    assert!(
        echo.watch(&item(), &self::handle())
            .await
            .unwrap()
            .is_none()
    );
}
