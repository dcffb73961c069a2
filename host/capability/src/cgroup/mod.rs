//! Cgroups: holding a process and all that descends from it, whatever it does to hide.
//!
//! | this machine has             | used for each process                                             |
//! |------------------------------|-------------------------------------------------------------------|
//! | cgroup v2, writable          | one group, ended through `cgroup.kill`                            |
//! | cgroup v1 freezer, writable  | one group per controller: freeze, signal all, thaw                |
//! | neither                      | nothing: the shim finds descendants as their reaper               |
//!
//! Groups lie below the group the host itself is in, so that limits put on the host hold for what
//! it starts: `OWN/fleet-host/TAG/WORKLOAD.TRY`, and `OWN/fleet-host/TAG/shims` for the shims. TAG
//! tells hosts of one machine apart; it is made of the path of their data.
//!
//! A group is held to a workload's limits (`limit.rs`) before anything enters it. In v2 the host
//! itself may have to move for that (`seat.rs`).

pub(crate) mod detect;
pub(crate) mod group;
pub(crate) mod limit;
pub(crate) mod plan;
pub(crate) mod seat;
mod sweep;
pub(crate) mod table;
pub(crate) mod usage;

use std::path::PathBuf;

use fleet_model::driver::KillTarget;
use serde::{Deserialize, Serialize};

pub use detect::{Choice, Isolation};
pub use sweep::sweep;

/// Where one process and its descendants are held. Paths are absolute.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Placement {
    /// One group of the unified hierarchy.
    V2 {
        /// The group.
        group: PathBuf,
        /// Where its shim is.
        shims: PathBuf,
    },
    /// One group per controller.
    V1 {
        /// The freezer's: the one that ends it.
        freezer: PathBuf,
        /// The other controllers'.
        others: Vec<PathBuf>,
        /// Where its shim is, in the freezer's hierarchy.
        shims: PathBuf,
    },
    /// No cgroup.
    #[default]
    None,
}

impl Placement {
    /// What a guard may end it by.
    #[must_use]
    pub fn kill_target(&self) -> Option<KillTarget> {
        let path = match self {
            Self::V2 { group, .. } => group,
            Self::V1 { freezer, .. } => freezer,
            Self::None => return None,
        };
        Some(KillTarget::Cgroup {
            path: path.to_string_lossy().into_owned(),
        })
    }

    /// The word for people.
    #[must_use]
    pub fn isolation(&self) -> &'static str {
        match self {
            Self::V2 { .. } => "cgroup v2",
            Self::V1 { .. } => "cgroup v1",
            Self::None => "process group and subreaper",
        }
    }

    /// All its groups.
    pub(crate) fn groups(&self) -> Vec<PathBuf> {
        match self {
            Self::V2 { group, .. } => vec![group.clone()],
            Self::V1 {
                freezer, others, ..
            } => std::iter::once(freezer).chain(others).cloned().collect(),
            Self::None => Vec::new(),
        }
    }

    pub(crate) fn shims(&self) -> Option<&PathBuf> {
        match self {
            Self::V2 { shims, .. } | Self::V1 { shims, .. } => Some(shims),
            Self::None => None,
        }
    }
}
