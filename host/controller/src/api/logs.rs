//! `/api/v1/workloads/{name}/logs`: what a workload printed, streamed from its node.
//!
//! One JSON object a line or, for who prefers `application/octet-stream`, the node's own frames as they
//! come, which costs a fraction. The client's reading pulls the lines out of the node; when the client goes
//! away, so does the stream. An error after the first line is a last line `{"error": problem}`, or a last
//! frame.

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use fleet_model::Error;
use fleet_protocol::bulk::{BulkStream, LogOptions, Request};
use fleet_protocol::log;
use futures::FutureExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Api;
use super::params::{Flag, Params};
use super::problem::Problem;
use super::target::Target;
use crate::workload::find;

/// JSON collected before it is sent, in bytes, while more lines are ready.
const CHUNK: usize = 64 * 1024;

/// One line of a log, or a part of one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LogLine {
    /// When it was printed, RFC 3339; absent where nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    /// `stdout`, `stderr`, or `host` for a remark of the host's own.
    #[schema(example = "stdout")]
    stream: &'static str,
    /// The line without its line feed, where it is UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    /// The line's bytes, where they are not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    /// Whether the line ends here; a long one comes in parts.
    complete: bool,
    /// Reading with this cursor goes on after this line; empty where that is not possible.
    cursor: String,
}

/// What it printed, one JSON object a line. An error after the first line is a last line `{"error": problem}`.
///
/// With `Accept: application/octet-stream` each line is the length of a frame (4 bytes, big-endian) and the
/// frame: `kind` (1 byte: 1 stdout, 2 stderr, 3 host; + 16 where the line goes on), time in Unix
/// microseconds (8 bytes, big-endian; 0 = not known), the cursor's length (2 bytes, big-endian), the cursor, the
/// line's bytes. `kind` 255 ends the log with an error as JSON.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/logs", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("follow" = Option<bool>, Query, description = "Go on as more is printed."),
        ("since_ms" = Option<u64>, Query, description = "Only lines printed at or after this Unix time in milliseconds."),
        ("tail" = Option<u64>, Query, description = "Only the last so many lines."),
        ("cursor" = Option<String>, Query, description = "Go on after the line that had this cursor.")
    ),
    responses(
        (status = 200, description = "one object a line", content(
            (LogLine = "application/x-ndjson"),
            (String = "application/octet-stream")
        )),
        (status = "default", description = "a problem; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn logs(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let form = Form::wanted(&headers);
    let options = LogOptions {
        follow: params.flag("follow")? == Flag::Set,
        since_ms: params.read("since_ms", "a Unix time in milliseconds")?,
        tail: params.read("tail", "a number of lines")?,
        cursor: params.text("cursor")?,
    };
    params.finish()?;
    let found = find(&api.inner.store.snapshot().state, &name)?;
    let node = found
        .node
        .as_ref()
        .map_or_else(|| found.at.node.to_string(), |node| node.name.clone());
    let live = api
        .inner
        .registry
        .get(found.at.node)
        .ok_or_else(|| away(&node, "the log"))?;
    let request = Request::Logs {
        item: found.item.id.clone(),
        generation: found.item.generation,
        options,
    };
    let place = api.inner.streams.place()?;
    let stream = live.opener.open(&request).await?;
    let log = Log {
        stream,
        form,
        node,
        over: live.over,
        closing: api.inner.closing.clone(),
    };
    let chunks = futures::stream::unfold(Some(log), |log| async {
        let mut log = log?;
        let (chunk, is_last) = log.chunk().await;
        let again = (!is_last).then_some(log);
        (!chunk.is_empty()).then_some((Ok::<_, std::convert::Infallible>(chunk), again))
    });
    let headers = [
        (CONTENT_TYPE, form.content_type()),
        (CACHE_CONTROL, "no-cache"),
    ];
    let answer = (headers, Body::from_stream(chunks)).into_response();
    Ok(place.held_by(answer))
}

/// How lines are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As JSON, one object a line.
    Json,
    /// As the node framed them.
    Frames,
}

impl Form {
    fn wanted(headers: &HeaderMap) -> Self {
        let is_binary = |value: &HeaderValue| {
            let text = value.to_str().unwrap_or_default();
            text.split(',').any(|one| {
                let kind = one.split(';').next().unwrap_or_default().trim();
                kind.eq_ignore_ascii_case("application/octet-stream")
            })
        };
        if headers.get_all(ACCEPT).iter().any(is_binary) {
            Self::Frames
        } else {
            Self::Json
        }
    }

    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-ndjson",
            Self::Frames => "application/octet-stream",
        }
    }

    /// Adds a frame of the node's, and says whether it was the last.
    fn put(self, chunk: &mut BytesMut, frame: &Bytes) -> bool {
        match self {
            Self::Frames => {
                framed(chunk, frame);
                log::is_end(frame)
            }
            Self::Json => match log::decode(frame.clone()) {
                Ok(line) => {
                    put(chunk, &shown(line));
                    false
                }
                Err(error) => {
                    self.fail(chunk, error);
                    true
                }
            },
        }
    }

    /// Adds the end of a log that failed.
    fn fail(self, chunk: &mut BytesMut, error: Error) {
        match self {
            Self::Frames => framed(chunk, &log::encode_error(&error)),
            Self::Json => chunk.extend_from_slice(&failure(error)),
        }
    }
}

