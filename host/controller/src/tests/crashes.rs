//! The controller crashes at every durable step in turn, on either side of it; afterwards all is as
//! if it had not.
//!
//! A client asks for a life of one workload: create, stop, start, remove. It repeats a request with
//! the same key until it is answered, as clients do. The node says at once that it has done what was
//! stated. Whatever commit a crash falls on, there is one workload, and one generation for each wish.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use fleet_model::item::{Generation, Item};
use fleet_model::workload::{Desired, WorkloadIntent, WorkloadState};
use fleet_protocol::transport::{Dialer, MemoryDialer};
use fleet_protocol::{ControllerMessage, NodeMessage};
use fleet_store::sim::Fault;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::task::AbortOnDropHandle;

use super::scripted::{hello, status};
use super::support::{Bench, within};

/// What a node was ever told, over all its sessions.
#[derive(Default)]
struct Told {
    session: u64,
    wishes: BTreeMap<Generation, Option<Desired>>,
}

/// A node that does at once what it is told, for as long as its controller lives.
async fn obey(dialer: MemoryDialer, told: Arc<Mutex<Told>>) -> Option<()> {
    loop {
        let connection = dialer.dial().await.ok()?;
        let mut link = connection.control;
        let mut hello = hello();
        hello.session = told.lock().unwrap().session;
        link.sender
            .send(&NodeMessage::Hello(Box::new(hello)))
            .await
            .ok()?;
        while let Ok(message) = link.receiver.receive().await {
            let items = match message {
                ControllerMessage::Welcome { session, .. } => {
                    told.lock().unwrap().session = session;
                    link.sender
                        .send(&NodeMessage::Confirm { session })
                        .await
                        .ok()?;
                    continue;
                }
                ControllerMessage::FullSet { items, .. }
                | ControllerMessage::Delta { items, .. } => items,
                _ => continue,
            };
            let statuses = items.iter().map(|item| done(item, &told)).collect();
            if link
                .sender
                .send(&NodeMessage::Status { statuses })
                .await
                .is_err()
            {
                break;
            }
        }
    }
}

fn done(item: &Item, told: &Mutex<Told>) -> fleet_model::item::ItemStatus {
    let desired = item
        .intent
        .as_ref()
        .map(|intent| WorkloadIntent::deserialize(intent).unwrap().desired);
    told.lock().unwrap().wishes.insert(item.generation, desired);
    match desired {
        Some(Desired::Running) => status(item, WorkloadState::Running),
        Some(Desired::Stopped) => status(item, WorkloadState::Exited),
        None => fleet_model::item::ItemStatus {
            phase: fleet_model::item::Phase::Removed,
            detail: Value::Null,
            ..status(item, WorkloadState::Exited)
        },
    }
}

/// A controller that is started again when its disk has crashed under it.
struct Host {
    bench: Bench,
    told: Arc<Mutex<Told>>,
    _node: AbortOnDropHandle<Option<()>>,
    restarts: u64,
}

impl Host {
    async fn on(bench: Bench, told: Arc<Mutex<Told>>, restarts: u64) -> Self {
        let node = tokio::spawn(obey(bench.dialer.clone(), told.clone()));
        Self {
            bench,
            told,
            _node: AbortOnDropHandle::new(node),
            restarts,
        }
    }

    /// Starts the host again, if it has crashed.
    async fn mind(&mut self) {
        if self.bench.disk.counters().crashes_in_commit > self.restarts {
            let bench = Bench::on(self.bench.disk.clone()).await;
            *self = Self::on(bench, self.told.clone(), self.restarts + 1).await;
        }
    }

    /// Asks until there is an answer, with the same key.
    async fn ask(&mut self, method: &str, path: &str, body: Value, key: &str) {
        loop {
            self.mind().await;
            let headers = [("idempotency-key", key)];
            let answer = self
                .bench
                .ask_with(method, path, body.clone(), &headers)
                .await;
            match answer.status.as_u16() {
                200..=299 => return,
                // Not yet joined, or crashed in this moment.
                422 | 500..=599 => tokio::task::yield_now().await,
                _ => panic!("{method} {path}: {answer:?}"),
            }
        }
    }

    /// Looks until the workload looks like this.
    async fn until(&mut self, is_so: impl Fn(u16, &Value) -> bool) {
        loop {
            self.mind().await;
            let answer = self.bench.get("/api/v1/workloads/web").await;
            if is_so(answer.status.as_u16(), &answer.json()) {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

/// Lives once, with a fault at the `nth` commit after the start. Says whether it fired.
async fn live(nth: u64, fault: Fault) -> bool {
    let bench = Bench::new().await;
    bench.disk.inject(nth, fault);
    let told = Arc::new(Mutex::new(Told::default()));
    let mut host = Host::on(bench, told.clone(), 0).await;
    let is = |state: &'static str| {
        move |status: u16, workload: &Value| status == 200 && workload["state"] == state
    };
    host.ask(
        "POST",
        "/api/v1/workloads",
        json!({"name": "web", "backend": "mock"}),
        "k1",
    )
    .await;
    host.until(is("running")).await;
    host.ask("POST", "/api/v1/workloads/web/stop", json!({}), "k2")
        .await;
    host.until(is("exited")).await;
    host.ask("POST", "/api/v1/workloads/web/start", json!({}), "k3")
        .await;
    host.until(is("running")).await;
    host.ask("DELETE", "/api/v1/workloads/web", Value::Null, "k4")
        .await;
    host.until(|status, _| status == 404).await;

    let wishes: Vec<_> = told.lock().unwrap().wishes.values().copied().collect();
    let expected = [
        Some(Desired::Running),
        Some(Desired::Stopped),
        Some(Desired::Running),
        None,
    ];
    assert_eq!(
        wishes, expected,
        "{fault:?} at commit {nth}: one generation for each wish"
    );
    for (kind, count) in [
        ("workload.created", 1),
        ("workload.stop-requested", 1),
        ("workload.start-requested", 1),
        ("workload.remove-requested", 1),
        ("workload.removed", 1),
    ] {
        let events = host.bench.events(kind, 1).await;
        assert_eq!(events.len(), count, "{fault:?} at commit {nth}: {kind}");
    }
    host.restarts == 1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_on_either_side_of_any_commit_changes_nothing() {
    let mut fired = 0;
    for fault in [Fault::CrashBefore, Fault::CrashAfter] {
        for nth in 1.. {
            if !within(live(nth, fault)).await {
                break;
            }
            fired += 1;
            assert!(nth < 200, "a life has an end");
        }
    }
    // Hello, confirmation, plugins, four wishes and what the node says of each.
    assert!(fired > 2 * 8, "only {fired} crashes fired");
}
