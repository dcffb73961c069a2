//! What workloads use: one of them, with its last hour or followed, or all at once.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use fleet_model::item::ItemKey;
use fleet_model::stats::Sample;
use fleet_model::{Error, Name, NodeId, WorkloadId};
use fleet_protocol::bulk::{BulkStream, Request, UsageOf};
use futures::StreamExt;
use serde::Serialize;
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::Api;
use super::logs::{away, failure};
use super::params::{Flag, Params};
use super::problem::Problem;
use super::reach::reach;
use super::target::Target;
use crate::session::Live;

/// How long a node may take to say what all its workloads use. It looks for 3 s at most.
const NODE: Duration = Duration::from_secs(5);

/// Nodes that are asked at once.
const AT_ONCE: usize = 64;

/// A look at what one workload uses.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WorkloadUsage {
    /// The workload's id.
    #[schema(value_type = String)]
    id: WorkloadId,
    /// Its name.
    name: Name,
    /// What was seen; null where it does not run, or its backend does not tell.
    sample: Option<Sample>,
}

/// What all workloads use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct AllUsage {
    /// Every running workload of the nodes that answered, in the order in which they were accepted.
    items: Vec<WorkloadUsage>,
    /// The nodes whose workloads are missing here, and why.
    missing: Vec<MissingNode>,
}

/// A node that did not say what its workloads use.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MissingNode {
    /// The node's name.
    node: String,
    /// Why.
    detail: String,
}

/// What a workload uses, one JSON object a line. An error after the first line is a last line
/// `{"error": problem}`.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/stats", operation_id = "workload_stats", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("history" = Option<bool>, Query, description = "Begin with what was seen in the last hour, else with the last look alone, which is at most 2 s old."),
        ("follow" = Option<bool>, Query, description = "Go on with every new look, until the workload is removed.")
    ),
    responses(
        (status = 200, description = "one object a line, at least one", content_type = "application/x-ndjson", body = WorkloadUsage),
        (status = "default", description = "a problem: `no-stats` where the backend does not tell; 503 while the workload's node is away", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn of_workload(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<Response, Problem> {
    let history = params.flag("history")? == Flag::Set;
    let follow = params.flag("follow")? == Flag::Set;
    params.finish()?;
    let reached = reach(&api, &name, "what it uses")?;
    let place = api.inner.streams.place()?;
    let request = Request::Stats {
        item: Some(reached.item),
        history,
        follow,
    };
    let stream = tokio::select! {
        opened = reached.live.opener.open(&request) => opened?,
        () = reached.live.over.cancelled() => return Err(away(&reached.node_name, "what it uses").into()),
    };
    let looks = Looks {
        stream,
        api: api.clone(),
        node: reached.node_name,
        over: reached.live.over,
    };
    let chunks = futures::stream::unfold(Some(looks), |looks| async {
        let mut looks = looks?;
        let (chunk, is_last) = looks.chunk().await;
        let again = (!is_last).then_some(looks);
        (!chunk.is_empty()).then_some((Ok::<_, Infallible>(chunk), again))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-cache"),
    ];
    let answer = (headers, Body::from_stream(chunks)).into_response();
    Ok(place.held_by(answer))
}

/// Looks on their way.
struct Looks {
    stream: BulkStream,
    api: Api,
    node: String,
    /// The session the stream belongs to.
    over: CancellationToken,
}

impl Looks {
    /// The next line, and whether it is the last.
    async fn chunk(&mut self) -> (Bytes, bool) {
        loop {
            let look = tokio::select! {
                look = self.stream.receive_json::<UsageOf>() => look,
                () = self.api.inner.closing.cancelled() => return (failure(stopping()), true),
            };
            match look {
                Some(Ok(look)) => {
                    // One that has been removed meanwhile has no name any more.
                    if let Some(shown) = shown(&self.api, look) {
                        return (line(&shown), false);
                    }
                }
                Some(Err(_)) => return (failure(away(&self.node, "what it uses")), true),
                None => {
                    // A session that breaks ends its streams like one that just ends, and is then over.
                    tokio::task::yield_now().await;
                    let is_broken = self.over.is_cancelled();
                    let last = is_broken.then(|| failure(away(&self.node, "what it uses")));
                    return (last.unwrap_or_default(), true);
                }
            }
        }
    }
}

/// The last look at every running workload, at most 2 s old.
#[utoipa::path(
    get, path = "/api/v1/stats", operation_id = "all_stats", tag = "workloads",
    responses(
        (status = 200, description = "the workloads of all nodes that answered within 5 s", body = AllUsage),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn of_all(
    State(api): State<Api>,
    params: Params,
) -> Result<axum::Json<AllUsage>, Problem> {
    params.finish()?;
    let nodes: Vec<(NodeId, String)> = {
        let snapshot = api.inner.store.snapshot();
        let rows = snapshot.state.nodes.values();
        rows.map(|row| (row.id, row.name.clone())).collect()
    };
    let asked = futures::stream::iter(nodes)
        .map(|(id, name)| {
            let api = api.clone();
            async move {
                let looks = match api.inner.registry.get(id) {
                    Some(live) => ask(&api, &live).await,
                    None => Err("it is not connected".to_owned()),
                };
                (name, looks)
            }
        })
        .buffer_unordered(AT_ONCE);
    let answers: Vec<_> = asked.collect().await;
    let (mut items, mut missing) = (Vec::new(), Vec::new());
    for (node, looks) in answers {
        match looks {
            Ok(looks) => items.extend(looks.into_iter().filter_map(|look| shown(&api, look))),
            Err(detail) => missing.push(MissingNode { node, detail }),
        }
    }
    items.sort_by_key(|item| item.id);
    missing.sort_by(|one, other| one.node.cmp(&other.node));
    Ok(axum::Json(AllUsage { items, missing }))
}

/// What all workloads of a node use, or why that cannot be told.
async fn ask(api: &Api, live: &Live) -> Result<Vec<UsageOf>, String> {
    let all = async {
        let request = Request::Stats {
            item: None,
            history: false,
            follow: false,
        };
        let mut stream = live.opener.open(&request).await?;
        let mut looks = Vec::new();
        while let Some(look) = stream.receive_json().await {
            looks.push(look.map_err(|_| broken())?);
        }
        tokio::task::yield_now().await;
        if live.over.is_cancelled() {
            return Err(broken());
        }
        Ok(looks)
    };
    tokio::select! {
        looks = all => looks.map_err(|error: Error| error.message),
        () = live.over.cancelled() => Err(broken().message),
        () = api.inner.clock.sleep(NODE) => Err("it did not answer in time".to_owned()),
    }
}

fn broken() -> Error {
    Error::unavailable("node-gone", "its session ended")
}

/// A look with the workload's name; nothing where this controller does not know it.
fn shown(api: &Api, look: UsageOf) -> Option<WorkloadUsage> {
    let id = id(&look.item)?;
    let snapshot = api.inner.store.snapshot();
    let row = snapshot.state.workloads.get(&id)?;
    Some(WorkloadUsage {
        id,
        name: row.name.clone(),
        sample: look.sample,
    })
}

fn id(item: &ItemKey) -> Option<WorkloadId> {
    item.key.parse().ok()
}

fn line(value: &impl Serialize) -> Bytes {
    let mut line = BytesMut::new();
    // Writing JSON of plain fields to memory cannot fail.
    let _ = serde_json::to_writer((&mut line).writer(), value);
    line.put_u8(b'\n');
    line.freeze()
}

fn stopping() -> Error {
    Error::unavailable(
        "host-stopping",
        "the host is stopping: ask again when it is back",
    )
}
