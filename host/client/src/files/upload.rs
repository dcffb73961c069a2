//! A local file on its way to a workspace.
//!
//! It is sent under a key of its own. A large one first asks whether it may come, then brings all but its
//! end, and its end with the SHA-256 of the whole, which is known by then: the node compares before it
//! puts the file in its place. Where the connection breaks, the node says how much has arrived, and the
//! next one goes on there.

use std::fs::File;
use std::io;
use std::sync::Arc;

use fleet_model::ErrorKind;
use serde::Deserialize;

use super::patience_for;
use super::source::Source;
use crate::backoff::Outage;
use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::key::IdempotencyKey;
use crate::request::Ask;

/// Up to this size a file is read before it is sent, in bytes: then it comes in one request.
const SMALL: u64 = 1024 * 1024;

/// The end of a large file, which comes with the digest of the whole, in bytes.
const TAIL: u64 = 64 * 1024;

/// How often the node may say that it is elsewhere than this side thinks.
const MOST_CORRECTIONS: u32 = 20;

/// A local file that was not sent.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The API refused it, or nobody answers.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The local file cannot be read.
    #[error("the local file cannot be read")]
    Local(#[source] io::Error),
    /// The local file lost bytes that were still to be sent.
    #[error("the local file became shorter while it was sent")]
    Shrunk,
}

/// A file that is in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal digits, on both sides.
    pub sha256: String,
}

/// A local file to be sent.
pub struct Upload {
    client: Client,
    name: String,
    path: String,
    file: File,
    size: u64,
    mode: Option<u32>,
    progress: Box<dyn Fn(u64) + Send + Sync>,
}

/// What the API says of an upload.
#[derive(Debug, Deserialize)]
struct Arrived {
    arrived: u64,
    sha256: Option<String>,
}

/// What a request of an upload is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// No bytes: whether the file may come.
    Beginning,
    /// All from here on but the end.
    Most,
    /// All from here on, and the digest of the whole.
    Rest,
}

impl Upload {
    pub(super) fn new(
        client: Client,
        name: &str,
        path: &str,
        file: File,
    ) -> Result<Self, FileError> {
        let size = file.metadata().map_err(FileError::Local)?.len();
        Ok(Self {
            client,
            name: name.to_owned(),
            path: path.to_owned(),
            file,
            size,
            mode: None,
            progress: Box::new(|_| {}),
        })
    }

    /// The file's size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// With these permissions, nine bits; else the host's usual ones.
    #[must_use]
    pub fn mode(self, mode: u32) -> Self {
        Self {
            mode: Some(mode),
            ..self
        }
    }

    /// Tells how many bytes have been handed to the network, again and again.
    #[must_use]
    pub fn on_progress(self, progress: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self {
            progress: Box::new(progress),
            ..self
        }
    }

    /// Sends it, until it is in its place.
    ///
    /// # Errors
    /// [`FileError`]; among what the API refuses: `outside-workspace`, `is-a-folder`, `disk-full`,
    /// `disk-limit`, `upload-digest` where the local file changed meanwhile.
    pub async fn send(self) -> Result<Sent, FileError> {
        let Self {
            client,
            name,
            path,
            file,
            size,
            mode,
            progress,
        } = self;
        let key = client.new_key();
        let mut sending = Sending {
            name,
            path,
            size,
            mode,
            key,
            source: Source::new(file, progress),
            arrived: 0,
            has_begun: size <= SMALL,
            ended: None,
            corrections: 0,
            outage: Outage::new(),
            client,
        };
        sending.run().await
    }
}

/// An upload under way.
struct Sending {
    client: Client,
    name: String,
    path: String,
    size: u64,
    mode: Option<u32>,
    key: IdempotencyKey,
    source: Arc<Source>,
    /// What the node has.
    arrived: u64,
    /// The node has agreed to it.
    has_begun: bool,
    /// The digest of the whole, once the end has been sent with it.
    ended: Option<String>,
    corrections: u32,
    outage: Outage,
}

