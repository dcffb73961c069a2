//! Connections to ports, from the controller's stream to a program's socket.

use bytes::Bytes;
use fleet_model::Error;
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_protocol::bulk::{BulkStream, Request};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::script::workload;
use super::{Fixture, until};

async fn running(node: &Fixture, port: u16) {
    let spec = json!({"ports": {"echo": port}});
    let generation = node.script.want_with(1, Some(Desired::Running), spec);
    until("running", || {
        let status = node.script.status(1);
        status.filter(|(at, status)| *at == generation && status.state == WorkloadState::Running)
    })
    .await;
}

/// A running workload, and what listens on its port, as its program would.
async fn listening(node: &Fixture) -> (TcpListener, u16) {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    running(node, address.port()).await;
    let listener = TcpListener::bind(address).await.unwrap();
    (listener, address.port())
}

async fn open(node: &Fixture, port: &str) -> Result<BulkStream, Error> {
    let request = Request::Port {
        item: ItemKey::workload(workload(1)),
        generation: Generation(node.script.generation()),
        port: port.to_owned(),
    };
    node.script.open(&request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_reach_a_declared_port_and_come_back_each_direction_to_its_end() {
    let mut node = Fixture::start().await;
    let (listener, port) = listening(&node).await;
    for asked in ["echo", &port.to_string()] {
        let (mut stream, accepted) = tokio::join!(open(&node, asked), listener.accept());
        let (stream, mut program) = (stream.as_mut().unwrap(), accepted.unwrap().0);
        stream.send(Bytes::from_static(b"ask")).await.unwrap();
        stream.send(Bytes::new()).await.unwrap();
        let mut heard = String::new();
        program.read_to_string(&mut heard).await.unwrap();
        assert_eq!(heard, "ask");
        program.write_all(b"answer").await.unwrap();
        drop(program);
        let mut answer = Vec::new();
        loop {
            let frame = stream.receive().await.unwrap().unwrap();
            if frame.is_empty() {
                break;
            }
            answer.extend_from_slice(&frame);
        }
        assert_eq!(answer, b"answer", "{asked}");
    }

    // An asker who goes away ends the program's connection.
    let (stream, accepted) = tokio::join!(open(&node, "echo"), listener.accept());
    let mut program = accepted.unwrap().0;
    drop(stream.unwrap());
    let mut byte = [0];
    let ended = tokio::time::timeout(std::time::Duration::from_secs(10), program.read(&mut byte));
    assert!(matches!(ended.await.unwrap(), Ok(0) | Err(_)));
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ports_that_cannot_be_reached_say_why() {
    let mut node = Fixture::start().await;
    let (listener, port) = listening(&node).await;
    let undeclared = open(&node, "22").await.unwrap_err();
    assert_eq!(undeclared.code, "no-such-port");
    assert!(
        undeclared.message.contains(&format!("echo ({port})")),
        "{undeclared}"
    );
    drop(listener);
    let deaf = open(&node, "echo").await.unwrap_err();
    assert_eq!(deaf.code, "nobody-listens");
    assert!(deaf.kind.is_retryable() && deaf.message.contains(&port.to_string()));

    node.script.want(1, Some(Desired::Stopped));
    assert_eq!(open(&node, "echo").await.unwrap_err().code, "not-running");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workload_waits_for_a_port_that_somebody_else_listens_on() {
    let mut node = Fixture::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let spec = json!({"ports": {"echo": port}});
    let generation = node.script.want_with(1, Some(Desired::Running), spec);
    until("the reason", || {
        let (_, status) = node.script.status(1)?;
        let message = status.message?;
        message.contains(&port.to_string()).then_some(())
    })
    .await;
    assert!(open(&node, "echo").await.is_err());
    drop(listener);
    until("running", || {
        let status = node.script.status(1);
        status.filter(|(at, status)| *at == generation && status.state == WorkloadState::Running)
    })
    .await;
    node.stop().await;
}
