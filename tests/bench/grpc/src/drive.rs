//! The host's side: one channel, one unary call at a time. Each call makes its message anew, as a
//! host does that keeps its own types.

use std::io::{BufRead as _, Write as _};
use std::time::{Duration, Instant};

use http::uri::PathAndQuery;
use serde::Deserialize;
use tokio::runtime::Runtime;
use tonic::Request;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::message::{Create, Creation, Handle, Inspect, Observation, Op};
use crate::{CREATE, INSPECT, Result};

/// How many calls are in a batch.
const BATCH: u32 = 50;

/// What to call, and for how long.
#[derive(Debug, Clone, Deserialize)]
struct Order {
    window_ms: u64,
    #[serde(flatten)]
    call: Call,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "call")]
enum Call {
    /// Of the handle that `mock` gave.
    Inspect { schema: u32, opaque: String },
    /// Of a workload.
    Create {
        op: String,
        item: String,
        id: String,
        name: String,
        node: String,
        config: String,
    },
}

/// Answers orders until there are no more.
pub(crate) fn drive(runtime: &Runtime, socket: &str) -> Result<()> {
    let endpoint = Endpoint::from_shared(format!("unix://{socket}"))?;
    let mut driver = Driver(Grpc::new(runtime.block_on(endpoint.connect())?));
    for line in std::io::stdin().lock().lines() {
        let order: Order = serde_json::from_str(&line?)?;
        let taken = runtime.block_on(driver.carry_out(&order))?;
        println!("{taken:e}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

struct Driver(Grpc<Channel>);

impl Driver {
    /// Seconds of one call: the median of batches, as the benchmarks take it of all contestants.
    async fn carry_out(&mut self, order: &Order) -> Result<f64> {
        let window = Duration::from_millis(order.window_ms);
        let (began, mut batches) = (Instant::now(), Vec::new());
        while began.elapsed() < window {
            let batch = Instant::now();
            for _ in 0..BATCH {
                self.call(&order.call).await?;
            }
            batches.push(batch.elapsed().as_secs_f64() / f64::from(BATCH));
        }
        batches.sort_by(f64::total_cmp);
        batches
            .get(batches.len() / 2)
            .copied()
            .ok_or_else(|| "no time to call".into())
    }

    async fn call(&mut self, call: &Call) -> Result<()> {
        self.0.ready().await?;
        match call {
            Call::Inspect { schema, opaque } => {
                let handle = Handle {
                    schema: *schema,
                    opaque: opaque.clone().into_bytes(),
                };
                let request = Request::new(Inspect {
                    handle: Some(handle),
                });
                let codec = ProstCodec::<Inspect, Observation>::default();
                let path = PathAndQuery::from_static(INSPECT);
                let seen = self.0.unary(request, path, codec).await?.into_inner();
                if seen.state != "running" || seen.started_at_ms.is_none() {
                    return Err(format!("a started workload is {seen:?}").into());
                }
            }
            Call::Create {
                op,
                item,
                id,
                name,
                node,
                config,
            } => {
                let op = Op {
                    id: op.clone(),
                    item: item.clone(),
                    generation: 3,
                    attempt: 1,
                    verb: "create".to_owned(),
                };
                let request = Request::new(Create {
                    op: Some(op),
                    id: id.clone(),
                    name: name.clone(),
                    node: node.clone(),
                    command: Vec::new(),
                    env: std::collections::BTreeMap::new(),
                    config: config.clone(),
                });
                let codec = ProstCodec::<Create, Creation>::default();
                let path = PathAndQuery::from_static(CREATE);
                let made = self.0.unary(request, path, codec).await?.into_inner();
                let held = made.handle.map_or(0, |handle| handle.opaque.len());
                if held < config.len() {
                    return Err(format!("the handle holds {held} bytes").into());
                }
            }
        }
        Ok(())
    }
}
