//! Effects whose asker goes away with the session, between the effect and its record.

use std::time::Duration;

use fleet_model::Error;
use fleet_model::exec::{ExecId, ExecInput, ExecSpec};
use fleet_model::item::{Generation, ItemKey};
use fleet_model::workload::{Desired, WorkloadState};
use fleet_protocol::bulk::{BulkStream, ExecCall, Request};
use fleet_protocol::exec::key;

use super::script::workload;
use super::{Fixture, until};

async fn open(node: &Fixture, request: &Request) -> Result<BulkStream, Error> {
    tokio::time::timeout(Duration::from_secs(20), node.script.open(request))
        .await
        .expect("an answer within 20 s")
}

async fn running() -> Fixture {
    let node = Fixture::start().await;
    let generation = node.script.want(1, Some(Desired::Running));
    until("running", || {
        let status = node.script.status(1);
        status.filter(|(at, status)| *at == generation && status.state == WorkloadState::Running)
    })
    .await;
    node
}

fn exec(node: &Fixture, call: ExecCall) -> Request {
    Request::Exec {
        item: ItemKey::workload(workload(1)),
        generation: Generation(node.script.generation()),
        call,
    }
}

/// The node does what is asked, the session is lost before the backend has said so, and then it says so.
async fn lose(node: &Fixture, request: &Request, is_done: impl FnMut() -> Option<()>) {
    let held = &node.world.programs.is_held;
    held.send_replace(true);
    let script = node.script.clone();
    let (asked, lost) = (request.clone(), request.clone());
    let first = tokio::spawn(async move { script.open(&asked).await });
    until("the effect", is_done).await;
    first.abort();
    node.script.cut().await;
    // Whoever asks again does so while the first is under way.
    let again = open(node, &lost);
    tokio::pin!(again);
    tokio::select! {
        biased;
        answer = &mut again => drop(answer),
        () = async {
            tokio::task::yield_now().await;
            held.send_replace(false);
            std::future::pending().await
        } => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_goes_once_when_the_session_is_lost_in_between() {
    let mut node = running().await;
    let request = Request::Signal {
        item: ItemKey::workload(workload(1)),
        generation: Generation(node.script.generation()),
        key: "k".into(),
        signal: "USR1".into(),
    };
    let sent = || node.world.meters.signals().len();
    lose(&node, &request, || (sent() == 1).then_some(())).await;
    open(&node, &request).await.unwrap();
    assert_eq!(sent(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_is_signalled_once_and_forgotten_when_it_is_removed() {
    let mut node = running().await;
    let id = ExecId {
        workload: workload(1),
        key: key("k"),
    };
    let spec = ExecSpec {
        command: vec!["waits".into()],
        env: Default::default(),
        input: ExecInput::Null,
        terminal: None,
        timeout_ms: None,
    };
    let start = ExecCall::Start {
        key: "k".into(),
        spec,
    };
    open(&node, &exec(&node, start)).await.unwrap();

    let signal = ExecCall::Signal {
        exec: id,
        key: "s".into(),
        signal: "USR1".into(),
    };
    let request = exec(&node, signal);
    let sent = || node.world.programs.of("k", |program| program.signals.len());
    lose(&node, &request, || (sent() == Some(1)).then_some(())).await;
    open(&node, &request).await.unwrap();
    assert_eq!(sent(), Some(1));

    // The first is all there is: nobody asks again who could make up for it.
    node.world.programs.is_held.send_replace(true);
    let remove = exec(&node, ExecCall::Remove { exec: id });
    let script = node.script.clone();
    let first = tokio::spawn(async move { script.open(&remove).await });
    until("its removal", || {
        node.world.programs.of("k", |_| ()).is_none().then_some(())
    })
    .await;
    first.abort();
    node.script.cut().await;
    node.world.programs.is_held.send_replace(false);
    let show = exec(&node, ExecCall::Show { exec: id });
    let gone = async { while open(&node, &show).await.is_ok() {} };
    let gone = tokio::time::timeout(Duration::from_secs(10), gone);
    gone.await.expect("nothing is left of it");
    assert_eq!(open(&node, &show).await.unwrap_err().code, "no-such-exec");
    node.stop().await;
}
