//! The client itself, and the calls that are one request each.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fleet_model::quantity::Span;
use fleet_model::workload::{Workload, WorkloadSpec};
use fleet_seam::{Clock, Entropy, SystemClock, SystemEntropy};
use serde_json::json;

use crate::error::ClientError;
use crate::events::{EventFollow, EventQuery};
use crate::logs::{LogFollow, LogQuery};
use crate::page::{Page, WorkloadQuery};
use crate::request::{Ask, millis};
use fleet_model::event::Event;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);

/// Where the API is and how to reach it.
#[derive(Clone)]
pub struct ClientOptions {
    /// The base address: `http://127.0.0.1:7300`.
    pub server: String,
    /// What to show at the door.
    pub token: Option<String>,
    /// How long following and waiting go on while nobody answers.
    pub patience: Duration,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where idempotency keys and jitter come from.
    pub entropy: Arc<dyn Entropy>,
}

impl ClientOptions {
    /// A server, no token, a minute of patience, the machine's clock and randomness.
    pub fn new(server: impl Into<String>) -> Self {
        Self {
            server: server.into(),
            token: None,
            patience: Duration::from_secs(60),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }
}

/// A host's API. Clones share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    options: ClientOptions,
    insistence: Option<Duration>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.options.server)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// A client; connects when first asked for something.
    ///
    /// # Errors
    /// [`ClientError::Address`] where `server` is not `http://` and a host.
    pub fn new(mut options: ClientOptions) -> Result<Self, ClientError> {
        let bad = |server: &str, problem| ClientError::Address {
            server: server.to_owned(),
            problem,
        };
        let server = options.server.trim_end_matches('/').to_owned();
        if server.starts_with("https://") {
            return Err(bad(
                &server,
                "this build speaks plain HTTP to loopback addresses, not https",
            ));
        }
        let parsed = server.parse::<reqwest::Url>().ok();
        if !parsed.is_some_and(|url| url.scheme() == "http" && url.has_host() && url.path() == "/")
        {
            return Err(bad(&server, "expected http://HOST:PORT"));
        }
        // A proxy from the environment has no business between this machine and itself.
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT)
            .tcp_keepalive(Duration::from_secs(15))
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("fleet-client/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|_| bad(&server, "an HTTP client cannot be set up on this machine"))?;
        options.server = server;
        Ok(Self {
            http,
            options,
            insistence: None,
        })
    }

    /// The same host, and requests that are sent again, with the same key, for so long while it or
    /// the node behind it cannot be reached: from the first try on, and whatever the reason.
    #[must_use]
    pub fn insisting(&self, insistence: Duration) -> Self {
        Self {
            insistence: Some(insistence),
            ..self.clone()
        }
    }

    /// Accepts a workload.
    ///
    /// # Errors
    /// As every call: what the API says, or that it cannot be reached.
    pub async fn create(&self, spec: &WorkloadSpec) -> Result<Workload, ClientError> {
        let body = serde_json::to_value(spec).unwrap_or_default();
        self.json(Ask::post("/api/v1/workloads", body)).await
    }

    /// One page of workloads.
    ///
    /// # Errors
    /// As every call.
    pub async fn workloads_page(
        &self,
        query: &WorkloadQuery,
        cursor: Option<&str>,
    ) -> Result<Page<Workload>, ClientError> {
        self.json(Ask::get("/api/v1/workloads").with(query.pairs(cursor)))
            .await
    }

    /// All workloads, all pages.
    ///
    /// # Errors
    /// As every call.
    pub async fn workloads(&self, query: &WorkloadQuery) -> Result<Vec<Workload>, ClientError> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let page = self.workloads_page(query, cursor.as_deref()).await?;
            all.extend(page.items);
            match page.next {
                Some(next) if cursor.as_ref() != Some(&next) => cursor = Some(next),
                _ => return Ok(all),
            }
        }
    }

    /// One workload by name or id.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn workload(&self, name: &str) -> Result<Workload, ClientError> {
        self.json(Ask::get(workload_path(name, ""))).await
    }

    /// Asks it to end. The answer carries the generation to wait for.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn stop(&self, name: &str, grace: Option<Duration>) -> Result<Workload, ClientError> {
        let body = match grace {
            Some(grace) => json!({ "grace_ms": millis(grace) }),
            None => json!({}),
        };
        self.json(Ask::post(workload_path(name, "/stop"), body))
            .await
    }

    /// Asks it to run again. The answer carries the generation to wait for.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn start(&self, name: &str) -> Result<Workload, ClientError> {
        self.json(Ask::post(workload_path(name, "/start"), json!({})))
            .await
    }

    /// Lets it exist for so long from now; then it is removed.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn extend(&self, name: &str, ttl: Span) -> Result<Workload, ClientError> {
        let body = json!({ "ttl": ttl });
        self.json(Ask::post(workload_path(name, "/extend"), body))
            .await
    }

    /// Asks for it to be ended and removed with its files.
    ///
    /// # Errors
    /// As every call; `not-found`.
    pub async fn remove(
        &self,
        name: &str,
        grace: Option<Duration>,
    ) -> Result<Workload, ClientError> {
        let query = grace.map(|grace| ("grace_ms", millis(grace).to_string()));
        self.json(Ask::delete(workload_path(name, "")).with(query.into_iter().collect()))
            .await
    }

    /// What it printed, from where `query` says; goes on after a broken connection.
    #[must_use]
    pub fn logs(&self, name: &str, query: LogQuery) -> LogFollow {
        LogFollow::new(self.clone(), workload_path(name, "/logs"), query)
    }

    /// One page of events.
    ///
    /// # Errors
    /// As every call.
    pub async fn events_page(&self, query: &EventQuery) -> Result<Page<Event>, ClientError> {
        self.json(Ask::get("/api/v1/events").with(query.pairs(true)))
            .await
    }

    /// Events as they happen; reconnects by itself.
    #[must_use]
    pub fn follow_events(&self, query: EventQuery) -> EventFollow {
        EventFollow::new(self.clone(), query)
    }

    /// The server's base address, without a slash at its end.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.options.server
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(crate) fn token(&self) -> Option<&str> {
        self.options.token.as_deref()
    }

    pub(crate) fn patience(&self) -> Duration {
        self.options.patience
    }

    pub(crate) fn insistence(&self) -> Option<Duration> {
        self.insistence
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.options.clock
    }

    pub(crate) fn entropy(&self) -> &dyn Entropy {
        &*self.options.entropy
    }
}

/// A path below a workload.
pub(crate) fn workload_path(name: &str, rest: &str) -> String {
    format!("/api/v1/workloads/{}{rest}", segment(name))
}

/// One path segment, whatever was typed: all but unreserved characters (RFC 3986) are escaped.
pub(crate) fn segment(text: &str) -> String {
    use std::fmt::Write as _;
    if matches!(text, "." | ".." | "") {
        // Not expressible as a segment: a name no server has, so that the answer is "not found".
        return "%20".to_owned();
    }
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        let server = |text: &str| Client::new(ClientOptions::new(text));
        assert_eq!(
            server("http://127.0.0.1:7300/").unwrap().server(),
            "http://127.0.0.1:7300"
        );
        assert!(server("http://[::1]:7300").is_ok());
        for bad in [
            "127.0.0.1:7300",
            "localhost:7300",
            "ftp://x",
            "http://",
            "http://x/api",
            "",
            "https://x",
        ] {
            assert!(
                matches!(server(bad), Err(ClientError::Address { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_name_stays_one_segment() {
        assert_eq!(segment("web-1"), "web-1");
        assert_eq!(segment("a/../b?c"), "a%2F..%2Fb%3Fc");
        assert_eq!(segment(".."), "%20");
    }
}
