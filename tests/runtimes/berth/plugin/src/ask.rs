//! Requests and answers.

use fleet_sdk::endpoint::{Request, Response};
use fleet_sdk::{Error, ErrorKind, Op, Source, endpoint};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

const ENDPOINT: &str = "berth";

/// A request.
#[derive(Clone)]
pub(crate) struct Ask(Request);

/// An answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    body: Vec<u8>,
}

#[derive(Deserialize)]
struct Problem {
    problem: String,
}

impl Ask {
    pub(crate) fn new(method: &str, path: impl Into<String>) -> Self {
        Self(Request {
            method: method.to_owned(),
            path: path.into(),
            query: Vec::new(),
            headers: Vec::new(),
            body: None,
            attributes: Vec::new(),
        })
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.0.query.push((key.to_owned(), value.into()));
        self
    }

    pub(crate) fn body<T: Serialize>(mut self, body: &T) -> Result<Self, Error> {
        let text = serde_json::to_string(body);
        let text = text.map_err(|error| Error::internal("body-unwritable", error.to_string()))?;
        self.0.body = Some(text);
        Ok(self)
    }

    pub(crate) fn get(&self) -> Result<Answer, Error> {
        endpoint::get(ENDPOINT, &self.0).map(Answer::of)
    }

    pub(crate) fn send(&self, op: &Op) -> Result<Answer, Error> {
        endpoint::send(op, ENDPOINT, &self.0).map(Answer::of)
    }

    pub(crate) fn open(mut self, op: Option<&Op>, cursor: Option<String>) -> Result<Source, Error> {
        let cursor = cursor.map(|cursor| ("cursor".to_owned(), cursor));
        self.0.attributes.extend(cursor);
        endpoint::open(op, ENDPOINT, &self.0)
    }
}

impl Answer {
    fn of(response: Response) -> Self {
        Self {
            status: response.status,
            body: response.body,
        }
    }

    /// As if all had gone well.
    pub(crate) fn nothing() -> Self {
        Self {
            status: 204,
            body: Vec::new(),
        }
    }

    pub(crate) fn done(self) -> Result<(), Error> {
        if self.status < 300 {
            return Ok(());
        }
        let kind = match self.status {
            400 | 422 => ErrorKind::Invalid,
            404 => ErrorKind::NotFound,
            409 => ErrorKind::Conflict,
            _ => ErrorKind::Unavailable,
        };
        let said = serde_json::from_slice::<Problem>(&self.body).map(|said| said.problem);
        let said = said.unwrap_or_else(|_| format!("status {}", self.status));
        Err(Error::new(kind, "berth", format!("berth says: {said}")))
    }

    /// A status that is fine as well.
    pub(crate) fn done_or(self, status: u16) -> Result<(), Error> {
        if self.status == status {
            return Ok(());
        }
        self.done()
    }

    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        let body = self.body.clone();
        self.done()?;
        serde_json::from_slice(&body).map_err(|error| {
            let message = format!("an answer of berth cannot be read: {error}");
            Error::new(ErrorKind::Unavailable, "odd-answer", message)
        })
    }
}
