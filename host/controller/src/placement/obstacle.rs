//! Why a workload does not go to a node, in words.

use std::fmt;

use fleet_model::{Error, ErrorKind, Name};

/// Why not to a node; the later, the nearer it came. What another try may find gone comes last.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// It has no such backend, only these.
    Absent(Vec<String>),
    /// It refused the plugin.
    Rejected(String),
    /// The backend cannot hold a workload to these limits there.
    Limits {
        /// Which.
        missing: Vec<&'static str>,
        /// How workloads are kept apart there, in the backend's words.
        isolation: Option<String>,
    },
    /// A fixed port is not free.
    Port(Clash),
    /// The plugin cannot work on that machine now.
    Unusable(String),
    /// The plugin is not in use yet.
    NotReady(&'static str),
    /// All would be well if the node were there.
    Offline,
    /// It would do as well, and has more to do.
    Busier {
        /// The workloads it has.
        has: usize,
        /// The node that is chosen.
        chosen: String,
        /// The workloads that one has.
        chosen_has: usize,
    },
}

impl Obstacle {
    /// Kind, code and remedy where this is the nearest a workload comes to a node.
    pub(super) fn refusal(&self) -> (ErrorKind, &'static str, &'static str) {
        match self {
            Self::Absent(_) => (
                ErrorKind::Invalid,
                "no-backend",
                "name one of those, or put the plugin into the node's plugin folder",
            ),
            Self::Rejected(_) => (
                ErrorKind::Unsupported,
                "backend-rejected",
                "mend the plugin or its grant; `fleet-host plugin ls` shows it",
            ),
            Self::Limits { .. } => (
                ErrorKind::Unsupported,
                "limits-unsupported",
                "leave those limits out, or let the node's host make cgroups for them",
            ),
            Self::Port(_) => (
                ErrorKind::Conflict,
                "port-taken",
                "take another port, or 0 for one that the node picks",
            ),
            Self::Unusable(_) => (
                ErrorKind::Unavailable,
                "backend-unusable",
                "put that right on the node, then try again",
            ),
            Self::NotReady(_) => (
                ErrorKind::Unavailable,
                "backend-not-ready",
                "try again in a moment",
            ),
            Self::Offline | Self::Busier { .. } => (
                ErrorKind::Unavailable,
                "node-offline",
                "try again when the node is back; its host's `/ready` and its log say why it is away",
            ),
        }
    }

    /// Where in the spec it is, if it is there.
    pub(super) fn pointer(&self) -> Option<String> {
        match self {
            Self::Limits { missing, .. } => missing.first().map(|limit| format!("/limits/{limit}")),
            Self::Port(clash) => Some(clash.pointer()),
            _ => None,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent(active) if active.is_empty() => f.write_str("has no active backend"),
            Self::Absent(active) => write!(f, "has the backends {}", active.join(", ")),
            Self::Rejected(reason) => write!(f, "rejected it: {reason}"),
            Self::Limits { missing, isolation } => {
                write!(f, "cannot hold a limit of {}", missing.join(", "))?;
                match isolation {
                    Some(isolation) => write!(f, " (isolation: {isolation})"),
                    None => Ok(()),
                }
            }
            Self::Port(clash) => clash.fmt(f),
            Self::Unusable(reason) => write!(f, "cannot use it: {reason}"),
            Self::NotReady(state) => write!(f, "is still loading it ({state})"),
            Self::Offline => f.write_str("is not connected"),
            Self::Busier {
                has,
                chosen,
                chosen_has,
            } => write!(
                f,
                "would do as well; it has {has} workloads and {chosen} has {chosen_has}"
            ),
        }
    }
}

/// A fixed port that is not free on a node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Clash {
    /// The port's name in the spec.
    pub(crate) name: Name,
    /// The port.
    pub(crate) port: u16,
    /// Who has it.
    pub(crate) holder: Holder,
}

/// Who has a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Holder {
    /// Another port of the same spec.
    Sibling(Name),
    /// The workload of this name.
    Workload(String),
    /// The workload of this name, which is on its way out.
    Leaving(String),
}

impl Clash {
    fn pointer(&self) -> String {
        format!("/ports/{}", self.name)
    }
}

impl fmt::Display for Clash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port, holder } = self;
        match holder {
            Holder::Sibling(other) => {
                write!(
                    f,
                    "port {port} is asked for twice, as `{other}` and as `{name}`"
                )
            }
            Holder::Workload(other) => write!(f, "port {port} is taken by workload `{other}`"),
            Holder::Leaving(other) => write!(
                f,
                "port {port} is taken by workload `{other}` until that is gone, which it will be soon"
            ),
        }
    }
}

impl From<Clash> for Error {
    fn from(clash: Clash) -> Self {
        let pointer = clash.pointer();
        let (kind, code, remedy) = Obstacle::Port(clash.clone()).refusal();
        Self::new(kind, code, format!("{clash}: {remedy}")).with("pointer", pointer)
    }
}
