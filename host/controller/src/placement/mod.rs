//! Which node a workload goes to. One pure plan; carrying it out is one row in the store, so there
//! is no executor here and no lock: nodes do not wait for each other.

mod plan;

#[cfg(test)]
mod tests;

pub(crate) use plan::{Candidate, plan};
