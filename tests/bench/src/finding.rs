//! What a benchmark found: who took how much, and what was asked of it.

use serde::{Deserialize, Serialize};

use crate::statistics::Samples;

/// As what somebody is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Role {
    /// The product.
    Ours,
    /// The least that would do the same.
    Floor,
    /// Another program.
    Peer,
    /// For orientation: no goal compares with it unless it names it.
    Context,
}

/// One contestant's values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Series {
    /// Who.
    pub(crate) name: String,
    /// As what.
    pub(crate) role: Role,
    /// One value per round, in the finding's unit.
    pub(crate) samples: Samples,
}

/// What the values are. Of all of them less is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Unit {
    /// Time.
    Seconds,
    /// Memory or file size.
    Bytes,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "goal")]
pub(crate) enum Goal {
    /// At most so many times the floor.
    TimesFloor {
        /// How many.
        at_most: f64,
    },
    /// At most so much more than the floor, in the finding's unit.
    AddsToFloor {
        /// How much.
        at_most: f64,
    },
    /// At most so many times another series of the same run.
    TimesSeries {
        /// Its name.
        series: String,
        /// How many.
        at_most: f64,
    },
    /// Peers take at least so many times as much.
    PeersTake {
        /// The one peer that counts; each of them when absent.
        peer: Option<String>,
        /// How many times.
        at_least: f64,
    },
    /// At most this, in the finding's unit.
    AtMost {
        /// How much.
        value: f64,
    },
}

/// A peer that was not measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Missing {
    /// Its name.
    pub(crate) name: String,
    /// How to get it.
    pub(crate) how: String,
}

/// What a benchmark found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The row in the list of what is to be proven: `P1`.
    pub(crate) id: String,
    /// What was done, for people.
    pub(crate) work: String,
    /// What the values are.
    pub(crate) unit: Unit,
    /// Who took how much.
    pub(crate) series: Vec<Series>,
    /// Peers that are not there.
    pub(crate) missing: Vec<Missing>,
    /// What is asked.
    pub(crate) goals: Vec<Goal>,
    /// What a reader must know to read the figures right.
    pub(crate) notes: Vec<String>,
}

impl Finding {
    /// All series of a role.
    pub(crate) fn of(&self, role: Role) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(move |series| series.role == role)
    }

    /// The product's own.
    #[must_use]
    pub(crate) fn ours(&self) -> Option<&Series> {
        self.of(Role::Ours).next()
    }

    /// The floor.
    #[must_use]
    pub(crate) fn floor(&self) -> Option<&Series> {
        self.of(Role::Floor).next()
    }

    /// A series by its name.
    #[must_use]
    pub(crate) fn named(&self, name: &str) -> Option<&Series> {
        self.series.iter().find(|series| series.name == name)
    }
}
