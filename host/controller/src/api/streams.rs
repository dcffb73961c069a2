//! How many answers that go on may be open at once, so that they leave room for all others.
//!
//! Whoever answers so takes a place before a node is asked, and it is free again when the answer has ended
//! or nobody reads it any more. What an answer is sent as says nothing of how long it goes on, so each
//! handler says so itself.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::response::Response;
use fleet_model::{Error, ErrorKind};
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::connection::ConnectionPlace;

/// Answers that go on, at once: three quarters of the connections that a host takes.
const MOST: usize = 384;

/// When to ask again where there are as many as may.
const RETRY_MS: u32 = 5_000;

/// The places of those that are open.
#[derive(Debug)]
pub(crate) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

impl Streams {
    /// A place for an answer whose body goes on.
    ///
    /// # Errors
    /// `exhausted` (`too-many-streams`).
    pub(super) fn place(&self) -> Result<StreamPlace, Error> {
        match self.0.clone().try_acquire_owned() {
            Ok(permit) => Ok(StreamPlace {
                _permit: permit,
                _connection: None,
            }),
            Err(_) => Err(full()),
        }
    }

    /// A place for a connection that changes to another protocol, which keeps its place as a connection, too.
    ///
    /// # Errors
    /// `exhausted` (`too-many-streams`).
    pub(super) fn place_of(
        &self,
        connection: Option<Extension<ConnectionPlace>>,
    ) -> Result<StreamPlace, Error> {
        let place = self.place()?;
        Ok(StreamPlace {
            _connection: connection.map(|Extension(place)| place),
            ..place
        })
    }

    /// How many are open.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        MOST - self.0.available_permits()
    }
}

/// A place among answers that go on, free again when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct StreamPlace {
    _permit: OwnedSemaphorePermit,
    _connection: Option<ConnectionPlace>,
}

impl StreamPlace {
    /// Keeps the place until the answer's body has ended or nobody reads it any more.
    pub(super) fn held_by(self, response: Response) -> Response {
        let (head, body) = response.into_parts();
        let pieces = body.into_data_stream().map(move |piece| {
            let _ = &self;
            piece
        });
        Response::from_parts(head, Body::from_stream(pieces))
    }
}

fn full() -> Error {
    Error {
        retry_after_ms: Some(RETRY_MS),
        ..Error::new(
            ErrorKind::Exhausted,
            "too-many-streams",
            format!(
                "{MOST} answers go on, and no more may: events, logs, packets and stats that are followed, attached programs and \
                 connections to ports. End some of them, then try again"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_with_the_answer_and_there_are_no_more_than_there_are() {
        let streams = Streams(Arc::new(Semaphore::new(1)));
        let body = Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
        let first = streams.place().unwrap().held_by(Response::new(body));
        let second = streams.place().unwrap_err();
        assert_eq!(
            (second.kind, second.code.as_str()),
            (ErrorKind::Exhausted, "too-many-streams")
        );
        assert!(second.retry_after_ms.is_some());
        drop(first);
        assert!(streams.place().is_ok());
    }

    #[test]
    fn a_connection_keeps_its_place_as_long_as_its_stream() {
        let connections = Arc::new(Semaphore::new(1));
        let permit = connections.clone().try_acquire_owned().unwrap();
        let place = Extension(ConnectionPlace::new(permit));
        let stream = Streams::default().place_of(Some(place)).unwrap();
        assert_eq!(connections.available_permits(), 0);
        drop(stream);
        assert_eq!(connections.available_permits(), 1);
    }
}
