//! Streams of JSON objects, one a line. An error after the first one is a last line
//! `{"error": problem}`.

use reqwest::header::HeaderMap;
use reqwest::{RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::client::Client;
use crate::error::ClientError;
use crate::lines::Lines;
use crate::problem;
use crate::request::{Ask, streamed};

/// The media type.
const KIND: &str = "application/x-ndjson";

/// An open stream.
#[derive(Debug)]
pub(crate) struct Objects {
    response: Response,
    lines: Lines,
}

impl Objects {
    /// Asks for one.
    pub(crate) async fn open(client: &Client, ask: &Ask) -> Result<Self, ClientError> {
        let response = client.stream(ask, KIND, HeaderMap::new()).await?;
        Ok(Self::over(response))
    }

    /// Sends a request that is made already and is answered with one.
    pub(crate) async fn opened(
        client: &Client,
        request: RequestBuilder,
        path: &str,
    ) -> Result<Self, ClientError> {
        Ok(Self::over(client.opened(request, path, KIND).await?))
    }

    fn over(response: Response) -> Self {
        Self {
            response,
            lines: Lines::default(),
        }
    }

    /// The next object; `None` at a good end. May be dropped and called again: nothing is lost.
    pub(crate) async fn next<T: DeserializeOwned>(
        &mut self,
        client: &Client,
        path: &str,
    ) -> Result<Option<T>, ClientError> {
        loop {
            while let Some(line) = self.lines.pop() {
                if !line.is_empty() {
                    return read(&line, |problem| client.foreign(path, problem)).map(Some);
                }
            }
            match self.response.chunk().await {
                Ok(Some(chunk)) => self
                    .lines
                    .push(&chunk)
                    .map_err(|_| client.foreign(path, "a line without end".to_owned()))?,
                Ok(None) => return Ok(None),
                Err(error) => return Err(client.network(error)),
            }
        }
    }
}

/// Read where it stands, so that what is kept to the letter stays so.
fn read<T: DeserializeOwned>(
    line: &[u8],
    foreign: impl Fn(String) -> ClientError,
) -> Result<T, ClientError> {
    serde_json::from_slice(line).map_err(|error| {
        let value = serde_json::from_slice::<Value>(line).unwrap_or_default();
        match value.get("error") {
            Some(problem) if problem.is_object() => streamed(problem::from_value(problem.clone())),
            _ => foreign(error.to_string()),
        }
    })
}
