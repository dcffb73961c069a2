//! The plan: of the nodes that can take the workload the one with the least to do, and a reason for
//! every other.

use fleet_model::plugin::{Plugin, PluginState};
use fleet_model::workload::WorkloadSpec;
use fleet_model::{Error, Name};

use super::candidates::{Candidate, plugin_of};
use super::obstacle::Obstacle;
use crate::session::Reach;
use crate::state::NodeRow;

/// When another try makes sense, in milliseconds.
const RETRY_AFTER_MS: u32 = 1_000;

/// Nodes named in a refusal, at most.
const SHOWN: usize = 10;

/// What a workload wants of its node.
#[derive(Debug, Clone)]
pub(crate) struct Wish<'a> {
    /// The backend.
    pub(crate) backend: &'a Name,
    /// The limits that only the kernel can hold it to.
    pub(crate) limits: Vec<&'static str>,
}

impl<'a> Wish<'a> {
    /// What a spec wants.
    pub(crate) fn of(spec: &'a WorkloadSpec) -> Self {
        Self {
            backend: &spec.backend,
            limits: spec.limits.kernel(),
        }
    }
}

/// Where to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Place<'a> {
    /// The node.
    pub(crate) node: &'a NodeRow,
    /// The backend's plugin there.
    pub(crate) plugin: &'a Plugin,
}

/// What is to be said of one node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict<'a> {
    /// The node.
    pub(crate) node: &'a NodeRow,
    /// Why not there; nothing for the one that is chosen.
    pub(crate) why_not: Option<Obstacle>,
}

/// Where to, and why not elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan<'a> {
    /// The node that is chosen, if one can take it.
    pub(crate) place: Option<Place<'a>>,
    /// Every node, in the order of their ids.
    pub(crate) verdicts: Vec<Verdict<'a>>,
    /// The backend's plugin on the first node where it is active.
    active: Option<&'a Plugin>,
}

/// Chooses a node.
pub(crate) fn plan<'a>(wish: &Wish<'_>, candidates: Vec<Candidate<'a>>) -> Plan<'a> {
    let judged: Vec<_> = candidates
        .iter()
        .map(|candidate| (candidate, judge(wish, candidate)))
        .collect();
    let fitting = judged
        .iter()
        .filter_map(|(candidate, judged)| Some((*candidate, *judged.as_ref().ok()?)));
    let chosen = fitting.min_by_key(|(candidate, _)| (candidate.workloads, candidate.node.id));
    let verdicts = judged.iter().map(|(candidate, judged)| Verdict {
        node: candidate.node,
        why_not: match (judged, chosen) {
            (Err(obstacle), _) => Some(obstacle.clone()),
            (Ok(_), Some((chosen, _))) if chosen.node.id != candidate.node.id => {
                Some(Obstacle::Busier {
                    has: candidate.workloads,
                    chosen: chosen.node.name.clone(),
                    chosen_has: chosen.workloads,
                })
            }
            (Ok(_), _) => None,
        },
    });
    let mut plugins = candidates
        .iter()
        .filter_map(|candidate| plugin_of(candidate.node, wish.backend.as_str()));
    Plan {
        place: chosen.map(|(candidate, plugin)| Place {
            node: candidate.node,
            plugin,
        }),
        verdicts: verdicts.collect(),
        active: plugins.find(|plugin| plugin.state == PluginState::Active),
    }
}

fn judge<'a>(wish: &Wish<'_>, candidate: &Candidate<'a>) -> Result<&'a Plugin, Obstacle> {
    let node = candidate.node;
    let Some(plugin) = plugin_of(node, wish.backend.as_str()) else {
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
    match plugin.state {
        PluginState::Active => {}
        PluginState::Rejected | PluginState::Quarantined => {
            return Err(Obstacle::Rejected(reason()));
        }
        state => return Err(Obstacle::NotReady(state.as_str())),
    }
    if !plugin.usable {
        return Err(Obstacle::Unusable(reason()));
    }
    if let Some(held) = holds(plugin) {
        let missing = wish.limits.iter().copied();
        let missing: Vec<_> = missing.filter(|limit| !held.contains(limit)).collect();
        if !missing.is_empty() {
            let isolation = isolation(plugin);
            return Err(Obstacle::Limits { missing, isolation });
        }
    }
    if let Some(clash) = candidate.clashes.first() {
        return Err(Obstacle::Port(clash.clone()));
    }
    match candidate.reach {
        Reach::Online => Ok(plugin),
        Reach::Offline => Err(Obstacle::Offline),
    }
}

/// The limits that a backend says it can hold a workload to on its node; nothing where it says nothing.
pub(crate) fn holds(plugin: &Plugin) -> Option<Vec<&str>> {
    let limits = plugin.attributes.get("limits")?;
    Some(limits.split(',').map(str::trim).collect())
}

/// How a backend says it keeps workloads apart on its node, and why not better.
fn isolation(plugin: &Plugin) -> Option<String> {
    let isolation = plugin.attributes.get("isolation")?;
    Some(match plugin.attributes.get("isolation-reason") {
        Some(reason) => format!("{isolation}; {reason}"),
        None => isolation.clone(),
    })
}

impl<'a> Plan<'a> {
    /// The plugin whose word on the config counts: the chosen one, or one that is active somewhere.
    pub(crate) fn plugin(&self) -> Option<&'a Plugin> {
        self.place.map(|place| place.plugin).or(self.active)
    }

    /// The error where no node is chosen. The nearest node's obstacle decides kind and code:
    /// `no-backend`, `backend-rejected`, `limits-unsupported`, `port-taken`, `backend-unusable`,
    /// `backend-not-ready`, `node-offline`; `no-node` where there is none at all.
    pub(crate) fn refusal(&self, backend: &Name) -> Option<Error> {
        if self.place.is_some() {
            return None;
        }
        let obstacles = self
            .verdicts
            .iter()
            .filter_map(|verdict| Some((verdict.node, verdict.why_not.as_ref()?)));
        let Some((_, nearest)) = obstacles.clone().max_by_key(|(_, obstacle)| *obstacle) else {
            let error =
                Error::unavailable("no-node", "no node has joined yet: try again when one has");
            return Some(Error {
                retry_after_ms: Some(RETRY_AFTER_MS),
                ..error
            });
        };
        let (kind, code, remedy) = nearest.refusal();
        let mut reasons: Vec<_> = obstacles
            .take(SHOWN)
            .map(|(node, obstacle)| {
                let obstacle = obstacle.to_string();
                let first = obstacle.lines().next().unwrap_or_default();
                format!("node {}: {first}", node.name)
            })
            .collect();
        if let more @ 1.. = self.verdicts.len().saturating_sub(SHOWN) {
            reasons.push(format!("and {more} more nodes"));
        }
        let mut message = format!(
            "no node can run backend `{backend}` ({}): {remedy}",
            reasons.join("; ")
        );
        // Lines to copy stand below the sentence, not in it.
        if let Some((_, lines)) = nearest.to_string().split_once('\n') {
            message.push('\n');
            message.push_str(lines);
        }
        let mut error = Error::new(kind, code, message);
        error.retry_after_ms = kind.is_retryable().then_some(RETRY_AFTER_MS);
        error
            .details
            .extend(nearest.pointer().map(|at| ("pointer".to_owned(), at)));
        Some(error)
    }
}
