//! What a client is told of a swap: the report, or each stage and then the report.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use fleet_model::Error;
use fleet_model::plugin::PluginState;
use fleet_model::swap::SwapReport;
use fleet_protocol::bulk::BulkSink;
use fleet_protocol::plugin::Reply;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::Api;
use super::super::logs::failure;
use super::super::problem::Problem;
use super::ask::{Replies, foreign, problem};
use super::heard::heard;

const LINES: &str = "application/x-ndjson";

/// One line of a swap that is followed: a stage, or at the end the report. An error after the first line
/// is a last line `{"error": problem}`.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SwapLine {
    /// The state that the newcomer has reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    stage: Option<PluginState>,
    /// What became of it; the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<Box<SwapReport>>,
}

/// How it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// At its end.
    Whole,
    /// As it goes.
    Lines,
}

impl Form {
    /// What the client prefers.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let mut accepted = headers
            .get_all(ACCEPT)
            .iter()
            .filter_map(|value| value.to_str().ok());
        if accepted.any(|accept| accept.contains(LINES)) {
            Self::Lines
        } else {
            Self::Whole
        }
    }
}

/// Waits for what is first to be told, and tells it. `early` is a reply that has come already. The sending
/// half ends the stream for the node, so it lives as long as the answer.
pub(super) async fn answer(
    api: &Api,
    sink: BulkSink,
    mut replies: Replies,
    early: Option<Result<Reply, Error>>,
    form: Form,
) -> Result<Response, Problem> {
    let first = match early {
        Some(early) => early,
        None => replies.next().await,
    };
    let first = first.map_err(problem)?;
    match form {
        Form::Whole => {
            let report = end(first, &mut replies).await?;
            heard(api, replies.id, &report).await;
            Ok(axum::Json(report).into_response())
        }
        Form::Lines => Ok(lines(api, sink, replies, first)),
    }
}

/// The report at its end.
async fn end(mut reply: Reply, replies: &mut Replies) -> Result<Box<SwapReport>, Problem> {
    loop {
        match reply {
            Reply::Report { report } => return Ok(report),
            Reply::Stage { .. } => reply = replies.next().await.map_err(problem)?,
            _ => return Err(foreign().into()),
        }
    }
}

/// A line on its way.
struct Lines {
    api: Api,
    replies: Replies,
    /// Held, not used.
    _sink: BulkSink,
    first: Option<Reply>,
}

fn lines(api: &Api, sink: BulkSink, replies: Replies, first: Reply) -> Response {
    let lines = Lines {
        api: api.clone(),
        replies,
        _sink: sink,
        first: Some(first),
    };
    let chunks = futures::stream::unfold(Some(lines), |lines| async {
        let mut lines = lines?;
        let (line, is_last) = lines.next().await;
        Some((Ok::<_, Infallible>(line), (!is_last).then_some(lines)))
    });
    let headers = [(CONTENT_TYPE, LINES), (CACHE_CONTROL, "no-cache")];
    (headers, Body::from_stream(chunks)).into_response()
}

impl Lines {
    /// The next line, and whether it is the last.
    async fn next(&mut self) -> (Bytes, bool) {
        let reply = match self.first.take() {
            Some(first) => Ok(first),
            None => tokio::select! {
                reply = self.replies.next() => reply,
                () = self.api.inner.closing.cancelled() => Err(stopping()),
            },
        };
        match reply {
            Ok(Reply::Stage { state }) => {
                let stage = SwapLine {
                    stage: Some(state),
                    report: None,
                };
                (line(&stage), false)
            }
            Ok(Reply::Report { report }) => {
                heard(&self.api, self.replies.id, &report).await;
                let report = SwapLine {
                    stage: None,
                    report: Some(report),
                };
                (line(&report), true)
            }
            Ok(_) => (failure(foreign()), true),
            Err(error) => (failure(error), true),
        }
    }
}

fn line(value: &SwapLine) -> Bytes {
    let mut line = BytesMut::new();
    // Writing JSON of plain fields to memory cannot fail.
    let _ = serde_json::to_writer((&mut line).writer(), value);
    line.put_u8(b'\n');
    line.freeze()
}

fn stopping() -> Error {
    Error::unavailable(
        "host-stopping",
        "the host is stopping: what became of the swap is in the plugin's history when it is back",
    )
}
