//! What a verb does to a workload's intent. Pure.
//!
//! Verbs are level-triggered: asked for what is already intended, they change nothing, so a request
//! sent twice raises one generation.

use fleet_model::workload::{Desired, WorkloadIntent};
use fleet_model::{Error, Name};

use crate::state::Standing;

/// What a client may ask of a workload that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Run (again).
    Start,
    /// End, and stay.
    Stop {
        /// How long that may take, in milliseconds; absent = as before.
        grace_ms: Option<u64>,
    },
    /// End, and go with all that was made.
    Remove {
        /// How long the end may take, in milliseconds; absent = as the intent says.
        grace_ms: Option<u64>,
    },
}

/// What is intended, and how it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Current {
    /// The newest intent, also of a tombstone.
    pub(crate) intent: WorkloadIntent,
    /// Whether it should be there.
    pub(crate) standing: Standing,
    /// Whether it has ended under the newest intent.
    pub(crate) ended: Ended,
}

/// Whether a workload has ended under its newest intent, as far as its node has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It has.
    Yes,
    /// It has not, or nobody knows.
    NotYet,
}

/// What becomes of the intent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Change {
    /// It is as asked already.
    Nothing,
    /// A new intent.
    Intent(Box<WorkloadIntent>),
    /// A tombstone.
    Tombstone {
        /// How long what still runs may take to end, in milliseconds.
        grace_ms: Option<u64>,
    },
}

/// Decides.
///
/// # Errors
/// `conflict` (`workload-removing`) for a start of what is on its way out.
pub(crate) fn decide(current: &Current, verb: Verb) -> Result<Change, Error> {
    let Current {
        intent,
        standing,
        ended,
    } = current;
    Ok(match (verb, standing) {
        (Verb::Start, Standing::Tombstone { .. }) => {
            return Err(removing(&intent.name));
        }
        (Verb::Start, Standing::Wanted) => match (intent.desired, ended) {
            (Desired::Running, Ended::NotYet) => Change::Nothing,
            _ => Change::Intent(Box::new(WorkloadIntent {
                desired: Desired::Running,
                ..intent.clone()
            })),
        },
        // What is being removed is being stopped.
        (Verb::Stop { .. }, Standing::Tombstone { .. }) => Change::Nothing,
        (Verb::Stop { grace_ms }, Standing::Wanted) => {
            let grace_ms = grace_ms.unwrap_or(intent.grace_ms);
            match (intent.desired, ended) {
                (Desired::Stopped, Ended::Yes) => Change::Nothing,
                // Somebody may have lost patience: a stop with another grace is a new intent.
                (Desired::Stopped, Ended::NotYet) if grace_ms == intent.grace_ms => Change::Nothing,
                _ => Change::Intent(Box::new(WorkloadIntent {
                    desired: Desired::Stopped,
                    grace_ms,
                    ..intent.clone()
                })),
            }
        }
        (Verb::Remove { grace_ms }, Standing::Tombstone { grace_ms: before }) => {
            if grace_ms.is_none() || grace_ms == *before {
                Change::Nothing
            } else {
                Change::Tombstone { grace_ms }
            }
        }
        (Verb::Remove { grace_ms }, Standing::Wanted) => Change::Tombstone { grace_ms },
    })
}

/// What is on its way out stays so.
pub(crate) fn removing(name: &Name) -> Error {
    Error::conflict(
        "workload-removing",
        format!("workload `{name}` is being removed: wait until it is gone, then run it anew"),
    )
}
