//! A plugin that fails one workload again and again is left alone with that one.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::{ErrorKind, Verb};
use fleet_seam::SimClock;
use serde_json::json;

use crate::shipped::{machine, ready};
use crate::support::{driver, item, item_of, op, op_of, workload};

#[tokio::test]
async fn after_five_failures_a_workload_is_paused_and_others_are_not() {
    let clock = Arc::new(SimClock::new(1_000_000));
    let mut machine = machine("");
    machine.clock = clock.clone();
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    let plan = json!({"fault": "trap", "fault_in": "start"});
    let broken = ready(mock.as_ref(), &workload(&[], plan)).await;
    let start = async || mock.start(&op(Verb::Start), &broken).await.unwrap_err();
    for _ in 0..5 {
        assert_eq!(start().await.code, "trap");
    }
    clock.advance(Duration::from_millis(1_000));
    let refused = start().await;
    assert_eq!(
        (refused.kind, refused.code.as_str(), refused.retry_after_ms),
        (ErrorKind::Exhausted, "failure-budget", Some(4_000))
    );
    assert!(
        refused.message.contains("planned fault in Start"),
        "it names the last failure: {refused}"
    );
    assert_eq!(refused.details["item"], item().to_string());
    // Calls without an op count for their item, too.
    let looked = mock.inspect(&item(), &broken).await.unwrap_err();
    assert_eq!(looked.code, "failure-budget");
    // Another item, and calls for none, are served.
    mock.inspect(&item_of(2), &broken).await.unwrap();
    let other = mock.start(&op_of(3, Verb::Start), &broken).await;
    assert_eq!(other.unwrap_err().code, "trap");
    mock.recover(std::slice::from_ref(&broken)).await.unwrap();
    mock.fingerprint().await.unwrap();

    // A trial, which fails: twice the pause. One that succeeds: all is forgotten.
    clock.advance(Duration::from_millis(4_000));
    assert_eq!(start().await.code, "trap");
    assert_eq!(start().await.retry_after_ms, Some(10_000));
    clock.advance(Duration::from_millis(10_000));
    mock.inspect(&item(), &broken).await.unwrap();
    assert_eq!(start().await.code, "trap");
}

#[tokio::test]
async fn an_orderly_refusal_is_no_failure() {
    let machine = machine("");
    let host = machine.host().await;
    let mock = driver(&host, "mock");
    let plan = json!({"start_error": {"kind": "unavailable"}});
    let handle = ready(mock.as_ref(), &workload(&[], plan)).await;
    for _ in 0..20 {
        let error = mock.start(&op(Verb::Start), &handle).await.unwrap_err();
        assert_eq!(
            (error.kind, error.code.as_str()),
            (ErrorKind::Unavailable, "planned")
        );
    }
}
