//! gRPC's own way of asking whether a service serves.

use std::time::Duration;

use http::uri::PathAndQuery;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::Result;
use crate::message::{HealthRequest, HealthResponse};

const SERVING: i32 = 1;
/// How often to ask.
const LOOK: Duration = Duration::from_millis(1);

/// Returns when `service` at `address` says that it serves; whoever started this sets the limit.
pub(crate) async fn await_serving(address: &str, service: &str) -> Result<()> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    loop {
        if let Ok(channel) = endpoint.connect().await
            && serves(channel, service).await
        {
            return Ok(());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether it says so; one that cannot be asked does not.
async fn serves(channel: Channel, service: &str) -> bool {
    let mut grpc = Grpc::new(channel);
    if grpc.ready().await.is_err() {
        return false;
    }
    let request = Request::new(HealthRequest {
        service: service.to_owned(),
    });
    let path = PathAndQuery::from_static("/grpc.health.v1.Health/Check");
    let codec = ProstCodec::<HealthRequest, HealthResponse>::default();
    let answer = grpc.unary(request, path, codec).await;
    answer.is_ok_and(|answer| answer.get_ref().status == SERVING)
}
