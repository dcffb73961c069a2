//! Logs, from the double to the controller's stream.

use bytes::Bytes;
use fleet_capability::source::{Frame, Stream};
use fleet_model::Error;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_protocol::bulk::{LogOptions, Request};
use fleet_protocol::log::decode;

use super::script::workload;
use super::{Fixture, until};

fn line(text: &'static str) -> Result<Frame, Error> {
    Ok(Frame {
        stream: Stream::Stdout,
        time_us: None,
        bytes: Bytes::from_static(text.as_bytes()),
        complete: true,
        cursor: Some(text.to_owned()),
    })
}

/// What a follower is told, and the error that ended it.
async fn followed(node: &Fixture) -> (Vec<Bytes>, Option<String>) {
    let request = Request::Logs {
        item: ItemKey::workload(workload(1)),
        generation: Generation(node.script.generation()),
        options: LogOptions {
            follow: true,
            ..LogOptions::default()
        },
    };
    let mut stream = node.script.open(&request).await.unwrap();
    let (mut lines, mut failure) = (Vec::new(), None);
    while let Some(frame) = stream.receive().await {
        match decode(frame.unwrap()) {
            Ok(line) => lines.push(line.bytes),
            Err(error) => failure = Some(error.code),
        }
    }
    (lines, failure)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_is_told_how_a_log_ended_also_right_after_a_line() {
    let mut node = Fixture::start().await;
    let generation = node.script.want(1, Some(Desired::Running));
    until("running", || {
        let status = node.script.status(1);
        status.filter(|(at, status)| *at == generation && status.state == WorkloadState::Running)
    })
    .await;
    let lines = [Bytes::from_static(b"one"), Bytes::from_static(b"two")];
    *node.world.log.lock().unwrap() = vec![line("one"), line("two")];
    assert_eq!(followed(&node).await, (lines.to_vec(), None));
    let broken = Err(Error::unavailable("log-broken", "it broke"));
    *node.world.log.lock().unwrap() = vec![line("one"), line("two"), broken];
    let failure = Some("log-broken".to_owned());
    assert_eq!(followed(&node).await, (lines.to_vec(), failure));
    node.stop().await;
}
