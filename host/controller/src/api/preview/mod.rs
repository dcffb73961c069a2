//! `/api/v1/workloads/{name}/preview/{port}/...`: the HTTP of a workload's port, below a path of the API.
//!
//! A request goes to the program with its method, path below the prefix, query, headers and body, and the
//! answer comes back with its status, headers and body, both bodies as they come. What belongs to one
//! connection or to this host alone is not passed on: [`headers`] says what. A connection that is upgraded
//! (a WebSocket) is passed through as it is.
//!
//! Every request has a connection to the port of its own, which ends with the answer's body.

mod address;
mod headers;
mod line;
mod upgrade;

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Extension;
use axum::body::{Body, HttpBody};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, LOCATION, TRANSFER_ENCODING};
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter};
use bytes::Bytes;
use fleet_model::{Error, ErrorKind};
use fleet_protocol::bulk::BulkStream;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio_util::task::AbortOnDropHandle;
use utoipa_axum::router::OpenApiRouter;

use super::ports::{self, Door};
use super::problem::Problem;
use super::reach::reach;
use super::streams::StreamPlace;
use super::{Api, ConnectionPlace};
use crate::workload::find;
use address::Address;

/// Passes a request on to the program behind a port of a workload, and its answer back. Any method, any path
/// below this one, and upgrades to a WebSocket are passed on the same way.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/preview/{port}/", operation_id = "preview_port", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("port" = String, Path, description = "The port's name, or its number inside the workload or at its node.")
    ),
    responses(
        (status = "2XX", description = "whatever the program answers, of any status"),
        (status = "default", description = "a problem: 502 `nobody-listens` or `no-answer` where the program does not answer, `no-such-port`, `not-running`, `too-many-streams`; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn preview(
    State(api): State<Api>,
    door: Door,
    connection: Option<Extension<ConnectionPlace>>,
    request: Request,
) -> Result<Response, Problem> {
    let Some(address) = Address::of(request.uri()) else {
        return Err(Error::internal("preview-path", "the path has no port").into());
    };
    if address.rest.is_empty() {
        return Ok(below(&address));
    }
    let reached = reach(&api, &door.name, "the workload")?;
    let host = headers::host(
        &find(&api.inner.store.snapshot().state, &door.name)?,
        &door.port,
    );
    let stays = api.inner.streams.place_of(connection)?;
    let stream = ports::open(&reached, door.port.clone())
        .await
        .map_err(gateway)?;
    let place = headers::Place {
        host: &host,
        shown: request
            .headers()
            .get("host")
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default()
            .to_owned(),
        prefix: address.prefix,
    };
    let (mut parts, body) = request.into_parts();
    let onward = headers::onward(&parts.headers, &place);
    let wish = upgrade::Wish::take(&mut parts, &onward);
    let has_body = [CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|name| parts.headers.contains_key(name));
    let body = if has_body { body } else { Body::empty() };
    let mut request = Request::new(body);
    *request.method_mut() = parts.method;
    *request.uri_mut() = target(&address.rest)?;
    *request.headers_mut() = onward;

    let mut program = Program::reach(stream, stays)
        .await
        .map_err(|error| silent(&error))?;
    let answer = program
        .sender
        .send_request(request)
        .await
        .map_err(|error| silent(&error))?;
    let back = headers::back(answer.status(), answer.headers(), &place);
    if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
        let closing = api.inner.closing.clone();
        return wish
            .grant(answer, program.at_work, back, closing)
            .map_err(|()| uninvited());
    }
    Ok(passed_back(answer, program, back))
}

/// What is not described one by one: other methods, paths below, and the path without its slash.
pub(super) fn others() -> OpenApiRouter<Api> {
    const PATH: &str = "/api/v1/workloads/{name}/preview/{port}";
    let methods = [
        MethodFilter::HEAD,
        MethodFilter::POST,
        MethodFilter::PUT,
        MethodFilter::PATCH,
        MethodFilter::DELETE,
        MethodFilter::OPTIONS,
    ];
    let all = methods
        .into_iter()
        .fold(MethodRouter::new(), |routes, method| {
            routes.on(method, preview)
        });
    let with_get = all.clone().get(preview);
    OpenApiRouter::default()
        .route(&format!("{PATH}/"), all)
        .route(&format!("{PATH}/{{*path}}"), with_get.clone())
        .route(PATH, with_get)
}

/// The answer, whose body keeps the connection to the program until it is read or given up.
fn passed_back(answer: Response<Incoming>, program: Program, headers: HeaderMap) -> Response {
    let (parts, body) = answer.into_parts();
    let body = Carried {
        body,
        _at_work: program.at_work,
        _sender: program.sender,
    };
    let mut response = Response::new(Body::new(body));
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    response
}

/// A path without the slash at its end would have the page's own links lead beside it.
fn below(address: &Address) -> Response {
    let mut response = StatusCode::PERMANENT_REDIRECT.into_response();
    let query = address
        .query
        .as_ref()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    if let Ok(location) = HeaderValue::from_str(&format!("{}/{query}", address.prefix)) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn target(rest: &str) -> Result<Uri, Error> {
    let path = rest.parse::<PathAndQuery>().map_err(|error| {
        Error::invalid("invalid-path", format!("the path cannot be read: {error}"))
    })?;
    Ok(Uri::from(path))
}

/// The program behind a port, spoken to in HTTP.
struct Program {
    sender: SendRequest<Body>,
    /// What moves its bytes; ends when dropped.
    at_work: AtWork,
}

/// What moves the bytes of a connection, and its place among answers that go on.
struct AtWork {
    _tasks: [AbortOnDropHandle<()>; 2],
    _place: StreamPlace,
}

impl Program {
    async fn reach(stream: BulkStream, place: StreamPlace) -> Result<Self, hyper::Error> {
        let (line, carrying) = line::over(stream);
        let (sender, connection) = http1::Builder::new().handshake(TokioIo::new(line)).await?;
        let speaking = tokio::spawn(async move {
            // What it ends with is told to whoever waits for the answer.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self {
            sender,
            at_work: AtWork {
                _tasks: [AbortOnDropHandle::new(speaking), carrying],
                _place: place,
            },
        })
    }
}

/// A body on its way, and what carries it.
struct Carried {
    body: Incoming,
    _at_work: AtWork,
    _sender: SendRequest<Body>,
}

impl HttpBody for Carried {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Nobody listening is not this host's own unavailability.
fn gateway(error: Error) -> Problem {
    if error.code == "nobody-listens" {
        Problem::with_status(StatusCode::BAD_GATEWAY.as_u16(), error)
    } else {
        error.into()
    }
}

/// The program took the connection and did not answer.
fn silent(error: &hyper::Error) -> Problem {
    let what = if error.is_parse() {
        "answered with something that is not HTTP"
    } else if error.is_user() || error.is_body_write_aborted() {
        "was not sent the whole request"
    } else {
        "closed the connection without an answer"
    };
    let message = format!("the program behind this port {what} ({error}): its log may say why");
    Problem::with_status(
        StatusCode::BAD_GATEWAY.as_u16(),
        Error::new(ErrorKind::Unavailable, "no-answer", message),
    )
}

fn uninvited() -> Problem {
    let message = "the program changed to another protocol, which the request did not ask for";
    Problem::with_status(
        StatusCode::BAD_GATEWAY.as_u16(),
        Error::new(ErrorKind::Unavailable, "no-answer", message),
    )
}
