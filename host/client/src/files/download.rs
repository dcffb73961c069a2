//! A file on its way here.
//!
//! Where the connection breaks, the next one goes on after the last byte, as long as the file is the one
//! it was: its entity tag says so. One that changed begins anew, and whoever keeps the bytes is told.

use bytes::Bytes;
use fleet_model::Error;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap, HeaderValue, RANGE};
use reqwest::{Response, StatusCode};
use sha2::{Digest, Sha256};

use super::{STALL, hex};
use crate::backoff::Outage;
use crate::client::{Client, workload_path};
use crate::error::ClientError;
use crate::request::{Ask, streamed};

/// How often a file may change under a transfer that breaks before that is given up.
const MOST_BEGINNINGS: u32 = 10;

/// A file being read.
#[derive(Debug)]
pub struct Download {
    client: Client,
    name: String,
    path: String,
    /// The file as it was found, and how much of it has come.
    found: Option<Found>,
    came: u64,
    hash: Sha256,
    beginnings: u32,
    open: Option<Response>,
    outage: Outage,
}

/// A file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    tag: String,
    size: u64,
}

/// What comes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// The next bytes.
    Bytes(Bytes),
    /// The file changed, and begins anew: what came before is void.
    Again,
}

/// Whether what came is what is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Whether it is.
    pub verdict: Verdict,
    /// The SHA-256 of what came, in hexadecimal digits.
    pub sha256: String,
}

/// How what came compares with what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is the same.
    Same,
    /// The file changed since, so it cannot be told.
    Changed,
    /// It is something else: it was damaged on its way.
    Another,
}

impl Download {
    pub(super) fn new(client: Client, name: &str, path: &str) -> Self {
        Self {
            client,
            name: name.to_owned(),
            path: path.to_owned(),
            found: None,
            came: 0,
            hash: Sha256::new(),
            beginnings: 0,
            open: None,
            outage: Outage::new(),
        }
    }

    /// The file's size in bytes, as it was when it was opened; known after the first piece.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.found.as_ref().map(|found| found.size)
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The first connection fails, the API refuses, nobody answered for
    /// [`patience`](crate::ClientOptions::patience), or the file changes all the time.
    pub async fn next(&mut self) -> Result<Option<Piece>, ClientError> {
        loop {
            let failure = match self.step().await {
                Ok(piece) => {
                    self.outage.received();
                    return Ok(piece);
                }
                Err(failure) => failure,
            };
            self.open = None;
            if !failure.may_pass() || !self.outage.lost(&self.client).await {
                return Err(failure);
            }
        }
    }

    /// Compares what came with what is there now, byte for byte by way of its SHA-256.
    ///
    /// # Errors
    /// As every call.
    pub async fn check(&self) -> Result<Checked, ClientError> {
        let sha256 = hex(&self.hash.clone().finalize());
        let size = self.came;
        let verdict = match self.client.digest(&self.name, &self.path, size).await {
            Ok(now)
                if self
                    .found
                    .as_ref()
                    .is_some_and(|found| found.tag == now.tag()) =>
            {
                if now.sha256.as_deref() == Some(&sha256) {
                    Verdict::Same
                } else {
                    Verdict::Another
                }
            }
            Ok(_) => Verdict::Changed,
            Err(error) if error.is_not_found() => Verdict::Changed,
            Err(error) => return Err(error),
        };
        Ok(Checked { verdict, sha256 })
    }

    async fn step(&mut self) -> Result<Option<Piece>, ClientError> {
        if self
            .found
            .as_ref()
            .is_some_and(|found| found.size == self.came)
        {
            return Ok(None);
        }
        if self.open.is_none() {
            let began_anew = self.connect().await?;
            self.outage.connected(&self.client);
            if began_anew {
                return Ok(Some(Piece::Again));
            }
        }
        let Some(open) = &mut self.open else {
            return Ok(None);
        };
        let piece = tokio::select! {
            piece = open.chunk() => piece.map_err(|error| self.client.network(error))?,
            () = self.client.clock().sleep(STALL) => return Err(self.silent()),
        };
        match piece {
            Some(bytes) => {
                self.came += bytes.len() as u64;
                self.hash.update(&bytes);
                Ok(Some(Piece::Bytes(bytes)))
            }
            None if self.size() == Some(self.came) => Ok(None),
            None => Err(ClientError::Broken {
                server: self.client.server().to_owned(),
                source: Box::new(std::io::Error::from(std::io::ErrorKind::UnexpectedEof)),
            }),
        }
    }

    /// Opens a connection that goes on where the last one was; answers whether what came before is void.
    async fn connect(&mut self) -> Result<bool, ClientError> {
        let path = workload_path(&self.name, "/files");
        let ask = Ask::get(path).with(vec![("path", self.path.clone())]);
        let mut headers = HeaderMap::new();
        if self.came > 0
            && let Ok(range) = HeaderValue::from_str(&format!("bytes={}-", self.came))
        {
            headers.insert(RANGE, range);
        }
        let asked = self.client.request(&ask).headers(headers);
        let response = match self.client.checked(asked).await {
            Ok(response) => response,
            // It is shorter than what has come of it.
            Err(ClientError::Api { status: 416, .. }) if self.came > 0 => {
                return self.begin_anew(None);
            }
            Err(error) => return Err(error),
        };
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        let found = self.told(&ask, &response, is_part)?;
        if is_part && self.found.as_ref() == Some(&found) {
            self.open = Some(response);
            return Ok(false);
        }
        let began = self.came > 0;
        if began {
            // A part of another file is no beginning.
            return self.begin_anew((!is_part).then_some((found, response)));
        }
        self.found = Some(found);
        self.open = Some(response);
        Ok(false)
    }

    fn begin_anew(&mut self, with: Option<(Found, Response)>) -> Result<bool, ClientError> {
        self.beginnings += 1;
        if self.beginnings > MOST_BEGINNINGS {
            let message =
                "the file changes faster than it can be read: try again when it is at rest";
            return Err(streamed(Error::conflict("file-changes", message)));
        }
        self.came = 0;
        self.hash = Sha256::new();
        (self.found, self.open) = match with {
            Some((found, response)) => (Some(found), Some(response)),
            None => (None, None),
        };
        Ok(true)
    }

    /// What an answer says of the file.
    fn told(&self, ask: &Ask, response: &Response, is_part: bool) -> Result<Found, ClientError> {
        let text = |name| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
        };
        let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        match (text(ETAG), length) {
            (Some(tag), Some(length)) => Ok(Found {
                tag: tag.to_owned(),
                size: if is_part {
                    self.came.saturating_add(length)
                } else {
                    length
                },
            }),
            _ => {
                let problem = "a file without a tag or a length".to_owned();
                Err(self.client.foreign(ask.path(), problem))
            }
        }
    }

    fn silent(&self) -> ClientError {
        ClientError::Silent {
            server: self.client.server().to_owned(),
        }
    }
}
