//! One request and its answer: headers, retries, errors.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use fleet_model::Error;
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde::de::DeserializeOwned;

use crate::backoff::Backoff;
use crate::client::Client;
use crate::error::ClientError;
use crate::key::IdempotencyKey;
use crate::problem;

/// How long a plain request may take, the answer's body included.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the last try of a request may take that is sent again and again.
const SHORTEST: Duration = Duration::from_secs(2);
/// How long to keep sending a request whose answer was lost.
const RESEND: Duration = Duration::from_secs(10);

/// What to ask for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    method: Method,
    path: String,
    query: Vec<(&'static str, String)>,
    body: Option<Body>,
    key: Key,
}

#[derive(Clone)]
enum Body {
    Json(serde_json::Value),
    Bytes(Bytes),
}

/// What is sent may be a secret.
impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json(_) => "Json(..)",
            Self::Bytes(_) => "Bytes(..)",
        })
    }
}

/// Under which key a request is sent.
#[derive(Debug, Clone)]
enum Key {
    /// None: it changes nothing.
    None,
    /// One of its own.
    Own,
    /// The caller's.
    Given(IdempotencyKey),
}

impl Ask {
    /// Something that changes nothing.
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path, None).without_effect()
    }

    /// Something new, or something to do.
    pub(crate) fn post(path: impl Into<String>, body: serde_json::Value) -> Self {
        Self::new(Method::POST, path, Some(Body::Json(body)))
    }

    /// Something to do, with nothing said about it, or with a body that its sender adds.
    pub(crate) fn act(path: impl Into<String>) -> Self {
        Self::new(Method::POST, path, None)
    }

    /// Bytes to keep under a name.
    pub(crate) fn put(path: impl Into<String>, body: Bytes) -> Self {
        Self::new(Method::PUT, path, Some(Body::Bytes(body)))
    }

    /// Something to remove.
    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self::new(Method::DELETE, path, None)
    }

    fn new(method: Method, path: impl Into<String>, body: Option<Body>) -> Self {
        Self {
            method,
            path: path.into(),
            query: Vec::new(),
            body,
            key: Key::Own,
        }
    }

    /// The same with a query.
    pub(crate) fn with(mut self, query: Vec<(&'static str, String)>) -> Self {
        self.query.extend(query);
        self
    }

    /// The same under the caller's key.
    pub(crate) fn keyed(self, key: IdempotencyKey) -> Self {
        Self {
            key: Key::Given(key),
            ..self
        }
    }

    /// Where it goes.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The same without a key: it changes nothing.
    pub(crate) fn without_effect(self) -> Self {
        Self {
            key: Key::None,
            ..self
        }
    }
}

impl Client {
    /// Asks, and reads the answer as JSON. Sends again while answers get lost, and where the client
    /// insists, while nobody is there; a request that changes something carries one key however often
    /// it is sent.
    pub(crate) async fn json<T: DeserializeOwned>(&self, ask: Ask) -> Result<T, ClientError> {
        let mut headers = HeaderMap::new();
        let key = match &ask.key {
            Key::None => None,
            Key::Own => Some(self.new_key()),
            Key::Given(key) => Some(key.clone()),
        };
        if let Some(key) = key.and_then(|key| HeaderValue::from_str(key.as_str()).ok()) {
            headers.insert("idempotency-key", key);
        }
        let insistence = self.insistence();
        let give_up_at = self.clock().boot_ms() + millis(insistence.unwrap_or(RESEND));
        let mut backoff = Backoff::new();
        let mut reached = false;
        loop {
            let request = self
                .request(&ask)
                .headers(headers.clone())
                .timeout(self.time_for_an_answer(give_up_at));
            let failure = match self.answer(&ask, request).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            // Refused at once means that nobody is there; refused after it was heard means a restart.
            reached |= matches!(failure, ClientError::Broken { .. });
            let again = match insistence {
                None => reached && failure.is_connection(),
                Some(_) => failure.is_away(),
            };
            let now_ms = self.clock().boot_ms();
            // Asked to come back later than anybody here waits for: no use in asking before.
            let is_too_late = failure.retry_after_ms() > give_up_at.saturating_sub(now_ms);
            if !again || is_too_late || now_ms >= give_up_at {
                return Err(failure);
            }
            self.clock().sleep(backoff.pause(self.entropy())).await;
        }
    }

