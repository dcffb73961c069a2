//! A file's bytes, streamed to its node.
//!
//! The node's writing pulls them out of the client, so a large file takes no more memory than a small
//! one. When the client goes away, what has arrived stays at the node, and whoever sends the same key
//! goes on there.

use axum::body::{Body, BodyDataStream};
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use fleet_model::file::Upload;
use fleet_model::spec::FileMode;
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::BulkSink;
use fleet_protocol::file::{CHUNK_BYTES, FileCall, Reply};
use futures::StreamExt;

use super::super::Api;
use super::super::body::Key;
use super::super::params::Params;
use super::super::problem::Problem;
use super::super::shorten;
use super::super::target::Target;
use super::ask::{self, Asked, foreign, gone, problem};
use super::look::Arrived;
use super::required;

/// Puts a file in its place, in one go or in parts. It is there when all of it has arrived: whole and at
/// once, in the place of what was there. Missing folders are made.
#[utoipa::path(
    put, path = "/api/v1/workloads/{name}/files", operation_id = "write_file", tag = "files",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("path" = String, Query, description = "Where it is to be. A link there is replaced, whatever it points to."),
        ("offset" = Option<u64>, Query, description = "Where in the file the body's bytes belong: as much as has arrived; 0 if absent."),
        ("size" = Option<u64>, Query, description = "The whole file's size in bytes; if absent, it ends with this body."),
        ("sha256" = Option<String>, Query, description = "The whole file's SHA-256, 64 hexadecimal digits: another one is refused. With parts it may come with the last."),
        ("mode" = Option<String>, Query, description = "Its permissions, three octal digits; 644 if absent."),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 255 characters: the upload's key. What arrived under it is kept for a day and can be gone on with; without one it is dropped when it breaks off.")
    ),
    request_body(content = String, content_type = "application/octet-stream", description = "The bytes, of any number and with any content type."),
    responses(
        (status = 200, description = "the file is in its place, durably", body = Arrived),
        (status = 202, description = "a part has arrived, and there is more to come", body = Arrived),
        (status = 408, description = "the body stopped in the middle; what arrived is kept", content_type = "application/problem+json", body = Problem),
        (status = 507, description = "it does not fit on the disk, or into the workload's limit; what arrived is kept", content_type = "application/problem+json", body = Problem),
        (status = "default", description = "a problem: `outside-workspace`, `is-a-folder`, `upload-offset` with the detail `arrived`, `upload-key-reused`, `upload-digest`, `upload-too-long`; 503 while the workload's node is away or another connection sends under this key", content_type = "application/problem+json", body = Problem)
    )
)]
pub(crate) async fn write(
    State(api): State<Api>,
    Target(name): Target,
    key: Key,
    mut params: Params,
    request: Request,
) -> Result<Response, Problem> {
    let upload = upload(&mut params, key, request.headers())?;
    params.finish()?;
    let asked = ask::open(&api, &name, FileCall::Write(upload)).await?;
    match send(asked, request.into_body()).await? {
        Reply::Upload { arrived, sha256 } => {
            let status = match &sha256 {
                Some(_) => StatusCode::OK,
                None => StatusCode::ACCEPTED,
            };
            Ok((status, axum::Json(Arrived { arrived, sha256 })).into_response())
        }
        _ => Err(foreign()),
    }
}

#[expect(
    clippy::result_large_err,
    reason = "one refusal has a status of its own, and it goes to the client at once"
)]
fn upload(params: &mut Params, key: Key, headers: &HeaderMap) -> Result<Upload, Problem> {
    let path = required(params, "path")?;
    let offset = params
        .read::<u64>("offset", "a number of bytes")?
        .unwrap_or(0);
    let size = params.read::<u64>("size", "a number of bytes")?;
    let sha256 = params.text("sha256")?.map(digest).transpose()?;
    let mode = params.read::<FileMode>("mode", "three octal digits, as in 644")?;
    let length = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let end = length.map(|length| offset.saturating_add(length));
    let size = match (size, end) {
        (Some(size), Some(end)) if end > size => return Err(too_long(end, size).into()),
        (Some(size), _) | (None, Some(size)) => size,
        (None, None) => return Err(Problem::with_status(411, no_size())),
    };
    let key = key.into_text().unwrap_or_default();
    if key.is_empty() && offset > 0 {
        return Err(no_key().into());
    }
    Ok(Upload {
        path,
        key,
        offset,
        size,
        sha256,
        mode: mode.map(FileMode::bits),
    })
}

fn digest(text: String) -> Result<String, Error> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(text);
    }
    let message = format!(
        "`sha256={}` is none: expected 64 hexadecimal digits",
        shorten(&text)
    );
    Err(Error::invalid("invalid-parameter", message).with("parameter", "sha256"))
}

/// Sends the body on, and answers what the node says: at the end, or before it where it takes no more.
async fn send(asked: Asked, body: Body) -> Result<Reply, Problem> {
    let Asked { stream, live, node } = asked;
    let (sink, mut source) = stream.split();
    let mut sending = Box::pin(pass(body.into_data_stream(), sink));
    let early = tokio::select! {
        biased;
        early = source.receive() => Some(early),
        sent = &mut sending => match sent {
            Ok(()) | Err(Cut::Node) => None,
            Err(Cut::Client) => return Err(cut()),
        },
        () = live.over.cancelled() => return Err(gone(&node)),
    };
    let last = match early {
        Some(last) => last,
        None => tokio::select! {
            last = source.receive() => last,
            () = live.over.cancelled() => None,
        },
    };
    let Some(Ok(frame)) = last else {
        return Err(gone(&node));
    };
    match serde_json::from_slice(&frame) {
        Ok(Reply::Failed(error)) => Err(problem(error)),
        Ok(reply) => Ok(reply),
        Err(_) => Err(foreign()),
    }
}

/// Who broke off.
enum Cut {
    Client,
    Node,
}

/// Passes a body on in frames, and an empty one at its end.
async fn pass(mut body: BodyDataStream, mut sink: BulkSink) -> Result<(), Cut> {
    while let Some(piece) = body.next().await {
        let mut piece = piece.map_err(|_| Cut::Client)?;
        while !piece.is_empty() {
            let frame = piece.split_to(piece.len().min(CHUNK_BYTES));
            sink.send(frame).await.map_err(|_| Cut::Node)?;
        }
    }
    sink.send(Bytes::new()).await.map_err(|_| Cut::Node)
}

fn cut() -> Problem {
    let message = "the body stopped in the middle: with an Idempotency-Key what arrived is kept, and `files/uploads` says \
        how much that is; go on there";
    Problem::with_status(408, Error::new(ErrorKind::Deadline, "upload-cut", message))
}

fn too_long(end: u64, size: u64) -> Error {
    Error::invalid(
        "upload-too-long",
        format!(
            "the body would end at byte {end}, and the file is said to have {size}: say its size as it is"
        ),
    )
}

fn no_size() -> Error {
    Error::invalid(
        "no-size",
        "nobody says how large the file is: send a Content-Length, or `size=` with the whole file's bytes",
    )
}

fn no_key() -> Error {
    Error::invalid(
        "no-upload-key",
        "to go on with an upload, send the Idempotency-Key it was begun with",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_64_hexadecimal_digits() {
        assert!(digest("aB".repeat(32)).is_ok());
        for bad in [
            String::new(),
            "a".repeat(63),
            "g".repeat(64),
            "a".repeat(65),
        ] {
            assert_eq!(digest(bad).unwrap_err().code, "invalid-parameter");
        }
    }
}
