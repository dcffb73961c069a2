//! A node that says what the test says.

use fleet_model::event::Event;
use fleet_model::id::{NodeId, RunId, StoreId};
use fleet_model::item::{Attempt, Generation, Item, ItemStatus, Phase};
use fleet_model::plugin::PluginState;
use fleet_model::workload::{WorkloadState, WorkloadStatus};
use fleet_protocol::link::Link;
use fleet_protocol::message::{Hello, OutboxEntry, Seen};
use fleet_protocol::transport::{Bytes, Dialer};
use fleet_protocol::version::SPOKEN;
use fleet_protocol::{ControllerMessage, NodeMessage};
use serde_json::Value;

use super::support::{Bench, NOW_MS, plugin, within};

pub(crate) fn hello() -> Hello {
    Hello {
        versions: SPOKEN,
        node: NodeId::new(NOW_MS, 2),
        name: "bench".to_owned(),
        labels: Default::default(),
        machine_boot_id: "boot".to_owned(),
        run_id: RunId::new(NOW_MS, 3),
        session: 0,
        host_version: "0.1.0-test".to_owned(),
        seen: None,
        inventory: Vec::new(),
        outbox: StoreId::new(NOW_MS, 4),
        plugins: vec![
            plugin("mock", PluginState::Active),
            plugin("broken", PluginState::Rejected),
        ],
    }
}

/// A node that has dialled.
pub(crate) struct Scripted {
    pub(crate) hello: Hello,
    pub(crate) link: Link,
    pub(crate) bulk: Option<Box<dyn Bytes>>,
}

impl Scripted {
    /// Dials and says hello.
    pub(crate) async fn dial(bench: &Bench, hello: Hello) -> Self {
        let connection = bench.dialer.dial().await.unwrap();
        let mut node = Self {
            hello: hello.clone(),
            link: connection.control,
            bulk: Some(connection.bulk),
        };
        node.say(NodeMessage::Hello(Box::new(hello))).await;
        node
    }

    /// Takes the welcome, confirms, and takes the full set.
    pub(crate) async fn join(&mut self) -> (Seen, Vec<Item>) {
        let session = self.welcome().await.0;
        self.say(NodeMessage::Confirm { session }).await;
        self.hello.session = session;
        self.full_set().await
    }

    /// Session and outbox number of the welcome.
    pub(crate) async fn welcome(&mut self) -> (u64, u64) {
        match self.hear().await {
            ControllerMessage::Welcome {
                session, outbox, ..
            } => (session, outbox),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn full_set(&mut self) -> (Seen, Vec<Item>) {
        let mut all = Vec::new();
        loop {
            match self.hear().await {
                ControllerMessage::FullSet { at, items, last } => {
                    all.extend(items);
                    if last {
                        return (at, all);
                    }
                }
                other => panic!("{other:?}"),
            }
        }
    }

    pub(crate) async fn say(&mut self, message: NodeMessage) {
        within(self.link.sender.send(&message)).await.unwrap();
    }

    pub(crate) async fn hear(&mut self) -> ControllerMessage {
        within(self.link.receiver.receive()).await.unwrap()
    }

    /// The next delta: what it follows, where it is, what changed.
    pub(crate) async fn delta(&mut self) -> (u64, u64, Vec<Item>) {
        match self.hear().await {
            ControllerMessage::Delta { after, at, items } => (after.0, at.revision.0, items),
            other => panic!("{other:?}"),
        }
    }

    /// The goodbye, whatever comes before it.
    pub(crate) async fn goodbye(&mut self) -> String {
        loop {
            if let ControllerMessage::Goodbye { reason } = self.hear().await {
                return reason;
            }
        }
    }

    /// Reports a state of an item.
    pub(crate) async fn report(&mut self, item: &Item, state: WorkloadState) {
        let status = status(item, state);
        self.say(NodeMessage::Status {
            statuses: vec![status],
        })
        .await;
    }

    /// Acknowledges a tombstone.
    pub(crate) async fn removed(&mut self, item: &Item) {
        let status = ItemStatus {
            phase: Phase::Removed,
            detail: Value::Null,
            ..status(item, WorkloadState::Exited)
        };
        self.say(NodeMessage::Status {
            statuses: vec![status],
        })
        .await;
    }

    /// Sends outbox entries with these numbers, and answers what is acknowledged.
    pub(crate) async fn outbox(&mut self, numbers: &[u64]) -> u64 {
        let entries = numbers
            .iter()
            .map(|seq| OutboxEntry {
                seq: *seq,
                at_ms: 5,
                event: event(*seq),
            })
            .collect();
        self.say(NodeMessage::Outbox { entries }).await;
        match self.hear().await {
            ControllerMessage::OutboxAck { seq } => seq,
            other => panic!("{other:?}"),
        }
    }
}

fn event(seq: u64) -> Event {
    crate::journal::plain("workload.exited", "wl", format!("number {seq}"))
}

pub(crate) fn status(item: &Item, state: WorkloadState) -> ItemStatus {
    let detail = WorkloadStatus {
        state,
        attempt: Attempt(1),
        exit: state.has_ended().then_some(fleet_model::driver::Exit {
            code: 7,
            signal: None,
            at_ms: Some(9),
        }),
        ports: [("http".parse().unwrap(), 8_080)].into(),
        attributes: [("pid".to_owned(), "4711".to_owned())].into(),
        message: None,
        started_at_ms: Some(8),
    };
    ItemStatus {
        id: item.id.clone(),
        generation: item.generation,
        phase: Phase::Settled,
        detail: serde_json::to_value(detail).unwrap(),
        error: None,
    }
}

pub(crate) fn generation(workload: &Value) -> Generation {
    Generation(workload["generation"].as_u64().unwrap())
}
