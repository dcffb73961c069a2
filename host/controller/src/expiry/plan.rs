//! The plan: what is due, and when to look again. Pure.

use std::sync::Arc;

use fleet_model::{Error, WorkloadId};

use crate::state::{Expiry, WorkloadRow};

/// The shortest ttl, in milliseconds.
pub(crate) const SHORTEST_MS: u64 = 1_000;
/// The longest ttl, and the farthest end from now, in milliseconds: ten years of 365.25 days.
pub(crate) const LONGEST_MS: u64 = 315_576_000 * 1_000;
/// While something waits, clocks are looked at this often, in milliseconds: the wall clock may be set,
/// and the machine may sleep while a timer does not count.
const LOOK_MS: u64 = 60_000;

/// How late it is, by both clocks.
#[derive(Debug, Clone)]
pub(crate) struct Moment {
    /// The boot that the boot clock counts in; empty where that is not known.
    pub(crate) boot: Arc<str>,
    /// By the boot clock, in milliseconds.
    pub(crate) boot_ms: u64,
    /// By the wall clock, in Unix milliseconds.
    pub(crate) unix_ms: u64,
}

impl Expiry {
    /// So many milliseconds from now.
    pub(crate) fn after(now: &Moment, ms: u64) -> Self {
        Self {
            at_ms: now.unix_ms.saturating_add(ms),
            boot: now.boot.to_string(),
            boot_ms: now.boot_ms.saturating_add(ms),
        }
    }

    /// What is left, in milliseconds; 0 when it is due.
    pub(crate) fn left_ms(&self, now: &Moment) -> u64 {
        let is_same_boot = !self.boot.is_empty() && *self.boot == *now.boot;
        match is_same_boot {
            true => self.boot_ms.saturating_sub(now.boot_ms),
            false => self.at_ms.saturating_sub(now.unix_ms),
        }
    }

    /// So much later. What is due already and still there counts from now, so that an extension
    /// always gives as much time as was asked for.
    ///
    /// # Errors
    /// `invalid-ttl` where that is too far from now.
    pub(crate) fn extended(&self, now: &Moment, ms: u64) -> Result<Self, Error> {
        let left_ms = self.left_ms(now);
        if left_ms.saturating_add(ms) > LONGEST_MS {
            return Err(Error::invalid(
                "invalid-ttl",
                "this would let it exist for more than 10 years from now: extend it by less",
            )
            .with("pointer", "/ttl"));
        }
        Ok(match left_ms {
            0 => Self::after(now, ms),
            _ => Self {
                at_ms: self.at_ms.saturating_add(ms),
                boot: self.boot.clone(),
                boot_ms: self.boot_ms.saturating_add(ms),
            },
        })
    }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Plan {
    /// These are due.
    pub(super) due: Vec<WorkloadId>,
    /// Look again after so many milliseconds; never, if nothing has an end.
    pub(super) again_ms: Option<u64>,
}

/// Decides.
pub(super) fn plan<'a>(rows: impl Iterator<Item = &'a Arc<WorkloadRow>>, now: &Moment) -> Plan {
    let mut plan = Plan::default();
    for row in rows {
        let Some(expiry) = &row.expires else { continue };
        match expiry.left_ms(now) {
            0 => plan.due.push(row.id),
            left_ms => {
                let again_ms = plan.again_ms.unwrap_or(LOOK_MS).min(left_ms);
                plan.again_ms = Some(again_ms);
            }
        }
    }
    plan
}
