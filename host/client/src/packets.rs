//! What a workload emitted: by page, or followed, each packet once.

use std::time::Duration;

use fleet_model::packet::Gap;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::backoff::Outage;
use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::ndjson::Objects;
use crate::request::Ask;

/// One entry of a workload's packets: a packet, or a gap where some are missing. It has the form of
/// [`fleet_model::packet::Packet`], with the packet to the letter: no digit and no order is lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PacketEntry {
    /// Its number; of a gap, the number of the last packet that is missing.
    pub seq: u64,
    /// When the workload's node took it, in Unix milliseconds.
    pub at_ms: u64,
    /// The packet, as it was emitted.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "to_the_letter"
    )]
    pub packet: Option<Box<RawValue>>,
    /// Packets that are missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
}

/// A packet may be `null`, which is not the same as none.
fn to_the_letter<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::deserialize(deserializer).map(Some)
}

/// One page of packets.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PacketPage {
    /// What is on it.
    pub items: Vec<PacketEntry>,
    /// The number to go on after, as text; absent on the last page.
    pub next: Option<String>,
    /// The newest number the controller has; 0 where there is none.
    pub head: u64,
}

impl Client {
    /// Packets after a number, at most `limit` of them; 0 is from the beginning.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn packets_page(
        &self,
        name: &str,
        after: u64,
        limit: u32,
    ) -> Result<PacketPage, ClientError> {
        let pairs = vec![("after", after.to_string()), ("limit", limit.to_string())];
        self.json(Ask::get(workload_path(name, "/packets")).with(pairs))
            .await
    }

    /// The number of the newest packet of a workload that its controller has; 0 where there is none.
    /// Read before a command is sent, it tells the packets that come after from those before.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn newest_packet(&self, name: &str) -> Result<u64, ClientError> {
        Ok(self.packets_page(name, 0, 1).await?.head)
    }

    /// Packets after a number as they come; goes on after a broken connection.
    #[must_use]
    pub fn follow_packets(&self, name: &str, after: u64) -> PacketFollow {
        PacketFollow {
            client: self.clone(),
            path: workload_path(name, "/packets"),
            last: after,
            open: None,
            outage: Outage::new(),
        }
    }
}

/// Packets being read. Each entry comes once, also when the host restarts in between.
#[derive(Debug)]
pub struct PacketFollow {
    client: Client,
    path: String,
    /// The number of the last entry given out, or the one to begin after.
    last: u64,
    open: Option<Objects>,
    outage: Outage,
}

impl PacketFollow {
    /// The same, going on for so long while nobody answers, from the first connection on: for a host
    /// that has been spoken to before.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        let outage = Outage::patient(&self.client, patience);
        Self { outage, ..self }
    }

    /// The number after which it goes on.
    #[must_use]
    pub fn after(&self) -> u64 {
        self.last
    }

    /// The next packet or gap, whenever it comes: there is no last one. May be dropped and called
    /// again: nothing is lost.
    ///
    /// # Errors
    /// The first connection fails, the API refuses, or nobody answered for
    /// [`patience`](crate::ClientOptions::patience).
    pub async fn next(&mut self) -> Result<PacketEntry, ClientError> {
        loop {
            let failure = match self.step().await {
                Ok(entry) => {
                    self.outage.received();
                    if entry.seq > self.last {
                        self.last = entry.seq;
                        return Ok(entry);
                    }
                    continue;
                }
                Err(failure) => failure,
            };
            self.open = None;
            if !failure.may_pass() || !self.outage.lost(&self.client).await {
                return Err(failure);
            }
        }
    }

    async fn step(&mut self) -> Result<PacketEntry, ClientError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let pairs = vec![
                    ("follow", "true".to_owned()),
                    ("after", self.last.to_string()),
                ];
                let ask = Ask::get(self.path.clone()).with(pairs);
                let open = Objects::open(&self.client, &ask).await?;
                self.outage.connected(&self.client);
                self.open.insert(open)
            }
        };
        match open.next(&self.client, &self.path).await? {
            Some(entry) => Ok(entry),
            // The stream has no end of its own.
            None => Err(ClientError::Broken {
                server: self.client.server().to_owned(),
                source: "the stream ended".into(),
            }),
        }
    }
}
