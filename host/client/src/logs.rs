//! What a workload printed, line by line, resumed by cursor when the connection breaks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::backoff::Outage;
use crate::client::Client;
use crate::error::ClientError;
use crate::ndjson::Objects;
use crate::request::Ask;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Go on with what will be printed, until the workload has ended.
    pub follow: bool,
    /// Only lines printed since, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Only the last so many.
    pub tail: Option<u64>,
}

/// Where a line comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// The program's stdout.
    Stdout,
    /// The program's stderr.
    Stderr,
    /// The host: lines that are missing, say.
    Host,
}

/// One line, or a part of one, as the API sends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it was printed, RFC 3339; absent where nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Where it comes from.
    pub stream: LogStream,
    /// The line, where it is UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The line's bytes, where they are not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Whether the line ends here.
    #[serde(default = "complete")]
    pub complete: bool,
    /// Where to go on after this line.
    #[serde(default)]
    pub cursor: String,
}

fn complete() -> bool {
    true
}

impl LogEntry {
    /// The bytes the program printed, without the line feed.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        match (&self.text, &self.base64) {
            (Some(text), _) => text.clone().into_bytes(),
            (None, Some(encoded)) => STANDARD.decode(encoded).unwrap_or_default(),
            (None, None) => Vec::new(),
        }
    }
}

/// A log being read. Each line comes once, also when the host restarts in between.
#[derive(Debug)]
pub struct LogFollow {
    client: Client,
    path: String,
    query: LogQuery,
    /// The cursor of the last line given out.
    cursor: Option<String>,
    open: Option<Objects>,
    outage: Outage,
}

impl LogFollow {
    pub(crate) fn new(client: Client, path: String, query: LogQuery) -> Self {
        Self {
            client,
            path,
            query,
            cursor: None,
            open: None,
            outage: Outage::new(),
        }
    }

    /// The next line; `None` at the end of the log.
    ///
    /// # Errors
    /// The first connection fails, the API refuses, nobody answered for
    /// [`patience`](crate::ClientOptions::patience), or the log broke off where it cannot be resumed.
    pub async fn next(&mut self) -> Result<Option<LogEntry>, ClientError> {
        loop {
            let failure = match self.step().await {
                Ok(Some(entry)) => {
                    self.outage.received();
                    self.cursor = Some(entry.cursor.clone());
                    return Ok(Some(entry));
                }
                Ok(None) => return Ok(None),
                Err(failure) => failure,
            };
            self.open = None;
            let resumable = self.cursor.as_ref().is_none_or(|cursor| !cursor.is_empty());
            if !resumable || !failure.may_pass() || !self.outage.lost(&self.client).await {
                return Err(failure);
            }
        }
    }

    async fn step(&mut self) -> Result<Option<LogEntry>, ClientError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let ask = Ask::get(self.path.clone()).with(self.pairs());
                let open = Objects::open(&self.client, &ask).await?;
                self.outage.connected(&self.client);
                self.open.insert(open)
            }
        };
        open.next(&self.client, &self.path).await
    }

    /// The query for the next connection: as asked for at first, from the last line on after that.
    fn pairs(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        if self.query.follow {
            pairs.push(("follow", "true".to_owned()));
        }
        match &self.cursor {
            Some(cursor) => pairs.push(("cursor", cursor.clone())),
            None => {
                pairs.extend(
                    self.query
                        .since_ms
                        .map(|since| ("since_ms", since.to_string())),
                );
                pairs.extend(self.query.tail.map(|tail| ("tail", tail.to_string())));
            }
        }
        pairs
    }
}
