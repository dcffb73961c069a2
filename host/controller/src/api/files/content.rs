//! A file's bytes, streamed from its node.
//!
//! The client's reading pulls them out of the node; when the client goes away, so does the stream. An
//! answer that cannot be completed is broken off: its `Content-Length` shows it.

use std::io;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, LAST_MODIFIED,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fleet_model::Error;
use fleet_model::file::FileEntry;
use fleet_protocol::file::{FileCall, Reply};
use tokio_util::sync::CancellationToken;

use super::super::Api;
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::target::Target;
use super::ask::{self, Asked, foreign};
use super::range::{self, Part};
use super::required;

/// Says a file's permissions, in octal digits.
const FILE_MODE: HeaderName = HeaderName::from_static("fleet-file-mode");

/// A file's bytes, or a part of them. A link that stays in the workspace is followed.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/files", operation_id = "read_file", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("path" = String, Query, description = "The file."),
        ("Range" = Option<String>, Header, description = "One part: `bytes=N-` or `bytes=N-M`.")
    ),
    responses(
        (status = 200, description = "the file, at most as long as it was when it was opened; `ETag`, `Last-Modified` and `Fleet-File-Mode` say what it is. An answer that cannot be completed is broken off", content_type = "application/octet-stream", body = String),
        (status = 206, description = "a part of it, `Content-Range` says which", content_type = "application/octet-stream", body = String),
        (status = 416, description = "it ends before that part", content_type = "application/problem+json", body = Problem),
        (status = "default", description = "a problem: `outside-workspace`, `no-such-file`, `is-a-folder`, `not-a-file`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn read(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let path = required(&mut params, "path")?;
    params.finish()?;
    let part = range::asked(&headers);
    let call = FileCall::Read {
        path,
        offset: part.map_or(0, |part| part.first),
        length: part.and_then(Part::length),
    };
    let mut asked = match ask::open(&api, &name, call).await {
        Ok(asked) => asked,
        Err(problem) if problem.code == "beyond-end" => return Ok(beyond(problem)),
        Err(problem) => return Err(problem),
    };
    let Reply::Entry(entry) = asked.reply().await? else {
        return Err(foreign());
    };
    // An empty file has no byte to begin with, and is whole.
    let part = part.filter(|_| entry.size > 0);
    match part {
        Some(part) if part.first >= entry.size => {
            let message = format!(
                "the file has {} bytes, and ends before that part",
                entry.size
            );
            let error = Error::invalid("beyond-end", message).with("size", entry.size);
            Ok(beyond(error.into()))
        }
        part => Ok(answer(&entry, part, asked, &api)),
    }
}

fn answer(entry: &FileEntry, part: Option<Part>, asked: Asked, api: &Api) -> Response {
    let first = part.map_or(0, |part| part.first);
    let rest = entry.size.saturating_sub(first);
    let left = part
        .and_then(Part::length)
        .map_or(rest, |length| length.min(rest));
    let outgoing = Outgoing {
        asked,
        left,
        closing: api.inner.closing.clone(),
    };
    let pieces = futures::stream::unfold(Some(outgoing), |outgoing| async {
        let mut outgoing = outgoing?;
        match outgoing.piece().await {
            Ok(None) => None,
            Ok(Some(piece)) => Some((Ok(piece), Some(outgoing))),
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Body::from_stream(pieces).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CONTENT_LENGTH, left.into());
    let texts = [
        (ETAG, Some(entry.tag())),
        (LAST_MODIFIED, date(entry.modified_ms)),
        (FILE_MODE, Some(format!("{:04o}", entry.mode))),
        (
            CONTENT_RANGE,
            part.map(|_| content_range(first, left, entry.size)),
        ),
    ];
    for (name, text) in texts {
        if let Some(value) = text.and_then(|text| HeaderValue::from_str(&text).ok()) {
            headers.insert(name, value);
        }
    }
    if part.is_some() {
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    response
}

fn content_range(first: u64, count: u64, size: u64) -> String {
    let last = first.saturating_add(count).saturating_sub(1);
    format!("bytes {first}-{last}/{size}")
}

/// The file ends before the part that was asked for.
fn beyond(problem: Problem) -> Response {
    let size = problem.details.get("size").cloned().unwrap_or_default();
    let problem = Problem {
        status: StatusCode::RANGE_NOT_SATISFIABLE.as_u16(),
        ..problem
    };
    let mut response = problem.into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("bytes */{size}")) {
        response.headers_mut().insert(CONTENT_RANGE, value);
    }
    response
}

/// Unix milliseconds as RFC 9110, 5.6.7, has them.
fn date(unix_ms: u64) -> Option<String> {
    let at = jiff::Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()?;
    Some(at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
}

/// A file on its way.
struct Outgoing {
    asked: Asked,
    /// Bytes that were said to come and have not.
    left: u64,
    closing: CancellationToken,
}

impl Outgoing {
    /// The next bytes; none when all have come.
    async fn piece(&mut self) -> io::Result<Option<Bytes>> {
        if self.left == 0 {
            return Ok(None);
        }
        let frame = tokio::select! {
            frame = self.asked.stream.receive() => frame,
            () = self.closing.cancelled() => None,
        };
        // It became shorter, or the node is gone.
        let mut frame = frame.ok_or(io::ErrorKind::UnexpectedEof)??;
        frame.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= frame.len() as u64;
        Ok(Some(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_parts_are_written_as_http_has_them() {
        let text = date(784_111_777_000).unwrap();
        assert_eq!(text, "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(content_range(10, 5, 100), "bytes 10-14/100");
    }
}
