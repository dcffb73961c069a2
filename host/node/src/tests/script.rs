//! A controller that states what a test wants and keeps what the node says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleet_model::item::{Generation, Incarnation, Item, ItemKey, ItemStatus, Mode, Revision};
use fleet_model::workload::{Desired, WorkloadIntent, WorkloadStatus};
use fleet_model::{Error, Name, StoreId, WorkloadId};
use fleet_protocol::bulk::{BulkStream, Opener, Request};
use fleet_protocol::message::{OutboxEntry, SecretAnswer, Seen};
use fleet_protocol::transport::{Connection, Listener, MemoryListener};
use fleet_protocol::{ControllerMessage, NodeMessage};
use tokio::sync::watch;

/// What the controller states and what it has heard. Clones share it.
#[derive(Clone)]
pub(super) struct Script {
    stated: Arc<watch::Sender<(u64, BTreeMap<String, Item>)>>,
    heard: Arc<Mutex<Heard>>,
    /// Opens streams to the node; of the newest session.
    opener: Arc<watch::Sender<Option<Opener>>>,
    /// How often sessions were cut.
    cuts: Arc<watch::Sender<u64>>,
}

#[derive(Default)]
pub(super) struct Heard {
    pub(super) statuses: BTreeMap<ItemKey, ItemStatus>,
    pub(super) packets: BTreeMap<u64, OutboxEntry>,
    pub(super) doubled: u32,
    pub(super) sessions: u64,
    pub(super) behind: Vec<Seen>,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            stated: Arc::new(watch::Sender::new((1, BTreeMap::new()))),
            heard: Arc::default(),
            opener: Arc::new(watch::Sender::new(None)),
            cuts: Arc::new(watch::Sender::new(0)),
        }
    }
}

pub(super) fn workload(n: u64) -> WorkloadId {
    WorkloadId::new(n, 1)
}

impl Script {
    /// States that a workload should run, rest, or (`None`) be gone; answers the generation.
    pub(super) fn want(&self, n: u64, desired: Option<Desired>) -> u64 {
        self.want_with(n, desired, serde_json::json!({}))
    }

    /// The same, with more keys in the spec.
    pub(super) fn want_with(
        &self,
        n: u64,
        desired: Option<Desired>,
        more: serde_json::Value,
    ) -> u64 {
        let mut spec = serde_json::json!({"backend": "double", "command": ["x"]});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        let mut generation = 0;
        self.stated.send_modify(|(revision, items)| {
            *revision += 1;
            generation = *revision;
            let intent = desired.map(|desired| WorkloadIntent {
                name: format!("w{n}").parse().unwrap(),
                desired,
                grace_ms: 100,
                spec: serde_json::from_value(spec.clone()).unwrap(),
            });
            let item = Item {
                id: ItemKey::workload(workload(n)),
                generation: Generation(generation),
                intent: intent.map(|intent| serde_json::to_value(intent).unwrap()),
                grace_ms: None,
                mode: Mode::default(),
            };
            items.insert(item.id.key.clone(), item);
        });
        generation
    }

    /// The newest revision it has stated.
    pub(super) fn generation(&self) -> u64 {
        self.stated.borrow().0
    }

    /// States nothing any more, as after a restore to an earlier place.
    pub(super) fn forget(&self, revision: u64) {
        self.stated
            .send_modify(|stated| *stated = (revision, BTreeMap::new()));
    }

    pub(super) fn heard<T>(&self, look: impl FnOnce(&Heard) -> T) -> T {
        look(&self.heard.lock().unwrap())
    }

    pub(super) fn status(&self, n: u64) -> Option<(u64, WorkloadStatus)> {
        self.heard(|heard| {
            let status = heard.statuses.get(&ItemKey::workload(workload(n)))?;
            Some((
                status.generation.0,
                serde_json::from_value(status.detail.clone()).ok()?,
            ))
        })
    }

    /// Serves one node after the other.
    pub(super) async fn control(&self, mut listener: MemoryListener) {
        while let Some(connection) = listener.accept().await {
            let _ = self.session(connection).await;
        }
    }

