//! What came back from the engine, and how it is read.
//!
//! An engine can answer anything: nothing here trusts that a body is JSON or has a key.

use fleet_sdk::{Error, ErrorKind};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// How much of a message is passed on, in characters.
const SHOWN: usize = 500;

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// HTTP's.
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
    /// Of a pull: how far the host has read it.
    pub(crate) job: Option<String>,
}

#[derive(Deserialize)]
struct Message {
    message: String,
}

impl Answer {
    /// An answer that is no job's.
    #[cfg(test)]
    pub(crate) fn new(status: u16, body: &[u8]) -> Self {
        Self {
            status,
            body: body.to_vec(),
            job: None,
        }
    }

    /// Whether what was asked was done.
    pub(crate) fn is_done(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// What the engine says to people: its `message`, or the text of its answer.
    pub(crate) fn message(&self) -> String {
        let text = match serde_json::from_slice::<Message>(&self.body) {
            Ok(message) => message.message,
            Err(_) => String::from_utf8_lossy(&self.body).into_owned(),
        };
        let text = text.trim();
        let shown: String = text.chars().take(SHOWN).collect();
        if shown.is_empty() {
            format!("status {}", self.status)
        } else if shown.len() < text.len() {
            format!("{shown}...")
        } else {
            shown
        }
    }

    /// The body as what it should be.
    ///
    /// # Errors
    /// `unavailable` (`engine-answer`): another look may find another answer.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|error| {
            odd(&format!(
                "an answer of the engine cannot be read ({error}): is a Docker engine behind the endpoint?"
            ))
        })
    }
}

/// An answer that makes no sense.
pub(crate) fn odd(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, "engine-answer", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_found_in_json_and_in_text() {
        for (body, want) in [
            (
                &br#"{"message":"no such container"}"#[..],
                "no such container",
            ),
            (b"page not found\n", "page not found"),
            (b"", "status 500"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            (br#"{"message":1}"#, r#"{"message":1}"#),
        ] {
            assert_eq!(Answer::new(500, body).message(), want);
        }
        let long = Answer::new(500, "x".repeat(10_000).as_bytes()).message();
        assert_eq!(long.len(), SHOWN + 3);
    }

    #[test]
    fn what_cannot_be_read_is_asked_again() {
        for body in [&b"{\"Id\":\"c0"[..], b"", b"[]", b"{}"] {
            #[derive(Debug, Deserialize)]
            #[expect(dead_code, reason = "only read")]
            struct Made {
                #[serde(rename = "Id")]
                id: String,
            }
            let error = Answer::new(201, body).read::<Made>().unwrap_err();
            assert_eq!(error.kind, ErrorKind::Unavailable);
        }
    }
}
