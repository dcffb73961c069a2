//! How many answers that go on may be open at once, so that they leave room for all others.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use fleet_model::{Error, ErrorKind};
use futures::StreamExt;
use tokio::sync::Semaphore;

use super::problem::Problem;

/// Answers that go on, at once: three quarters of the connections that a host takes.
const MOST: usize = 384;

/// When to ask again where there are as many as may.
const RETRY_MS: u32 = 5_000;

/// What answers that go on are sent as.
const KINDS: [&str; 2] = ["text/event-stream", "application/x-ndjson"];

/// The places of those that are open.
#[derive(Clone)]
pub(super) struct Streams(Arc<Semaphore>);

impl Default for Streams {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST)))
    }
}

/// Gives an answer that goes on a place until it ends or nobody reads it any more.
pub(super) async fn bound(
    State(Streams(places)): State<Streams>,
    request: Request,
    next: Next,
) -> Response {
    let response = next.run(request).await;
    let kind = response.headers().get(CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !KINDS.iter().any(|stream| kind.starts_with(stream)) {
        return response;
    }
    let Ok(place) = places.try_acquire_owned() else {
        return Problem::from(full()).into_response();
    };
    let (head, body) = response.into_parts();
    let pieces = body.into_data_stream().map(move |piece| {
        let _ = &place;
        piece
    });
    Response::from_parts(head, Body::from_stream(pieces))
}

fn full() -> Error {
    Error {
        retry_after_ms: Some(RETRY_MS),
        ..Error::new(
            ErrorKind::Exhausted,
            "too-many-streams",
            format!(
                "{MOST} events, logs and packets are being followed, and no more may be: end some of them, then try again"
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use axum::{Router, middleware};
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn streams_leave_room_and_give_their_place_back() {
        let streams = Streams(Arc::new(Semaphore::new(1)));
        let endless = || async {
            let body =
                Body::from_stream(futures::stream::pending::<Result<&str, std::io::Error>>());
            ([(CONTENT_TYPE, KINDS[0])], body)
        };
        let router = Router::new()
            .route("/stream", get(endless))
            .route("/short", get(|| async { "short" }))
            .layer(middleware::from_fn_with_state(streams, bound));
        let ask = |path: &str| {
            let request = Request::builder().uri(path).body(Body::empty()).unwrap();
            router.clone().oneshot(request)
        };
        let first = ask("/stream").await.unwrap();
        assert_eq!(first.status(), 200);
        let second = ask("/stream").await.unwrap();
        assert_eq!(second.status(), 429);
        assert_eq!(ask("/short").await.unwrap().status(), 200);
        drop(first);
        assert_eq!(ask("/stream").await.unwrap().status(), 200);
    }
}
