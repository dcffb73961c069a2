//! Workloads with a ttl: when their time is over, they are removed, as if somebody had asked.
//!
//! Two clocks say how late it is. Within one boot of the controller's machine the boot clock decides,
//! so setting the wall clock changes nothing; after a reboot there is only the wall clock. [`plan`]
//! decides and is pure, [`run`] waits and writes the tombstones. What is due when the controller was
//! away is removed as soon as it is back.

mod extend;
mod plan;
mod run;

#[cfg(test)]
mod tests;

pub(crate) use plan::{LONGEST_MS, Moment, SHORTEST_MS};
pub(crate) use run::run;
