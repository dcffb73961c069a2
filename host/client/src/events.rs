//! Events: read by page, or followed over server-sent events.

use fleet_model::event::Event;
use reqwest::Response;
use reqwest::header::{HeaderMap, HeaderValue};

use crate::backoff::Outage;
use crate::client::Client;
use crate::error::ClientError;
use crate::lines::Lines;
use crate::page::PAGE;
use crate::problem;
use crate::request::{Ask, streamed};
use crate::sse::{Message, Parser};

/// Which events.
#[derive(Debug, Clone, Default)]
pub struct EventQuery {
    /// Only those after this number; 0 is from the beginning. Absent: a list begins at the
    /// beginning, following begins with what happens next.
    pub after: Option<u64>,
    /// Only those about this id or name.
    pub subject: Option<String>,
    /// Only those of this type.
    pub kind: Option<String>,
}

impl EventQuery {
    /// The query as the API reads it.
    pub(crate) fn pairs(&self, paged: bool) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        pairs.extend(self.after.map(|after| ("after", after.to_string())));
        pairs.extend(self.subject.clone().map(|subject| ("subject", subject)));
        pairs.extend(self.kind.clone().map(|kind| ("type", kind)));
        if paged {
            pairs.push(("limit", PAGE.to_string()));
        }
        pairs
    }
}

/// What following gives out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Followed {
    /// The stream is up, for the first time or again: from here on nothing is missed, so look now at
    /// what you wait for.
    Connected,
    /// Something happened.
    Event(Event),
}

/// Events as they happen. Reconnects with `Last-Event-ID`, so that each event comes once.
#[derive(Debug)]
pub struct EventFollow {
    client: Client,
    query: EventQuery,
    last: Option<u64>,
    open: Option<Open>,
    outage: Outage,
}

#[derive(Debug)]
struct Open {
    response: Response,
    lines: Lines,
    parser: Parser,
}

impl EventFollow {
    pub(crate) fn new(client: Client, query: EventQuery) -> Self {
        Self {
            client,
            query,
            last: None,
            open: None,
            outage: Outage::new(),
        }
    }

    /// The next event, or that the stream is up. May be dropped and called again: nothing is lost.
    ///
    /// # Errors
    /// The first connection fails, the API refuses, or nobody answered for
    /// [`patience`](crate::ClientOptions::patience).
    pub async fn next(&mut self) -> Result<Followed, ClientError> {
        loop {
            let failure = match &mut self.open {
                None => match self.connect().await {
                    Ok(open) => {
                        self.open = Some(open);
                        self.outage.connected(&self.client);
                        return Ok(Followed::Connected);
                    }
                    Err(failure) => failure,
                },
                Some(open) => match open.message(&self.client).await {
                    Ok(message) => {
                        self.outage.received();
                        match self.take(message)? {
                            Some(event) => return Ok(Followed::Event(event)),
                            None => continue,
                        }
                    }
                    Err(failure) => failure,
                },
            };
            self.open = None;
            if !failure.may_pass() || !self.outage.lost(&self.client).await {
                return Err(failure);
            }
        }
    }

    async fn connect(&self) -> Result<Open, ClientError> {
        let mut headers = HeaderMap::new();
        if let Some(last) = self.last {
            headers.insert("last-event-id", HeaderValue::from(last));
        }
        let ask = Ask::get("/api/v1/events").with(self.query.pairs(false));
        let response = self
            .client
            .stream(&ask, "text/event-stream", headers)
            .await?;
        Ok(Open {
            response,
            lines: Lines::default(),
            parser: Parser::default(),
        })
    }

    /// Reads an event, and drops one that was given out before.
    fn take(&mut self, message: Message) -> Result<Option<Event>, ClientError> {
        if message.event.as_deref() == Some("error") {
            let value = serde_json::from_str(&message.data).unwrap_or_default();
            return Err(streamed(problem::from_value(value)));
        }
        let mut event: Event = serde_json::from_str(&message.data)
            .map_err(|error| self.client.foreign("/api/v1/events", error.to_string()))?;
        let id = message.id.and_then(|id| id.parse().ok());
        event.seq = id.unwrap_or(event.seq);
        if self.last.is_some_and(|last| event.seq <= last) {
            return Ok(None);
        }
        self.last = Some(event.seq);
        Ok(Some(event))
    }
}

impl Open {
    /// The next message; the end of the stream is an error, for it has none.
    async fn message(&mut self, client: &Client) -> Result<Message, ClientError> {
        loop {
            while let Some(line) = self.lines.pop() {
                if let Some(message) = self.parser.line(&String::from_utf8_lossy(&line)) {
                    return Ok(message);
                }
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self.lines.push(&chunk).map_err(|_| {
                    client.foreign("/api/v1/events", "a line without end".to_owned())
                })?,
                Ok(None) => {
                    let server = client.server().to_owned();
                    return Err(ClientError::Broken {
                        server,
                        source: "the stream ended".into(),
                    });
                }
                Err(error) => return Err(client.network(error)),
            }
        }
    }
}