    /// Whoever insists has a time at which to give up, and no request goes far beyond it.
    fn time_for_an_answer(&self, give_up_at_ms: u64) -> Duration {
        if self.insistence().is_none() {
            return ANSWER;
        }
        let left = give_up_at_ms.saturating_sub(self.clock().boot_ms());
        Duration::from_millis(left).clamp(SHORTEST, ANSWER)
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        ask: &Ask,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let response = self.checked(request).await?;
        let body = response
            .bytes()
            .await
            .map_err(|error| self.network(error))?;
        serde_json::from_slice(&body).map_err(|error| self.foreign(&ask.path, error.to_string()))
    }

    /// Asks for a stream of this media type: no time limit, no second try.
    pub(crate) async fn stream(
        &self,
        ask: &Ask,
        accept: &'static str,
        more: HeaderMap,
    ) -> Result<Response, ClientError> {
        let request = self.request(ask).headers(more);
        self.opened(request, ask.path(), accept).await
    }

    /// The same for a request that is made already.
    pub(crate) async fn opened(
        &self,
        request: RequestBuilder,
        path: &str,
        accept: &'static str,
    ) -> Result<Response, ClientError> {
        let response = self.checked(request.header(ACCEPT, accept)).await?;
        let kind = response
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok());
        if kind.is_some_and(|kind| kind.starts_with(accept)) {
            return Ok(response);
        }
        let problem = format!("{} instead of {accept}", kind.unwrap_or("no content type"));
        Err(self.foreign(path, problem))
    }

    /// Asks for another protocol on the connection; the answer agrees to that.
    pub(crate) async fn upgraded(
        &self,
        ask: &Ask,
        wishes: HeaderMap,
    ) -> Result<Response, ClientError> {
        let request = self.request(ask).headers(wishes).timeout(ANSWER);
        let response = request.send().await.map_err(|error| self.network(error))?;
        match response.status() {
            StatusCode::SWITCHING_PROTOCOLS => Ok(response),
            status if status.is_success() => {
                let problem = format!("{status} instead of a change of protocol");
                Err(self.foreign(&ask.path, problem))
            }
            _ => Err(self.refused(response).await),
        }
    }

    pub(crate) fn request(&self, ask: &Ask) -> RequestBuilder {
        let url = format!("{}{}", self.server(), ask.path);
        let mut request = self.http().request(ask.method.clone(), url);
        if !ask.query.is_empty() {
            request = request.query(&ask.query);
        }
        if let Some(token) = self.token() {
            request = request.bearer_auth(token);
        }
        match &ask.body {
            Some(Body::Json(body)) => request.json(body),
            Some(Body::Bytes(bytes)) => request
                .header(CONTENT_TYPE, "application/octet-stream")
                .body(bytes.clone()),
            None => request,
        }
    }

    /// Sends, and turns an answer with an error status into that error.
    pub(crate) async fn checked(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.network(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(self.refused(response).await)
    }

    /// What an answer with an error status says.
    async fn refused(&self, response: Response) -> ClientError {
        let status = response.status().as_u16();
        match response.bytes().await {
            Ok(body) => ClientError::Api {
                status,
                error: problem::from_body(status, &body),
            },
            Err(error) => self.network(error),
        }
    }

    /// Sorts what the network said by what it means for the caller.
    pub(crate) fn network(&self, error: reqwest::Error) -> ClientError {
        let server = self.server().to_owned();
        let source = Box::new(error.without_url());
        if source.is_connect() {
            ClientError::Unreachable { server, source }
        } else if source.is_timeout() {
            ClientError::Silent { server }
        } else {
            ClientError::Broken { server, source }
        }
    }

    /// An answer that cannot be read.
    pub(crate) fn foreign(&self, path: &str, problem: String) -> ClientError {
        ClientError::Foreign {
            server: self.server().to_owned(),
            path: path.to_owned(),
            problem,
        }
    }
}

/// An error that came inside a stream.
pub(crate) fn streamed(error: Error) -> ClientError {
    ClientError::Api { status: 0, error }
}

/// A duration as the clock counts.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
