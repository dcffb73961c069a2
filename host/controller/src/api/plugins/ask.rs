//! One call to a node about its plugins, and its answers.

use fleet_model::{Error, NodeId};
use fleet_protocol::bulk::{BulkSink, BulkSource, Request};
use fleet_protocol::plugin::{PluginCall, Reply};

use super::super::Api;
use super::super::logs::away;
use super::super::problem::Problem;
use super::place::Place;
use crate::session::Live;

/// What is at a node that is away.
const WHAT: &str = "the plugin";

/// Content too large: RFC 9110, 15.5.14.
const TOO_LARGE: u16 = 413;

/// Insufficient storage: RFC 4918, 11.5.
const NO_STORAGE: u16 = 507;

/// A call under way.
pub(super) struct Asked {
    pub(super) sink: BulkSink,
    pub(super) replies: Replies,
}

/// What the node answers.
pub(super) struct Replies {
    source: BulkSource,
    live: Live,
    pub(super) id: NodeId,
    node: String,
}

/// Begins a call; the node has agreed to it.
///
/// # Errors
/// The node's own; `unavailable` (`node-away`).
pub(super) async fn open(api: &Api, place: Place, call: PluginCall) -> Result<Asked, Error> {
    let Some(live) = api.inner.registry.get(place.node) else {
        return Err(away(&place.name, WHAT));
    };
    let request = Request::Plugins { call };
    let stream = tokio::select! {
        opened = live.opener.open(&request) => opened?,
        () = live.over.cancelled() => return Err(away(&place.name, WHAT)),
    };
    let (sink, source) = stream.split();
    Ok(Asked {
        sink,
        replies: Replies {
            source,
            live,
            id: place.node,
            node: place.name,
        },
    })
}

/// Asks for what is one answer.
///
/// # Errors
/// As [`open`]; what the node answers instead.
pub(super) async fn ask(api: &Api, place: Place, call: PluginCall) -> Result<Reply, Error> {
    // The sending half ends the stream for the node, so it is held until the answer is here.
    let mut asked = open(api, place, call).await?;
    asked.replies.next().await
}

impl Replies {
    /// The next answer. May be dropped and called again.
    ///
    /// # Errors
    /// What the node says has failed; `unavailable` (`node-away`) where its session ended.
    pub(super) async fn next(&mut self) -> Result<Reply, Error> {
        let frame = tokio::select! {
            frame = self.source.receive() => frame,
            () = self.live.over.cancelled() => None,
        };
        let Some(Ok(frame)) = frame else {
            return Err(self.gone());
        };
        match serde_json::from_slice(&frame) {
            Ok(Reply::Failed { error }) => Err(error),
            Ok(reply) => Ok(reply),
            Err(_) => Err(foreign()),
        }
    }

    /// The node's session ended meanwhile.
    fn gone(&self) -> Error {
        away(&self.node, WHAT)
    }
}

/// What the node refused. Two refusals have a status of their own.
pub(super) fn problem(error: Error) -> Problem {
    match error.code.as_str() {
        "too-large" => Problem::with_status(TOO_LARGE, error),
        "disk-full" => Problem::with_status(NO_STORAGE, error),
        _ => error.into(),
    }
}

/// A node that answers something else than it was asked.
pub(super) fn foreign() -> Error {
    Error::internal(
        "plugin-reply",
        "the node answered something else than it was asked: see its log",
    )
}
