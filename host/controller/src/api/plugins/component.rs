//! A component on its way to its node: a body of nothing else, or a form that brings the manifest too.
//!
//! The node's writing pulls it out of the client, so it takes no memory here whatever its size.

use axum::body::{Body, BodyDataStream};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use fleet_model::swap::{MAX_COMPONENT_BYTES, MAX_MANIFEST_BYTES};
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::BulkSink;
use fleet_protocol::plugin::{CHUNK_BYTES, Tail};
use futures::StreamExt;
use multer::{Constraints, Multipart, SizeLimit};

use super::super::problem::Problem;
use super::ask::problem;

/// What a form takes beyond its files, in bytes: boundaries and headers.
const FORM_BYTES: u64 = 16 * 1024;

/// The fields of a form.
const COMPONENT: &str = "component";
const MANIFEST: &str = "manifest";

/// A body that is to bring a component.
pub(super) enum Form {
    /// The component alone.
    Plain(BodyDataStream),
    /// A form (RFC 7578).
    Fields(Multipart<'static>),
}

/// Why not all of it was sent.
pub(super) enum Cut {
    /// The client broke off.
    Client,
    /// The node takes no more.
    Node,
    /// It is none.
    Refused(Error),
}

impl Form {
    /// Looks at what the client says it sends.
    ///
    /// # Errors
    /// `too-large` (413), before anything is read; `invalid` (`invalid-form`).
    #[expect(
        clippy::result_large_err,
        reason = "one refusal has a status of its own, and it goes to the client at once"
    )]
    pub(super) fn of(headers: &HeaderMap, body: Body) -> Result<Self, Problem> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let length = text(CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        if length
            .is_some_and(|length| length > MAX_COMPONENT_BYTES + MAX_MANIFEST_BYTES + FORM_BYTES)
        {
            return Err(problem(too_large()));
        }
        let kind = text(CONTENT_TYPE).unwrap_or_default();
        if !kind.to_ascii_lowercase().starts_with("multipart/") {
            return Ok(Self::Plain(body.into_data_stream()));
        }
        let boundary = multer::parse_boundary(kind).map_err(|error| invalid(&error))?;
        let sizes = SizeLimit::new()
            .for_field(COMPONENT, MAX_COMPONENT_BYTES)
            .for_field(MANIFEST, MAX_MANIFEST_BYTES);
        let constraints = Constraints::new()
            .allowed_fields(vec![COMPONENT, MANIFEST])
            .size_limit(sizes);
        let form = Multipart::with_constraints(body.into_data_stream(), boundary, constraints);
        Ok(Self::Fields(form))
    }

    /// Sends it on to its end.
    pub(super) async fn pass(self, sink: &mut BulkSink) -> Result<(), Cut> {
        let tail = match self {
            Self::Plain(body) => plain(body, sink).await?,
            Self::Fields(form) => fields(form, sink).await?,
        };
        let tail = serde_json::to_vec(&tail).map_err(|_| Cut::Node)?;
        sink.send(tail.into()).await.map_err(|_| Cut::Node)
    }
}

async fn plain(mut body: BodyDataStream, sink: &mut BulkSink) -> Result<Tail, Cut> {
    let mut count = 0;
    while let Some(piece) = body.next().await {
        send(piece.map_err(|_| Cut::Client)?, &mut count, sink).await?;
    }
    finish(count, sink).await?;
    Ok(Tail::default())
}

async fn fields(mut form: Multipart<'static>, sink: &mut BulkSink) -> Result<Tail, Cut> {
    let (mut component, mut manifest) = (None, None);
    while let Some(mut field) = form.next_field().await.map_err(cut)? {
        match field.name() {
            Some(COMPONENT) if component.is_none() => {
                let mut count = 0;
                while let Some(piece) = field.chunk().await.map_err(cut)? {
                    send(piece, &mut count, sink).await?;
                }
                component = Some(count);
            }
            Some(MANIFEST) if manifest.is_none() => {
                let text = field.bytes().await.map_err(cut)?.to_vec();
                manifest = Some(String::from_utf8(text).map_err(|_| Cut::Refused(not_text()))?);
            }
            other => {
                let name = other.unwrap_or_default().to_owned();
                return Err(Cut::Refused(twice(&name)));
            }
        }
    }
    finish(component.unwrap_or_default(), sink).await?;
    Ok(Tail { manifest })
}

/// Sends a piece in frames.
async fn send(mut piece: Bytes, count: &mut u64, sink: &mut BulkSink) -> Result<(), Cut> {
    *count += piece.len() as u64;
    if *count > MAX_COMPONENT_BYTES {
        return Err(Cut::Refused(too_large()));
    }
    while !piece.is_empty() {
        let frame = piece.split_to(piece.len().min(CHUNK_BYTES));
        sink.send(frame).await.map_err(|_| Cut::Node)?;
    }
    Ok(())
}

/// The component's end.
async fn finish(count: u64, sink: &mut BulkSink) -> Result<(), Cut> {
    if count == 0 {
        return Err(Cut::Refused(empty()));
    }
    sink.send(Bytes::new()).await.map_err(|_| Cut::Node)
}

/// A form that cannot be read: the client's fault, or the client is gone.
fn cut(error: multer::Error) -> Cut {
    match error {
        multer::Error::StreamReadFailed(_) => Cut::Client,
        multer::Error::FieldSizeExceeded { field_name, .. }
            if field_name.as_deref() == Some(COMPONENT) =>
        {
            Cut::Refused(too_large())
        }
        error => Cut::Refused(invalid(&error)),
    }
}

/// What is answered where the body stopped.
pub(super) fn stopped() -> Problem {
    let message =
        "the body stopped in the middle, and nothing was begun: send the component once more";
    Problem::with_status(408, Error::new(ErrorKind::Deadline, "upload-cut", message))
}

fn invalid(error: &multer::Error) -> Error {
    Error::invalid(
        "invalid-form",
        format!(
            "the form cannot be read: {error}. Send the files as the fields `{COMPONENT}` and `{MANIFEST}`, as `curl -F {COMPONENT}=@NAME.wasm -F {MANIFEST}=@NAME.toml` does"
        ),
    )
}

fn twice(name: &str) -> Error {
    Error::invalid(
        "invalid-form",
        format!("the form has `{name}` twice: send each field once"),
    )
}

fn not_text() -> Error {
    Error::invalid(
        "bad-manifest",
        "the manifest is not UTF-8 text: send a NAME.toml",
    )
}

fn empty() -> Error {
    Error::invalid(
        "no-component",
        format!(
            "the body has no component: send the file as it is (`curl --data-binary @NAME.wasm`), or as the field `{COMPONENT}` of a form"
        ),
    )
}

fn too_large() -> Error {
    Error::invalid(
        "too-large",
        format!(
            "the component is larger than {} MiB, the most that is taken: build it optimised, and strip what is for a debugger",
            MAX_COMPONENT_BYTES >> 20
        ),
    )
}