impl Sending {
    async fn run(&mut self) -> Result<Sent, FileError> {
        loop {
            let before = self.arrived;
            let outcome = self.part().await;
            if let Some(failure) = self.source.failure() {
                return Err(failure);
            }
            match outcome {
                Ok(Arrived {
                    sha256: Some(sha256),
                    ..
                }) => return Ok(self.sent(sha256)),
                Ok(Arrived { arrived, .. }) => {
                    self.arrived = arrived;
                    self.has_begun = true;
                    self.outage.connected(&self.client);
                    self.outage.received();
                }
                Err(FileError::Client(failure)) => {
                    if let Some(arrived) = self.corrected(&failure) {
                        self.arrived = arrived;
                    } else {
                        self.recover(failure).await?;
                        if let Some(sha256) = self.in_place().await? {
                            return Ok(self.sent(sha256));
                        }
                    }
                    if self.arrived > before {
                        self.outage.received();
                    }
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    fn sent(&self, sha256: String) -> Sent {
        Sent {
            size: self.size,
            sha256,
        }
    }

    /// Sends what is due.
    async fn part(&mut self) -> Result<Arrived, FileError> {
        let most = self.size.saturating_sub(TAIL);
        let part = match self.arrived {
            _ if !self.has_begun => Part::Beginning,
            arrived if self.size > SMALL && arrived < most => Part::Most,
            _ => Part::Rest,
        };
        let mut pairs = vec![
            ("path", self.path.clone()),
            ("offset", self.arrived.to_string()),
            ("size", self.size.to_string()),
        ];
        pairs.extend(self.mode.map(|mode| ("mode", format!("{mode:03o}"))));
        let end = match part {
            Part::Beginning => self.arrived,
            Part::Most => most,
            Part::Rest => {
                let sha256 = self.source.digest(self.size).await?;
                pairs.push(("sha256", sha256.clone()));
                self.ended = Some(sha256);
                self.size
            }
        };
        let ask = Ask::put(workload_path(&self.name, "/files"), bytes::Bytes::new()).with(pairs);
        let request = self
            .client
            .request(&ask)
            .header("idempotency-key", self.key.as_str())
            .header("content-length", end - self.arrived)
            .body(self.source.body(self.arrived, end));
        let answered = self.client.read_json(&ask, request);
        let answered = tokio::select! {
            answered = answered => answered,
            () = self.stalled() => Err(ClientError::Silent {
                server: self.client.server().to_owned(),
            }),
        };
        Ok(answered?)
    }

    /// Returns when nothing has moved for too long.
    async fn stalled(&self) {
        loop {
            let before = self.source.at();
            self.client.clock().sleep(patience_for(self.size)).await;
            if self.source.at() == before {
                return;
            }
        }
    }

    /// Where the node says this upload is, if that is what it refused.
    fn corrected(&mut self, failure: &ClientError) -> Option<u64> {
        let ClientError::Api { error, .. } = failure else {
            return None;
        };
        if error.code != "upload-offset" || self.corrections >= MOST_CORRECTIONS {
            return None;
        }
        self.corrections += 1;
        error.details.get("arrived")?.parse().ok()
    }

    /// Waits until the host answers again, and learns what has arrived.
    async fn recover(&mut self, mut failure: ClientError) -> Result<(), FileError> {
        loop {
            if !matches!(failure, ClientError::Unreachable { .. }) {
                self.outage.connected(&self.client);
            }
            // A full disk is not empty a moment later.
            let is_over = failure.kind() == ErrorKind::Exhausted || !failure.may_pass();
            if is_over || !self.outage.lost(&self.client).await {
                return Err(failure.into());
            }
            let ask = Ask::get(workload_path(&self.name, "/files/uploads"))
                .with(vec![("key", self.key.as_str().to_owned())]);
            match self.client.json::<Arrived>(ask).await {
                Ok(Arrived { arrived, .. }) => {
                    self.arrived = arrived;
                    return Ok(());
                }
                Err(next) => failure = next,
            }
        }
    }

    /// Whether the end had arrived after all, and only its answer was lost: then nothing of the upload is
    /// left, and the file is in its place.
    async fn in_place(&self) -> Result<Option<String>, FileError> {
        let Some(sha256) = self.ended.as_ref().filter(|_| self.arrived == 0) else {
            return Ok(None);
        };
        match self.client.digest(&self.name, &self.path, self.size).await {
            Ok(now) if now.size == self.size && now.sha256.as_ref() == Some(sha256) => {
                Ok(Some(sha256.clone()))
            }
            Ok(_) => Ok(None),
            // Then it is sent once more.
            Err(error) if error.is_not_found() || error.may_pass() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
