//! The shipped backends, as any other plugin: what they ask for, what they get, what they reach.

use fleet_model::driver::{Creation, Handle, RunState, Workload};
use fleet_model::plugin::PluginState;
use fleet_model::{ErrorKind, Op, Verb};
use fleet_plugin::{Driver, default_grants, manifests};
use futures::StreamExt;
use serde_json::json;

use crate::support::{Machine, driver, item, op, plugin, shipped, workload, workload_id};

/// A machine with both, and with the grants of a first start.
pub(crate) fn machine(limits: &str) -> Machine {
    let mut machine = Machine::new();
    for name in ["native", "mock"] {
        machine.file(&format!("{name}.wasm"), shipped(&format!("{name}.wasm")));
        let manifest = String::from_utf8(shipped(&format!("{name}.toml"))).unwrap();
        machine.file(&format!("{name}.toml"), format!("{manifest}\n{limits}"));
    }
    let names = ["native", "mock"].map(|name| name.parse().unwrap());
    machine.grants = default_grants(&manifests(&machine.folder()).unwrap(), &names, &[]);
    machine
}

pub(crate) async fn ready(driver: &dyn Driver, workload: &Workload) -> Handle {
    match driver.create(&op(Verb::Create), workload).await.unwrap() {
        Creation::Ready { handle, .. } => handle,
        pending => panic!("{pending:?}"),
    }
}

#[tokio::test]
async fn native_reaches_programs_through_its_launcher_under_its_op() {
    let machine = machine("");
    let host = machine.host().await;
    let shown = plugin(&host, "native.wasm");
    assert_eq!(
        (shown.state, shown.usable, shown.reason),
        (PluginState::Active, true, None)
    );
    assert_eq!(
        (
            shown.attributes["isolation"].as_str(),
            shown.attributes["launchers"].as_str()
        ),
        ("none", "dev")
    );
    let launcher = shown
        .capabilities
        .iter()
        .find(|capability| capability.name == "process.launcher dev")
        .unwrap();
    assert_eq!(
        (launcher.effective, launcher.granted.as_deref()),
        (true, Some("any program"))
    );

    let native = driver(&host, "native");
    let handle = ready(native.as_ref(), &workload(&["sleep", "1"], json!({}))).await;
    native.start(&op(Verb::Start), &handle).await.unwrap();
    let seen = native.inspect(&item(), &handle).await.unwrap();
    assert_eq!(
        (seen.state, seen.attributes["pid"].as_str()),
        (RunState::Running, "4711")
    );
    assert_eq!(
        native
            .recover(&vec![handle.clone(); 250])
            .await
            .unwrap()
            .len(),
        250
    );
    let mut end = native
        .watch(&item(), &handle)
        .await
        .unwrap()
        .expect("a source");
    assert!(end.output.next().await.is_none());
    native
        .logs(&item(), &handle, &Default::default())
        .await
        .unwrap();
    let command = Op {
        call: "key-1".to_owned(),
        ..op(Verb::Send)
    };
    native
        .send(&command, &handle, "save\n".into())
        .await
        .unwrap();
    native.stop(&op(Verb::Stop), &handle, "TERM").await.unwrap();
    native.kill(&op(Verb::Kill), &handle).await.unwrap();
    native.destroy(&op(Verb::Destroy), &handle).await.unwrap();

    let id = workload_id();
    let calls = machine.processes.calls.lock().unwrap().clone();
    for want in [
        format!("native prepare workload/{id}@3.1:create dev [\"sleep\", \"1\"]"),
        format!("native start workload/{id}@3.1:start {id}/3.1"),
        format!("native send workload/{id}@3.1:send#key-1 {id}/3.1 b\"save\\n\""),
        format!("native signal workload/{id}@3.1:stop {id}/3.1 TERM"),
        format!("native kill workload/{id}@3.1:kill {id}/3.1"),
        format!("native remove workload/{id}@3.1:destroy {id}/3.1"),
    ] {
        assert!(calls.contains(&want), "{want} is not in {calls:#?}");
    }
}

#[tokio::test]
async fn native_without_a_grant_says_which_line_is_missing() {
    let mut machine = machine("");
    machine.grants = String::new();
    let host = machine.host().await;
    let shown = plugin(&host, "native.wasm");
    assert_eq!((shown.state, shown.usable), (PluginState::Active, false));
    assert!(
        shown
            .reason
            .unwrap()
            .contains("[native.process.launchers.dev]")
    );
    let native = driver(&host, "native");
    let error = native
        .create(&op(Verb::Create), &workload(&["true"], json!({})))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "not-granted")
    );
    assert!(
        error.message.contains("[native.process.launchers.dev]"),
        "{error}"
    );
    assert!(
        error
            .message
            .contains(&machine.grants_path().display().to_string()),
        "{error}"
    );
    assert!(machine.processes.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_launcher_that_nobody_granted_is_refused_with_its_line() {
    let machine = machine("");
    let host = machine.host().await;
    let native = driver(&host, "native");
    let workload = workload(&["true"], json!({"launcher": "root"}));
    let error = native
        .create(&op(Verb::Create), &workload)
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind, error.code.as_str()),
        (ErrorKind::Denied, "not-granted")
    );
    assert!(
        error.message.contains("[native.process.launchers.root]"),
        "{error}"
    );
    assert!(machine.processes.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn mock_plays_its_life_and_prints() {
    let machine = machine("");
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    let plan = json!({"run_ms": 0, "exit_code": 3, "output": ["hello"]});
    let handle = ready(mock.as_ref(), &workload(&[], plan)).await;
    let handle = mock.start(&op(Verb::Start), &handle).await.unwrap();
    match mock.inspect(&item(), &handle).await.unwrap().state {
        RunState::Exited { exit } => assert_eq!(exit.code, 3),
        other => panic!("{other:?}"),
    }
    let logs = mock
        .logs(&item(), &handle, &Default::default())
        .await
        .unwrap();
    let lines: Vec<_> = logs
        .output
        .map(|frame| frame.unwrap().bytes)
        .collect()
        .await;
    assert_eq!(lines, ["hello"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mock_misbehaves_and_each_fault_has_its_error() {
    let machine = machine("[limits]\ncpu_ms = 100\ndeadline_ms = 1000\nmemory_bytes = 16777216");
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    for (fault, kind, code, wants) in [
        (
            "trap",
            ErrorKind::Internal,
            "trap",
            "planned fault in Start",
        ),
        ("spin", ErrorKind::Deadline, "cpu-budget", "cpu_ms"),
        ("allocate", ErrorKind::Exhausted, "memory", "memory_bytes"),
        ("hang", ErrorKind::Deadline, "wall-clock", "deadline_ms"),
        ("internal", ErrorKind::Internal, "planned-fault", "planned"),
    ] {
        let plan = json!({"fault": fault, "fault_in": "start"});
        let handle = ready(mock.as_ref(), &workload(&[], plan)).await;
        let error = mock.start(&op(Verb::Start), &handle).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (kind, code),
            "{fault}: {error}"
        );
        assert!(error.message.contains(wants), "{fault}: {error}");
        if fault == "trap" {
            assert!(error.message.contains("panicked at"), "{error}");
            assert!(
                error.details["backtrace"].contains("function"),
                "{:?}",
                error.details
            );
        }
        let calm = ready(mock.as_ref(), &workload(&[], json!({}))).await;
        mock.start(&op(Verb::Start), &calm).await.unwrap();
    }
}
