//! The backend: what a code generator would write for two calls, and what they do.

use std::convert::Infallible;
use std::future::{Future, ready};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{SystemTime, UNIX_EPOCH};

use http::{Request as HttpRequest, Response as HttpResponse};
use serde_json::{Value, json};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::body::Body;
use tonic::server::{Grpc, UnaryService};
use tonic::{Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::message::{Create, Creation, Handle, Inspect, Observation};
use crate::{CREATE, INSPECT};

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) async fn serve(socket: &str) -> crate::Result<()> {
    let listener = UnixListenerStream::new(UnixListener::bind(socket)?);
    tonic::transport::Server::builder()
        .serve_with_incoming(Driver, listener)
        .await?;
    Ok(())
}

/// The calls by their paths.
#[derive(Clone)]
struct Driver;

impl Service<HttpRequest<Body>> for Driver {
    type Response = HttpResponse<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<Body>) -> Self::Future {
        match request.uri().path() {
            INSPECT => Box::pin(async {
                let mut grpc = Grpc::new(ProstCodec::<Observation, Inspect>::default());
                Ok(grpc.unary(InspectCall, request).await)
            }),
            CREATE => Box::pin(async {
                let mut grpc = Grpc::new(ProstCodec::<Creation, Create>::default());
                Ok(grpc.unary(CreateCall, request).await)
            }),
            _ => Box::pin(ready(Ok(Status::unimplemented("no such call").into_http()))),
        }
    }
}

struct InspectCall;

impl UnaryService<Inspect> for InspectCall {
    type Response = Observation;
    type Future = std::future::Ready<Result<Response<Observation>, Status>>;

    fn call(&mut self, request: Request<Inspect>) -> Self::Future {
        ready(inspect(request.into_inner()).map(Response::new))
    }
}

struct CreateCall;

impl UnaryService<Create> for CreateCall {
    type Response = Creation;
    type Future = std::future::Ready<Result<Response<Creation>, Status>>;

    fn call(&mut self, request: Request<Create>) -> Self::Future {
        ready(create(request.into_inner()).map(Response::new))
    }
}

/// What `mock` does: the life is in the handle, and what has become of it depends on the time.
fn inspect(request: Inspect) -> Result<Observation, Status> {
    let handle = request.handle.unwrap_or_default();
    let runtime: Value = read(&handle.opaque)?;
    let started = runtime
        .pointer("/life/started/at_ms")
        .and_then(Value::as_u64);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
    let runs = started.is_some_and(|since| since <= now_ms);
    Ok(Observation {
        state: if runs { "running" } else { "created" }.to_owned(),
        started_at_ms: started,
        attributes: std::collections::BTreeMap::new(),
    })
}

/// What `mock` does: the plan is read, and goes into the handle.
fn create(request: Create) -> Result<Creation, Status> {
    let config: Value = read(request.config.as_bytes())?;
    let runtime = json!({ "config": config, "life": { "started": null, "stopped": null, "killed_at_ms": null } });
    let handle = Handle {
        schema: 1,
        opaque: runtime.to_string().into_bytes(),
    };
    Ok(Creation {
        handle: Some(handle),
    })
}

fn read(json: &[u8]) -> Result<Value, Status> {
    serde_json::from_slice(json).map_err(|error| Status::invalid_argument(error.to_string()))
}
