//! The plan: the first node that can run the backend, and a reason for every node that cannot.

use std::fmt;

use fleet_model::id::NodeId;
use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::{Error, ErrorKind, Name};

use crate::session::Reach;
use crate::state::NodeRow;

/// When another try makes sense, in milliseconds.
const RETRY_AFTER_MS: u32 = 1_000;

/// A node, as far as placement looks at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate<'a> {
    /// Who it is and what it has.
    pub(crate) node: &'a NodeRow,
    /// Whether it can be told.
    pub(crate) reach: Reach,
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place<'a> {
    /// The node.
    pub(crate) node: NodeId,
    /// The backend's plugin there.
    pub(crate) plugin: &'a Plugin,
}

/// Why not to a node; the later, the nearer it came.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Obstacle {
    /// It has no such backend, only these.
    Absent(Vec<String>),
    /// It refused the plugin.
    Rejected(String),
    /// The plugin cannot work on that machine now.
    Unusable(String),
    /// The plugin is not in use yet.
    NotReady(&'static str),
    /// All would be well if the node were there.
    Offline,
}

/// Chooses a node for a workload of this backend.
///
/// # Errors
/// The nearest node's obstacle decides kind and code: `no-backend`, `backend-rejected`,
/// `backend-unusable`, `backend-not-ready`, `node-offline`; `no-node` where there is none at all.
/// The message has the reason of every node.
pub(crate) fn plan<'a>(
    backend: &Name,
    candidates: impl IntoIterator<Item = Candidate<'a>>,
) -> Result<Place<'a>, Error> {
    let mut obstacles = Vec::new();
    for candidate in candidates {
        match judge(backend, candidate) {
            Ok(plugin) => {
                return Ok(Place {
                    node: candidate.node.id,
                    plugin,
                });
            }
            Err(obstacle) => obstacles.push((candidate.node.name.as_str(), obstacle)),
        }
    }
    Err(refuse(backend, &obstacles))
}

fn judge<'a>(
    backend: &Name,
    Candidate { node, reach }: Candidate<'a>,
) -> Result<&'a Plugin, Obstacle> {
    let mut named = node
        .plugins
        .iter()
        .filter(|plugin| plugin.name == backend.as_str());
    // Beside an active plugin there may be a rejected newcomer of the same name.
    let plugin = named
        .clone()
        .find(|plugin| plugin.state == PluginState::Active)
        .or_else(|| named.next());
    let Some(plugin) = plugin else {
        let active = node
            .plugins
            .iter()
            .filter(|plugin| plugin.state == PluginState::Active);
        return Err(Obstacle::Absent(
            active.map(|plugin| plugin.name.clone()).collect(),
        ));
    };
    let reason = || {
        plugin
            .reason
            .clone()
            .unwrap_or_else(|| "no reason given".to_owned())
    };
    match (plugin.state, plugin.usable, reach) {
        (PluginState::Rejected, ..) => Err(Obstacle::Rejected(reason())),
        (PluginState::Active, false, _) => Err(Obstacle::Unusable(reason())),
        (PluginState::Active, true, Reach::Online) => Ok(plugin),
        (PluginState::Active, true, Reach::Offline) => Err(Obstacle::Offline),
        (state, ..) => Err(Obstacle::NotReady(state.as_str())),
    }
}

fn refuse(backend: &Name, obstacles: &[(&str, Obstacle)]) -> Error {
    let Some((_, nearest)) = obstacles.iter().max_by_key(|(_, obstacle)| obstacle) else {
        let error = Error::unavailable("no-node", "no node has joined yet: try again when one has");
        return Error {
            retry_after_ms: Some(RETRY_AFTER_MS),
            ..error
        };
    };
    let (kind, code, remedy) = match nearest {
        Obstacle::Absent(_) => (
            ErrorKind::Invalid,
            "no-backend",
            "name one of those, or put the plugin into the node's plugin folder",
        ),
        Obstacle::Rejected(_) => (
            ErrorKind::Unsupported,
            "backend-rejected",
            "mend the plugin or its grant; `fleet-host plugin ls` shows it",
        ),
        Obstacle::Unusable(_) => (
            ErrorKind::Unavailable,
            "backend-unusable",
            "put that right on the node, then try again",
        ),
        Obstacle::NotReady(_) => (
            ErrorKind::Unavailable,
            "backend-not-ready",
            "try again in a moment",
        ),
        Obstacle::Offline => (
            ErrorKind::Unavailable,
            "node-offline",
            "try again when the node is back",
        ),
    };
    let reasons: Vec<_> = obstacles
        .iter()
        .map(|(node, obstacle)| format!("node {node}: {obstacle}"))
        .collect();
    Error {
        retry_after_ms: kind.is_retryable().then_some(RETRY_AFTER_MS),
        ..Error::new(
            kind,
            code,
            format!(
                "no node can run backend `{backend}` ({}): {remedy}",
                reasons.join("; ")
            ),
        )
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(active) if active.is_empty() => f.write_str("has no active backend"),
            Self::Absent(active) => write!(f, "has the backends {}", active.join(", ")),
            Self::Rejected(reason) => write!(f, "rejected it: {reason}"),
            Self::Unusable(reason) => write!(f, "cannot use it: {reason}"),
            Self::NotReady(state) => write!(f, "is still loading it ({state})"),
            Self::Offline => f.write_str("is not connected"),
        }
    }
}
