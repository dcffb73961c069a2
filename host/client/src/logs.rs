//! What a workload printed, line by line, resumed by cursor when the connection breaks.
//!
//! Lines travel as the node frames them, not as JSON: a log is read as fast as it can be sent.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fleet_protocol::log::LogLine;
use serde::{Serialize, Serializer};

use crate::backoff::Outage;
use crate::client::Client;
use crate::error::ClientError;
use crate::log_frames::LogFrames;
use crate::request::Ask;

pub use fleet_protocol::log::LogStream;

/// Which lines.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Go on with what will be printed, until the workload has ended.
    pub follow: bool,
    /// Only lines printed since, in Unix milliseconds.
    pub since_ms: Option<u64>,
    /// Only the last so many.
    pub tail: Option<u64>,
    /// Only lines after the one that had this cursor.
    pub cursor: Option<String>,
}

/// One line, or a part of one. As JSON it has the API's form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// When it was printed, in Unix microseconds; absent where nobody knows.
    pub time_us: Option<u64>,
    /// Where it comes from.
    pub stream: LogStream,
    /// What was printed, without the line feed.
    pub bytes: Bytes,
    /// Whether the line ends here.
    pub complete: bool,
    /// Where to go on after this line; empty where that is not possible.
    pub cursor: String,
}

impl LogEntry {
    /// When it was printed, in RFC 3339.
    #[must_use]
    pub fn time(&self) -> Option<String> {
        let micros = i64::try_from(self.time_us?).ok()?;
        let time = jiff::Timestamp::from_microsecond(micros).ok()?;
        Some(time.to_string())
    }
}

impl From<LogLine> for LogEntry {
    fn from(line: LogLine) -> Self {
        Self {
            time_us: (line.time_us > 0).then_some(line.time_us),
            stream: line.stream,
            bytes: line.bytes,
            complete: line.complete,
            cursor: line.cursor,
        }
    }
}

impl Serialize for LogEntry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            time: Option<String>,
            stream: &'static str,
            #[serde(skip_serializing_if = "Option::is_none")]
            text: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            base64: Option<String>,
            complete: bool,
            cursor: &'a str,
        }
        let text = std::str::from_utf8(&self.bytes).ok();
        Shown {
            time: self.time(),
            stream: self.stream.as_str(),
            text,
            base64: text.is_none().then(|| STANDARD.encode(&self.bytes)),
            complete: self.complete,
            cursor: &self.cursor,
        }
        .serialize(serializer)
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
    open: Option<LogFrames>,
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

    /// The next line; `None` at the end of the log. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The first connection fails, the API refuses, nobody answered for
    /// [`patience`](crate::ClientOptions::patience), or the log broke off where it cannot be resumed.
    pub async fn next(&mut self) -> Result<Option<LogEntry>, ClientError> {
        loop {
            let failure = match self.step().await {
                Ok(Some(line)) => {
                    self.outage.received();
                    return Ok(Some(self.given(line)));
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

    /// The next line, if it has come already; [`next`](Self::next) says whether there are more.
    pub fn ready(&mut self) -> Option<LogEntry> {
        let line = self.open.as_mut()?.ready(&self.client, &self.path)?;
        Some(self.given(line))
    }

    /// The cursor of the last line given out: a later read goes on with it. The one that was asked for where
    /// no line came.
    #[must_use]
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref().or(self.query.cursor.as_deref())
    }

    fn given(&mut self, line: LogLine) -> LogEntry {
        let cursor = self.cursor.get_or_insert_default();
        cursor.clone_from(&line.cursor);
        line.into()
    }

    async fn step(&mut self) -> Result<Option<LogLine>, ClientError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let ask = Ask::get(self.path.clone()).with(self.pairs());
                let open = LogFrames::open(&self.client, &ask).await?;
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
        if self.cursor.is_none() {
            let since = self.query.since_ms;
            pairs.extend(since.map(|since| ("since_ms", since.to_string())));
            pairs.extend(self.query.tail.map(|tail| ("tail", tail.to_string())));
        }
        pairs.extend(self.cursor().map(|cursor| ("cursor", cursor.to_owned())));
        pairs
    }
}
