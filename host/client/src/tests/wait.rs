use std::sync::atomic::{AtomicUsize, Ordering};

use fleet_model::Generation;
use fleet_model::workload::WorkloadState;
use serde_json::json;

use super::{Answer, ID, SSE, Server, workload};
use crate::ClientError;

fn changed(seq: u64) -> String {
    let event =
        json!({"seq": seq, "at_ms": 1, "type": "workload.changed", "subject": ID, "message": "m"});
    format!("id: {seq}\ndata: {event}\n\n")
}

fn generation(number: u64) -> Generation {
    serde_json::from_value(json!(number)).unwrap()
}

/// A server with one workload whose looks are given, the last one for ever.
async fn server(streams: Vec<Answer>, looks: Vec<Answer>) -> Server {
    let (streams, looks) = (std::sync::Mutex::new(streams), std::sync::Mutex::new(looks));
    Server::start(move |asked, _| {
        let script = if asked.line.contains("/events") {
            &streams
        } else {
            &looks
        };
        let mut script = script.lock().unwrap();
        if script.is_empty() {
            Answer::Lost
        } else {
            script.remove(0)
        }
    })
    .await
}

#[tokio::test]
async fn it_looks_when_the_stream_is_up_and_at_each_event() {
    let server = server(
        vec![Answer::Open(SSE, changed(7) + &changed(8))],
        vec![
            // Running, but an older intent: not yet.
            Answer::Json(200, workload("running", 2, Some(1))),
            Answer::Json(200, workload("starting", 2, Some(2))),
            Answer::Json(200, workload("running", 2, Some(2))),
        ],
    )
    .await;
    let looks = AtomicUsize::new(0);
    let done = |w: &fleet_model::workload::Workload| {
        looks.fetch_add(1, Ordering::Relaxed);
        w.state == WorkloadState::Running
    };
    let workload = server
        .client()
        .wait_for(ID.parse().unwrap(), generation(2), done)
        .await
        .unwrap();
    assert_eq!(workload.state, WorkloadState::Running);
    assert_eq!(looks.into_inner(), 3);
    // Listening comes before looking.
    assert_eq!(
        server.asked()[0].line,
        format!("GET /api/v1/events?subject={ID}")
    );
}

#[tokio::test]
async fn a_change_while_the_stream_was_down_is_seen_on_reconnect() {
    let server = server(
        vec![
            Answer::Cut(SSE, String::new()),
            Answer::Lost,
            Answer::Open(SSE, String::new()),
        ],
        vec![
            Answer::Json(200, workload("starting", 1, Some(1))),
            Answer::Json(200, workload("exited", 1, Some(1))),
        ],
    )
    .await;
    let done = |w: &fleet_model::workload::Workload| w.state.has_ended();
    let workload = server
        .client()
        .wait_for(ID.parse().unwrap(), generation(1), done)
        .await
        .unwrap();
    assert_eq!(workload.state, WorkloadState::Exited);
}

#[tokio::test]
async fn gone_is_what_one_wait_is_for_and_an_error_of_the_other() {
    let not_found = || Answer::Json(404, json!({"code": "no-workload", "detail": "gone"}));
    let stream = || vec![Answer::Open(SSE, changed(1))];
    let up = || Answer::Json(200, workload("stopping", 1, Some(1)));
    let one = server(stream(), vec![up(), not_found()]).await;
    one.client()
        .wait_gone(ID.parse().unwrap(), |_| ())
        .await
        .unwrap();
    let other = server(stream(), vec![up(), not_found()]).await;
    let error = other
        .client()
        .wait_for(ID.parse().unwrap(), generation(1), |_| false)
        .await
        .unwrap_err();
    assert!(matches!(error, ClientError::Api { status: 404, .. }));
}
