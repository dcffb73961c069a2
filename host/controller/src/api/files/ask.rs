//! One call to the node, and its answer.

use fleet_model::Error;
use fleet_protocol::bulk::{BulkStream, Request};
use fleet_protocol::file::{FileCall, Reply};

use super::super::Api;
use super::super::logs::away;
use super::super::problem::Problem;
use super::super::reach::reach;
use crate::session::Live;

/// What is at a node that is away.
const WHAT: &str = "its workspace";

/// Insufficient storage: RFC 4918, 11.5.
const NO_STORAGE: u16 = 507;

/// A call under way.
pub(super) struct Asked {
    pub(super) stream: BulkStream,
    pub(super) live: Live,
    pub(super) node: String,
}

/// Begins a call; the node has agreed to it.
pub(super) async fn open(api: &Api, name: &str, call: FileCall) -> Result<Asked, Problem> {
    let reached = reach(api, name, WHAT)?;
    let request = Request::File {
        item: reached.item,
        generation: reached.generation,
        call,
    };
    let opened = tokio::select! {
        opened = reached.live.opener.open(&request) => opened.map_err(problem)?,
        () = reached.live.over.cancelled() => return Err(gone(&reached.node_name)),
    };
    Ok(Asked {
        stream: opened,
        live: reached.live,
        node: reached.node_name,
    })
}

/// Asks for what is answered at once.
pub(super) async fn ask(api: &Api, name: &str, call: FileCall) -> Result<Reply, Problem> {
    open(api, name, call).await?.reply().await
}

impl Asked {
    /// The next answer; a failure is an error.
    pub(super) async fn reply(&mut self) -> Result<Reply, Problem> {
        let reply = tokio::select! {
            reply = self.stream.receive_json::<Reply>() => reply,
            () = self.live.over.cancelled() => None,
        };
        match reply {
            Some(Ok(Reply::Failed(error))) => Err(problem(error)),
            Some(Ok(reply)) => Ok(reply),
            Some(Err(_)) | None => Err(gone(&self.node)),
        }
    }
}

/// What the node refused. A file that does not fit has a status of its own.
pub(super) fn problem(error: Error) -> Problem {
    match error.code.as_str() {
        "disk-full" | "disk-limit" => Problem::with_status(NO_STORAGE, error),
        _ => error.into(),
    }
}

/// The node's session ended meanwhile.
pub(super) fn gone(node: &str) -> Problem {
    away(node, WHAT).into()
}

/// A node that answers something else than it was asked.
pub(super) fn foreign() -> Problem {
    Error::internal(
        "file-reply",
        "the node answered something else than it was asked: see its log",
    )
    .into()
}