    /// Cuts the session, and waits for the next one: of the one before nothing is left then.
    pub(super) async fn cut(&self) {
        let before = self.heard(|heard| heard.sessions);
        self.opener.send_replace(None);
        self.cuts.send_modify(|count| *count += 1);
        super::until("the next session", || {
            self.heard(|heard| (heard.sessions > before).then_some(()))
        })
        .await;
    }

    /// Opens a stream to the node, in whatever session it has or will have.
    pub(super) async fn open(&self, request: &Request) -> Result<BulkStream, Error> {
        let mut newest = self.opener.subscribe();
        loop {
            let opener = newest.wait_for(Option::is_some).await.unwrap().clone();
            match opener.unwrap().open(request).await {
                Err(error) if error.code == "node-gone" => {
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
                opened => return opened,
            }
        }
    }

    async fn session(&self, connection: Connection) -> Option<()> {
        let Connection { mut control, bulk } = connection;
        let link = &mut control;
        let NodeMessage::Hello(hello) = link.receiver.receive().await.ok()? else {
            panic!("no hello")
        };
        let outbox = self.heard(|heard| heard.packets.keys().last().copied().unwrap_or(0));
        let session = hello.session + 1;
        link.sender
            .send(&ControllerMessage::Welcome {
                protocol: 1,
                session,
                heartbeat_ms: 1_000,
                outbox,
            })
            .await
            .ok()?;
        let NodeMessage::Confirm { session: confirmed } = link.receiver.receive().await.ok()?
        else {
            panic!("no confirm")
        };
        assert_eq!(confirmed, session);
        self.heard.lock().unwrap().sessions = session;
        let (opener, drive) = Opener::over(bulk);
        tokio::spawn(drive);
        self.opener.send_replace(Some(opener));
        let mut stated = self.stated.subscribe();
        let mut cuts = self.cuts.subscribe();
        let mut last: Option<u64> = None;
        loop {
            let (revision, items) = stated.borrow_and_update().clone();
            let at = Seen {
                store: StoreId::new(1, 1),
                incarnation: Incarnation(1),
                revision: Revision(revision),
            };
            let items: Vec<Item> = items
                .into_values()
                .filter(|item| last.is_none_or(|last| item.generation.0 > last))
                .collect();
            let message = match last {
                Some(last) if last == revision => None,
                Some(last) => Some(ControllerMessage::Delta {
                    after: Revision(last),
                    at,
                    items,
                }),
                None => Some(ControllerMessage::FullSet {
                    at,
                    items,
                    last: true,
                }),
            };
            if let Some(message) = message {
                link.sender.send(&message).await.ok()?;
            }
            last = Some(revision);
            tokio::select! {
                changed = stated.changed() => changed.ok()?,
                _ = cuts.changed() => return None,
                message = link.receiver.receive() => {
                    if let Some(answer) = self.hear(message.ok()?) {
                        link.sender.send(&answer).await.ok()?;
                    }
                }
            }
        }
    }

    fn hear(&self, message: NodeMessage) -> Option<ControllerMessage> {
        let mut heard = self.heard.lock().unwrap();
        match message {
            NodeMessage::Status { statuses } => {
                heard.statuses.extend(
                    statuses
                        .into_iter()
                        .map(|status| (status.id.clone(), status)),
                );
                None
            }
            NodeMessage::Outbox { entries } => {
                let seq = entries.last().unwrap().seq;
                for packet in entries {
                    if heard.packets.insert(packet.seq, packet).is_some() {
                        heard.doubled += 1;
                    }
                }
                Some(ControllerMessage::OutboxAck { seq })
            }
            NodeMessage::WantSecrets { names } => {
                let answer = |name: Name| {
                    let base64 = STANDARD.encode(format!("value-of-{name}")).into();
                    (name, SecretAnswer::Set { base64 })
                };
                Some(ControllerMessage::Secrets {
                    answers: names.into_iter().map(answer).collect(),
                })
            }
            NodeMessage::ControllerBehind { seen } => {
                heard.behind.push(seen);
                None
            }
            NodeMessage::Heartbeat { sent_boot_ms } => {
                Some(ControllerMessage::HeartbeatAck { sent_boot_ms })
            }
            _ => None,
        }
    }
}
