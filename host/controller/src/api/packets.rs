//! `/api/v1/workloads/{name}/packets`: what a workload has emitted, in order, each once.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, Bytes, BytesMut};
use fleet_model::packet::{Gap, Packet};
use fleet_model::{Error, WorkloadId};
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::watch;
use utoipa::ToSchema;

use super::Api;
use super::logs::failure;
use super::page;
use super::params::{Flag, Params};
use super::problem::Problem;
use super::target::Target;
use crate::controller::Inner;
use crate::state::{PacketEntry, PacketsRow};
use crate::workload::find;

/// Bytes of packets read at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Packets read at once, for a client that follows.
const CHUNK: usize = 256;

/// One entry, as it is sent: the packet to the letter.
#[derive(Debug, Serialize)]
struct Shown {
    seq: u64,
    at_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    packet: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<Gap>,
}

/// Some packets.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Packets {
    /// In order.
    #[schema(value_type = Vec<Packet>)]
    items: Vec<Shown>,
    /// `after` of the next page; absent when these are the newest.
    next: Option<String>,
    /// The number of the newest packet; 0 when there is none.
    head: u64,
}

/// Packets after a number, in order.
#[utoipa::path(
    get, path = "/api/v1/workloads/{name}/packets", operation_id = "list_packets", tag = "workloads",
    params(
        ("name" = String, Path, description = "Its id or its name."),
        ("after" = Option<u64>, Query, description = "Only packets after this number; 0, from the oldest kept, if absent."),
        ("limit" = Option<u32>, Query, description = "Entries on the page, 1 to 500; 100 if absent."),
        ("follow" = Option<bool>, Query, description = "Go on as more are emitted: one JSON object a line (`application/x-ndjson`), as the items of a page. An error after the first line is a last line `{\"error\": problem}`.")
    ),
    responses(
        (status = 200, description = "a page of packets; packets that were given up for want of room are one entry with `gap`", body = Packets),
        (status = "default", description = "a problem", content_type = "application/problem+json", body = Problem)
    )
)]
pub(super) async fn packets(
    State(api): State<Api>,
    Target(name): Target,
    mut params: Params,
) -> Result<Response, Problem> {
    let limit = page::limit(&mut params)?;
    let after = params
        .read::<u64>("after", "the number of a packet")?
        .unwrap_or(0);
    let follow = params.flag("follow")?;
    params.finish()?;
    let workload = find(&api.inner.store.snapshot().state, &name)?.at.id;
    let mut feed = Feed::new(api.inner.clone(), workload, after);
    if follow == Flag::Set {
        let place = api.inner.streams.place()?;
        return Ok(place.held_by(followed(feed)));
    }
    let (items, head) = feed.read(limit).await?;
    let next = items
        .last()
        .map(|last| last.seq)
        .filter(|last| *last < head)
        .map(|last| last.to_string());
    Ok(axum::Json(Packets { items, next, head }).into_response())
}

fn followed(feed: Feed) -> Response {
    let chunks = futures::stream::unfold(Some(feed), |feed| async {
        let mut feed = feed?;
        let (chunk, again) = match feed.next().await {
            Ok(items) if items.is_empty() => return None,
            Ok(items) => (lines(&items), Some(feed)),
            Err(error) => (failure(error), None),
        };
        Some((Ok::<_, std::convert::Infallible>(chunk), again))
    });
    let headers = [
        (CONTENT_TYPE, "application/x-ndjson"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}

fn lines(items: &[Shown]) -> Bytes {
    let mut chunk = BytesMut::new();
    for item in items {
        // Writing JSON of plain fields to memory cannot fail.
        let _ = serde_json::to_writer((&mut chunk).writer(), item);
        chunk.put_u8(b'\n');
    }
    chunk.freeze()
}

/// A place in one workload's packets.
struct Feed {
    inner: Arc<Inner>,
    workload: WorkloadId,
    after: u64,
    commits: watch::Receiver<u64>,
}

impl Feed {
    fn new(inner: Arc<Inner>, workload: WorkloadId, after: u64) -> Self {
        let commits = inner.store.changes();
        Self {
            inner,
            workload,
            after,
            commits,
        }
    }

    /// What is there now, up to `limit`, and the number of the newest.
    async fn read(&mut self, limit: usize) -> Result<(Vec<Shown>, u64), Error> {
        let head = self.row().map_or(0, |row| row.head);
        if head <= self.after {
            return Ok((Vec::new(), head));
        }
        let entries = self
            .inner
            .store
            .read_stream::<PacketEntry>(&self.workload, self.after, limit, CHUNK_BYTES)
            .await
            .map_err(|error| {
                Error::unavailable(
                    "packets-unreadable",
                    format!("the packets cannot be read now: {error}"),
                )
            })?;
        // Looked at after the entries were read: what was given up meanwhile is missing among them.
        let floor = self.row().map_or(0, |row| row.floor);
        let entries: Vec<_> = entries
            .into_iter()
            .filter(|(seq, ..)| *seq > floor)
            .collect();
        let mut items = Vec::with_capacity(entries.len());
        let old = Gap::between(self.after, floor.saturating_add(1));
        items.extend(old.map(|gap| Shown {
            seq: gap.to,
            at_ms: self.inner.clock.unix_ms(),
            packet: None,
            gap: Some(gap),
        }));
        items.extend(entries.into_iter().map(|(seq, at_ms, entry)| {
            let (packet, gap) = match entry {
                PacketEntry::Packet(packet) => (Some(packet), None),
                PacketEntry::Gap(gap) => (None, Some(gap)),
            };
            Shown {
                seq,
                at_ms,
                packet,
                gap,
            }
        }));
        if let Some(last) = items.last() {
            self.after = last.seq;
        }
        Ok((items, head))
    }

    /// The next packets, whenever they come; none when the workload is gone or the host stops.
    async fn next(&mut self) -> Result<Vec<Shown>, Error> {
        loop {
            self.commits.borrow_and_update();
            let (items, _) = self.read(CHUNK).await?;
            if !items.is_empty() {
                return Ok(items);
            }
            if !self.is_there() {
                return Ok(items);
            }
            tokio::select! {
                changed = self.commits.changed() => if changed.is_err() { return Ok(Vec::new()) },
                () = self.inner.closing.cancelled() => return Ok(Vec::new()),
            }
        }
    }

    fn row(&self) -> Option<Arc<PacketsRow>> {
        self.inner
            .store
            .snapshot()
            .state
            .packet_rows
            .get(&self.workload)
            .cloned()
    }

    fn is_there(&self) -> bool {
        let snapshot = self.inner.store.snapshot();
        snapshot.state.workloads.get(&self.workload).is_some()
    }
}
