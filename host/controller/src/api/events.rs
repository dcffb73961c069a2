//! `/api/v1/events`: what happened, by page or as it happens.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::ACCEPT;
use axum::response::sse::{self, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use fleet_model::event::Event;
use fleet_model::{Error, ErrorKind};
use futures::{Stream, StreamExt};

use super::Api;
use super::feed::{Feed, Filter, Step};
use super::page::{self, Page};
use super::params::{Flag, Params};
use super::problem::Problem;

/// How often a quiet stream shows that it is alive.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// Events, oldest first. With `Accept: text/event-stream` or `follow=true` the answer is a stream of
/// server-sent events that goes on: `id` is the event's `seq`, `data` the event. It resumes after
/// `Last-Event-ID`, else after `after`, else it begins with what happens next. Events that were
/// dropped for age before they could be read are told as one `events.gap`.
#[utoipa::path(
    get, path = "/api/v1/events", tag = "events",
    params(
        ("after" = Option<u64>, Query, description = "Only events after this number; 0 is from the oldest kept. Also the cursor of the next page."),
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent. A stream has no pages."),
        ("subject" = Option<String>, Query, description = "Only events about this id or name."),
        ("type" = Option<String>, Query, description = "Only events of this type."),
        ("follow" = Option<bool>, Query, description = "A stream, whatever `Accept` says."),
        ("Last-Event-ID" = Option<u64>, Header, description = "The last event that was received.")
    ),
    responses(
        (status = 200, description = "a page, or a stream", content((Page<Event> = "application/json"), (String = "text/event-stream"))),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn events(
    State(api): State<Api>,
    headers: HeaderMap,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params.read::<u64>("after", "the number of an event")?;
    let filter = Filter {
        subject: params.text("subject")?,
        kind: params.text("type")?,
    };
    let follow = params.flag("follow")?;
    params.finish()?;
    let head = api.inner.store.snapshot().log_head::<Event>();
    let after = last_event_id(&headers)?.or(after);
    if let Some(after) = after.filter(|after| *after > head) {
        let message = format!(
            "event {after} has not happened, the newest is {head}: this host's history is not the one you followed; begin again without `after`"
        );
        return Err(Error::invalid("event-ahead", message)
            .with("newest", head)
            .into());
    }
    if follow == Flag::Set || wants_stream(&headers) {
        let place = api.inner.streams.place()?;
        let feed = Feed::new(api.inner.clone(), filter, after.unwrap_or(head));
        return Ok(place.held_by(stream(feed)));
    }
    let mut feed = Feed::new(api.inner.clone(), filter, after.unwrap_or(0));
    let (items, is_at_end) = feed.page(limit).await.map_err(unreadable)?;
    let next = (!is_at_end).then(|| feed.after().to_string());
    Ok(axum::Json(Page { items, next }).into_response())
}

fn wants_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|accept| accept.contains("text/event-stream"))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    let Some(value) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let seq = value.to_str().ok().and_then(|text| text.parse().ok());
    seq.map(Some).ok_or_else(|| {
        Error::invalid(
            "invalid-parameter",
            "`Last-Event-ID` is not the number of an event: send the last `id` you received",
        )
    })
}

/// Pulled by the client's reading: a slow one holds back nobody but itself.
fn stream(feed: Feed) -> Response {
    let steps = futures::stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        match feed.next().await {
            Step::Event(event) => Some((message(&event), Some(feed))),
            Step::Failed(error) => Some((failure(error), None)),
            Step::End => None,
        }
    });
    Sse::new(infallible(steps))
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response()
}

fn infallible(
    steps: impl Stream<Item = sse::Event> + Send + 'static,
) -> impl Stream<Item = Result<sse::Event, Infallible>> + Send + 'static {
    steps.map(Ok)
}

fn message(event: &Event) -> sse::Event {
    let data = serde_json::to_string(event).unwrap_or_default();
    sse::Event::default().id(event.seq.to_string()).data(data)
}

fn failure(error: Error) -> sse::Event {
    sse::Event::default()
        .event("error")
        .data(Problem::from(error).to_json())
}

/// The log cannot be read.
pub(super) fn unreadable(error: fleet_store::StoreError) -> Error {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "the event log cannot be read"
    );
    Error::new(
        ErrorKind::Unavailable,
        "events-unreadable",
        "the event log cannot be read now: see the host's log, then try again",
    )
}