fn framed(chunk: &mut BytesMut, frame: &Bytes) {
    // A frame of a session has 2 MiB at most.
    chunk.put_u32(u32::try_from(frame.len()).unwrap_or(u32::MAX));
    chunk.extend_from_slice(frame);
}

/// A log on its way.
struct Log {
    stream: BulkStream,
    form: Form,
    node: String,
    /// The session the stream belongs to.
    over: CancellationToken,
    closing: CancellationToken,
}

impl Log {
    /// The next lines, as many as are ready, and whether they are the last.
    async fn chunk(&mut self) -> (Bytes, bool) {
        let mut chunk = BytesMut::with_capacity(CHUNK / 4);
        let first = tokio::select! {
            first = self.stream.receive() => first,
            () = self.closing.cancelled() => {
                self.form.fail(&mut chunk, stopping());
                return (chunk.freeze(), true);
            }
        };
        let mut next = Some(first);
        while let Some(received) = next {
            match received {
                Some(Ok(frame)) => {
                    if self.form.put(&mut chunk, &frame) {
                        return (chunk.freeze(), true);
                    }
                }
                Some(Err(_)) => {
                    self.form.fail(&mut chunk, away(&self.node, "the log"));
                    return (chunk.freeze(), true);
                }
                None => {
                    // A session that breaks ends its streams like a log that just ends, and is then over.
                    tokio::task::yield_now().await;
                    if self.over.is_cancelled() {
                        self.form.fail(&mut chunk, away(&self.node, "the log"));
                    }
                    return (chunk.freeze(), true);
                }
            }
            next = if chunk.len() < CHUNK {
                self.stream.receive().now_or_never()
            } else {
                None
            };
        }
        (chunk.freeze(), false)
    }
}

fn shown(line: log::LogLine) -> LogLine {
    let (text, base64) = match String::from_utf8(line.bytes.into()) {
        Ok(text) => (Some(text), None),
        Err(error) => (None, Some(STANDARD.encode(error.as_bytes()))),
    };
    LogLine {
        time: time(line.time_us),
        stream: line.stream.as_str(),
        text,
        base64,
        complete: line.complete,
        cursor: line.cursor,
    }
}

/// Microseconds as RFC 3339; 0 is not known.
fn time(time_us: u64) -> Option<String> {
    let micros = i64::try_from(time_us).ok().filter(|micros| *micros > 0)?;
    Some(jiff::Timestamp::from_microsecond(micros).ok()?.to_string())
}

fn put(chunk: &mut BytesMut, value: &impl Serialize) {
    // Writing JSON of plain fields to memory cannot fail.
    let _ = serde_json::to_writer(chunk.writer(), value);
    chunk.put_u8(b'\n');
}

/// The last line of an answer that failed after its first.
pub(super) fn failure(error: Error) -> Bytes {
    #[derive(Serialize)]
    struct Last {
        error: Problem,
    }
    let mut line = BytesMut::new();
    put(
        &mut line,
        &Last {
            error: error.into(),
        },
    );
    line.freeze()
}

/// What is asked for is at a node without a session.
pub(super) fn away(node: &str, what: &str) -> Error {
    Error::unavailable(
        "node-away",
        format!("node {node} is not connected, and {what} is there: try again when it is back"),
    )
}

fn stopping() -> Error {
    Error::unavailable(
        "host-stopping",
        "the host is stopping: go on from the last cursor when it is back",
    )
}

#[cfg(test)]
mod tests {
    use fleet_protocol::log::LogStream;

    use super::*;

    fn line(bytes: &'static [u8], time_us: u64) -> String {
        let line = log::LogLine {
            stream: LogStream::Stderr,
            time_us,
            bytes: Bytes::from_static(bytes),
            complete: true,
            cursor: "1.2".into(),
        };
        serde_json::to_string(&shown(line)).unwrap()
    }

    #[test]
    fn any_bytes_survive_and_times_are_for_people() {
        assert_eq!(
            line(b"hi", 1_700_000_000_000_001),
            r#"{"time":"2023-11-14T22:13:20.000001Z","stream":"stderr","text":"hi","complete":true,"cursor":"1.2"}"#
        );
        assert_eq!(
            line(b"\xff\0", 0),
            r#"{"stream":"stderr","base64":"/wA=","complete":true,"cursor":"1.2"}"#
        );
    }
}
